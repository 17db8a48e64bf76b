#include "filters/bayes/learner.h"

#include <cstring>
#include <utility>

namespace postern::filters::bayes {
namespace {

double scale_of(Authority authority) {
  switch (authority) {
    case Authority::automatic:
      return Learner::kAutomaticStep;
    case Authority::user:
      return Learner::kUserStep;
    case Authority::person:
      return 1;
  }
  return 1;
}

/// Order counts: it is the order of the message.
std::uint64_t fingerprint_of(std::span<const Feature> tokens, std::span<const Feature> grams) {
  std::uint64_t state = 0;
  for (const auto features : {tokens, grams}) {
    state = (state ^ features.size()) * 0x9E3779B97F4A7C15;
    for (const Feature feature : features)
      state = ((state << 7 | state >> 57) ^ feature) * 0x9E3779B97F4A7C15;
  }
  return state;
}

bool moves_tokens(const Step& step) {
  return step.words != 0 || step.count != 0;
}

}  // namespace

std::string_view to_string(Learner::Outcome outcome) {
  switch (outcome) {
    case Learner::Outcome::learned:
      return "learned";
    case Learner::Outcome::changed:
      return "changed";
    case Learner::Outcome::known:
      return "known";
    case Learner::Outcome::outranked:
      return "outranked";
    case Learner::Outcome::waiting:
      return "waiting";
    case Learner::Outcome::different:
      return "different";
  }
  return "learned";
}

/// A digest is as good as random already.
std::size_t Learner::DigestHash::operator()(const Digest& digest) const {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

Event Learner::event_of(const Digest& digest, const Features& features, const Step& step,
                        const Lesson& lesson) const {
  Event event{.authority = lesson.authority,
              .day = lesson.day,
              .digest = digest,
              .reporter = lesson.reporter,
              .step = step};
  if (moves_tokens(step)) event.tokens.assign(features.tokens().begin(), features.tokens().end());
  if (step.grams != 0) event.grams.assign(features.grams().begin(), features.grams().end());
  return event;
}

/// Whether a user's report may move the model.
bool Learner::agreed(const Digest& digest, const Features& features, const Lesson& lesson) const {
  const auto other = reports_.find(digest);
  if (other != reports_.end() && other->second.verdict == lesson.verdict &&
      other->second.reporter != lesson.reporter)
    return true;
  const Opinion opinion = model_.classify(features);
  const double sign = lesson.verdict == Class::spam ? 1 : -1;
  return opinion.trained && sign * opinion.bayes > 0 && sign * opinion.grams > 0;
}

Learner::Result Learner::learn(const Digest& digest, const Features& features, const Lesson& lesson) {
  const auto found = known_.find(digest);
  Result result;
  if (found != known_.end()) {
    const Known& known = found->second;
    const bool same = known.step.verdict == lesson.verdict;
    if (lesson.authority < known.authority)
      return {.outcome = same ? Outcome::known : Outcome::outranked, .events = {}};
    if (same && lesson.authority == known.authority) return {.outcome = Outcome::known, .events = {}};
  }
  if (lesson.authority == Authority::user && !agreed(digest, features, lesson)) {
    const auto waits = reports_.find(digest);
    if (waits != reports_.end() && waits->second.verdict == lesson.verdict &&
        waits->second.reporter == lesson.reporter)
      return {.outcome = Outcome::waiting, .events = {}};
    Event event{.kind = Event::Kind::report,
                .authority = lesson.authority,
                .day = lesson.day,
                .digest = digest,
                .reporter = lesson.reporter,
                .step = {.verdict = lesson.verdict}};
    apply(event);
    result.outcome = Outcome::waiting;
    result.events.push_back(std::move(event));
    return result;
  }
  if (found != known_.end()) {
    const Step& before = found->second.step;
    result.outcome = before.verdict == lesson.verdict ? Outcome::learned : Outcome::changed;
    const auto tokens = moves_tokens(before) ? features.tokens() : std::span<const Feature>();
    const auto grams = before.grams != 0 ? features.grams() : std::span<const Feature>();
    if (fingerprint_of(tokens, grams) != found->second.fingerprint)
      return {.outcome = Outcome::different, .events = {}};
    if (auto forgotten = forget(digest, tokens, grams)) result.events.push_back(std::move(*forgotten));
  }
  const Step step = model_.plan(features, lesson.verdict, scale_of(lesson.authority));
  result.events.push_back(event_of(digest, features, step, lesson));
  apply(result.events.back());
  return result;
}

std::optional<Event> Learner::forget(const Digest& digest, std::span<const Feature> tokens,
                                     std::span<const Feature> grams) {
  const auto found = known_.find(digest);
  if (found == known_.end()) return std::nullopt;
  Event event{.kind = Event::Kind::forget,
              .authority = found->second.authority,
              .digest = digest,
              .step = found->second.step,
              .tokens = {tokens.begin(), tokens.end()},
              .grams = {grams.begin(), grams.end()}};
  apply(event);
  return event;
}

std::optional<Event> Learner::age(std::uint16_t today) {
  if (today < aged_ + kAgeEveryDays) return std::nullopt;
  Event event{.kind = Event::Kind::age, .authority = Authority::automatic, .day = today};
  // Nothing is learned yet: there is nothing to walk over.
  if (known_.empty() && aged_ == 0) {
    aged_ = today;
    return std::nullopt;
  }
  apply(event);
  return event;
}

void Learner::remember(const Event& event) {
  const Known known{.step = event.step,
                    .authority = event.authority,
                    .fingerprint = fingerprint_of(event.tokens, event.grams)};
  const auto [at, inserted] = known_.insert_or_assign(event.digest, known);
  if (!inserted) return;
  known_order_.push_back(event.digest);
  // Places of forgotten messages are passed over.
  while (known_.size() > kKnownMax) {
    known_.erase(known_order_.front());
    known_order_.pop_front();
  }
}

void Learner::remember_report(const Event& event) {
  const Report report{.verdict = event.step.verdict, .reporter = event.reporter};
  if (!reports_.insert_or_assign(event.digest, report).second) return;
  report_order_.push_back(event.digest);
  while (reports_.size() > kReportsMax) {
    reports_.erase(report_order_.front());
    report_order_.pop_front();
  }
}

void Learner::apply(const Event& event) {
  switch (event.kind) {
    case Event::Kind::learn:
      model_.apply(event.tokens, event.grams, event.step, event.day);
      if (reports_.erase(event.digest) > 0)
        report_order_.erase(std::ranges::find(report_order_, event.digest));
      remember(event);
      return;
    case Event::Kind::forget:
      model_.revert(event.tokens, event.grams, event.step);
      if (known_.erase(event.digest) > 0) known_order_.erase(std::ranges::find(known_order_, event.digest));
      return;
    case Event::Kind::report:
      remember_report(event);
      return;
    case Event::Kind::age:
      model_.age(event.day, kAgeDays);
      aged_ = event.day;
      return;
  }
}

void Learner::take_back(const Event& event) {
  switch (event.kind) {
    case Event::Kind::learn:
      model_.revert(event.tokens, event.grams, event.step);
      if (known_.erase(event.digest) > 0) known_order_.erase(std::ranges::find(known_order_, event.digest));
      return;
    case Event::Kind::forget:
      model_.apply(event.tokens, event.grams, event.step, event.day);
      remember(event);
      return;
    case Event::Kind::report:
      if (reports_.erase(event.digest) > 0)
        report_order_.erase(std::ranges::find(report_order_, event.digest));
      return;
    case Event::Kind::age:
      return;  // it is done again after a restart, on fewer days; the model is none the worse
  }
}

}  // namespace postern::filters::bayes
