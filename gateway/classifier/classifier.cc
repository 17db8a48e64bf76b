#include "gateway/classifier/classifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace postern::classifier {
namespace {

using Outcome = bayes::Learner::Outcome;

/// Memory that is used again from message to message.
bayes::Features& scratch() {
  static thread_local bayes::Features features;
  return features;
}

unsigned bits_of(std::uint64_t octets) {
  octets = std::clamp(octets, Classifier::kTableOctetsMin, Classifier::kTableOctetsMax);
  return static_cast<unsigned>(std::bit_width(octets / bayes::Table::kSlotOctets)) - 1;
}

std::uint16_t day_number(std::chrono::sys_days day) {
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>(day.time_since_epoch().count(), 0, UINT16_MAX));
}

}  // namespace

Classifier::Classifier(std::unique_ptr<storage::training::Files> files, unsigned bits)
    : files_(std::move(files)), extractor_(files_->secret()), learner_(bits) {}

Classifier::~Classifier() = default;

std::expected<std::unique_ptr<Classifier>, storage::Error> Classifier::open(
    const Options& options, std::vector<std::string>& warnings) {
  auto files = storage::training::Files::open(options.folder, warnings);
  if (!files) return std::unexpected(std::move(files.error()));
  storage::training::Files& folder = **files;
  const unsigned wanted = bits_of(options.table_octets);
  const auto snapshot = folder.take_snapshot();
  const unsigned bits = snapshot ? bayes::Learner::snapshot_bits(*snapshot).value_or(wanted) : wanted;
  if (bits != wanted)
    warnings.push_back(fmt::format(
        "{}: the classifier was trained with a table of {} octets and keeps it; another size needs "
        "training anew, in an empty folder",
        options.folder.string(), bayes::Table::kSlotOctets << bits));
  std::unique_ptr<Classifier> made(new Classifier(std::move(*files), bits));
  if (snapshot) {
    if (const auto read = made->learner_.read_snapshot(*snapshot); !read) {
      folder.set_snapshot_aside(warnings);
      warnings.push_back(fmt::format("the snapshot of the classifier: octet {}: {}", read.error().position,
                                     read.error().rule));
      auto taken = std::move(made->files_);
      made.reset(new Classifier(std::move(taken), wanted));
    }
  }
  const auto replayed = folder.replay(
      [&made](std::string_view record) {
        const auto event = bayes::decode_event(record);
        if (event) made->learner_.apply(*event);
        return event.has_value();
      },
      warnings);
  if (!replayed) return std::unexpected(replayed.error());
  return made;
}

Classification Classifier::classify(const filters::Analysis& analysis, const filters::Content& content,
                                    std::span<const std::string> facts) const {
  bayes::Features& features = scratch();
  extractor_.run(analysis, content, facts, features);
  const bayes::Model& model = learner_.model();
  return {.opinion = model.classify(features),
          .evidence = model.strongest(features, kEvidence),
          .truncated = features.truncated()};
}

Classification Classifier::classify(std::string_view message, std::span<const std::string> facts,
                                    bool evidence) const {
  const auto analysis = filters::Analysis::of(message);
  const auto content = filters::Content::of(analysis);
  if (evidence) return classify(analysis, content, facts);
  bayes::Features& features = scratch();
  extractor_.run(analysis, content, facts, features);
  return {.opinion = learner_.model().classify(features), .evidence = {}, .truncated = features.truncated()};
}

std::expected<Outcome, storage::Error> Classifier::learn(std::string_view message,
                                                         std::span<const std::string> facts,
                                                         const Lesson& lesson) {
  const auto analysis = filters::Analysis::of(message);
  const auto content = filters::Content::of(analysis);
  bayes::Features& features = scratch();
  extractor_.run(analysis, content, facts, features);
  const bayes::Digest digest = bayes::digest_of(analysis);
  const bayes::Lesson what{.verdict = lesson.verdict,
                           .authority = lesson.authority,
                           .reporter = bayes::Hasher(files_->secret())(1, lesson.reporter),
                           .day = day_number(lesson.day)};

  const std::lock_guard guard(writing_);
  std::vector<bayes::Event> events;
  if (auto aged = learner_.age(what.day)) events.push_back(std::move(*aged));
  auto result = learner_.learn(digest, features, what);
  Outcome outcome = result.outcome;
  if (outcome == Outcome::different) {
    // What was learned is in the journal with the features of then, unless that is long ago: then it stays learned.
    if (!forget_from_journal(digest, events)) {
      auto kept = keep(events);
      if (!kept) return std::unexpected(std::move(kept.error()));
      return outcome;
    }
    result = learner_.learn(digest, features, what);
    outcome = Outcome::changed;
  }
  std::ranges::move(result.events, std::back_inserter(events));
  auto kept = keep(events);
  if (!kept) return std::unexpected(std::move(kept.error()));
  return outcome;
}

/// Takes a message's step away with the features that the journal has.
bool Classifier::forget_from_journal(const bayes::Digest& digest, std::vector<bayes::Event>& events) {
  std::optional<bayes::Event> learned;
  files_->for_each_kept([&](std::string_view record) {
    auto event = bayes::decode_event(record);
    if (event && event->kind == bayes::Event::Kind::learn && event->digest == digest)
      learned = std::move(*event);
    return true;
  });
  if (!learned) return false;
  auto forgotten = learner_.forget(digest, learned->tokens, learned->grams);
  if (!forgotten) return false;
  events.push_back(std::move(*forgotten));
  return true;
}

/// Writes what has been applied; what cannot be written is taken back, so that memory and disk agree.
std::expected<void, storage::Error> Classifier::keep(std::vector<bayes::Event>& events) {
  std::string record;
  for (std::size_t i = 0; i < events.size(); ++i) {
    bayes::encode(events[i], record);
    auto written = files_->append(record);
    if (written) continue;
    for (std::size_t back = events.size(); back-- > i;) learner_.take_back(events[back]);
    return written;
  }
  if (files_->journal_octets() < kJournalOctetsMax) return {};
  return fold();
}

std::expected<void, storage::Error> Classifier::fold() {
  return files_->replace_snapshot(
      [this](const storage::training::Files::Sink& sink) { learner_.write_snapshot(sink); });
}

std::expected<void, storage::Error> Classifier::sync() {
  const std::lock_guard guard(writing_);
  return files_->sync();
}

std::expected<void, storage::Error> Classifier::close() {
  const std::lock_guard guard(writing_);
  if (files_->journal_octets() >= kJournalOctetsMax / 4) return fold();
  return files_->sync();
}

Classifier::Figures Classifier::figures() const {
  const bayes::Model& model = learner_.model();
  const auto ham = model.total(bayes::Model::kHam), spam = model.total(bayes::Model::kSpam);
  return {.ham = static_cast<std::uint64_t>(std::max<std::int64_t>(ham, 0)),
          .spam = static_cast<std::uint64_t>(std::max<std::int64_t>(spam, 0)),
          .table_octets = model.table().size() * bayes::Table::kSlotOctets,
          .trained = std::min(ham, spam) >= bayes::Model::kTrainedMin};
}

}  // namespace postern::classifier
