#include "filters/rules/rule_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "filters/message/content_field.h"
#include "filters/message/host.h"
#include "filters/rules/facts.h"

namespace postern::filters::rules {
namespace {

constexpr std::size_t kProtectedOctetsMin = 3;
constexpr std::string_view kNone = "none";

bool is_true(double value) {
  return value != 0;
}

double binary(Step::Kind kind, double a, double b) {
  switch (kind) {
    case Step::Kind::logical_and:
      return is_true(a) && is_true(b);
    case Step::Kind::logical_or:
      return is_true(a) || is_true(b);
    case Step::Kind::add:
      return a + b;
    case Step::Kind::subtract:
      return a - b;
    case Step::Kind::multiply:
      return a * b;
    case Step::Kind::divide:
      return b == 0 ? 0 : a / b;
    case Step::Kind::equal:
      return a == b;
    case Step::Kind::not_equal:
      return a != b;
    case Step::Kind::less:
      return a < b;
    case Step::Kind::less_equal:
      return a <= b;
    case Step::Kind::greater:
      return a > b;
    case Step::Kind::greater_equal:
      return a >= b;
    default:
      return 0;
  }
}

/// What was found out about the sender by one method: "pass" where anything passed, otherwise the first result.
std::string_view authentication_result(const Findings& findings, std::string_view method) {
  std::string_view result = kNone;
  for (const results::MethodResult& each : findings.authentication) {
    if (each.method != method) continue;
    if (each.result == "pass") return each.result;
    if (result == kNone) result = each.result;
  }
  return result;
}

bool is_off(const Rule& rule, const Settings& settings) {
  return rule.off || settings.disabled.contains(rule.name);
}

std::vector<bool> wanted_patterns(const RuleBook& book, const Settings& settings) {
  std::vector<bool> wanted(book.patterns.size());
  for (const Rule& rule : book.rules)
    for (const Step& step : rule.when.steps)
      if (step.kind == Step::Kind::pattern && !is_off(rule, settings)) wanted[step.index] = true;
  return wanted;
}

}  // namespace

/// One message under one set: values are worked out in order_, each fact once.
class RuleSet::Evaluation {
 public:
  Evaluation(const RuleSet& set, const Scanned& scanned, const Findings& others)
      : set_(set), scanned_(scanned), others_(others), values_(set.book_.rules.size()) {}

  std::vector<double> run() {
    for (const std::uint32_t rule : set_.order_)
      if (!set_.disabled_[rule]) values_[rule] = value_of(set_.book_.rules[rule].when);
    return std::move(values_);
  }

 private:
  double value_of(const Expression& expression) {
    stack_.clear();
    for (const Step& step : expression.steps) {
      switch (step.kind) {
        case Step::Kind::number:
          stack_.push_back(step.number);
          break;
        case Step::Kind::pattern:
          stack_.push_back(pattern(step.index));
          break;
        case Step::Kind::fact:
          stack_.push_back(fact(step.index));
          break;
        case Step::Kind::count:
          stack_.push_back(static_cast<double>(scanned_.reading.count(set_.book_.subjects[step.index])));
          break;
        case Step::Kind::rule:
          stack_.push_back(step.index == kAbsent ? 0 : values_[step.index]);
          break;
        case Step::Kind::finding:
          stack_.push_back(std::ranges::find(others_.found, set_.book_.names[step.index], &Finding::name) !=
                           others_.found.end());
          break;
        case Step::Kind::logical_not:
          stack_.back() = !is_true(stack_.back());
          break;
        case Step::Kind::negate:
          stack_.back() = -stack_.back();
          break;
        default: {
          const double b = stack_.back();
          stack_.pop_back();
          stack_.back() = binary(step.kind, stack_.back(), b);
        }
      }
    }
    return stack_.empty() ? 0 : stack_.back();
  }

  double pattern(std::uint32_t index) const {
    const Pattern& pattern = set_.book_.patterns[index];
    const Subject& subject = set_.book_.subjects[pattern.subject];
    double count = scanned_.hits.counts[index];
    if (subject.field == Field::authentication)
      count = set_.index_.matches(index, authentication_result(others_, subject.name));
    return pattern.inverted ? !is_true(count) : count;
  }

  double fact(std::uint32_t index) {
    const auto [known, fresh] = facts_.try_emplace(index, 0);
    if (fresh) known->second = fact_value(index, scanned_.reading);
    return known->second;
  }

  friend class RuleSet;
  static constexpr std::uint32_t kAbsent = ~0U;

  const RuleSet& set_;
  const Scanned& scanned_;
  const Findings& others_;
  std::vector<double> values_, stack_;
  std::unordered_map<std::uint32_t, double> facts_;
};

std::expected<std::shared_ptr<const RuleSet>, std::vector<Problem>> RuleSet::compile(
    RuleBook book, const Settings& settings) {
  auto set = std::make_shared<RuleSet>();
  set->book_ = std::move(book);
  std::vector<Problem> problems;
  if (!set->resolve(problems) || !set->order(problems)) return std::unexpected(std::move(problems));
  set->apply(settings);
  auto index = PatternIndex::compile(set->book_, wanted_patterns(set->book_, settings), settings.cached);
  if (!index) return std::unexpected(std::move(index.error()));
  set->index_ = *std::move(index);
  return set;
}

/// Names of rules to their places.
bool RuleSet::resolve(std::vector<Problem>& problems) {
  std::unordered_map<std::string_view, std::uint32_t> places;
  for (std::uint32_t i = 0; i < book_.rules.size(); ++i) places.emplace(book_.rules[i].name, i);
  for (Rule& rule : book_.rules)
    for (Step& step : rule.when.steps) {
      if (step.kind != Step::Kind::rule) continue;
      const std::string& name = book_.names[step.index];
      const auto found = places.find(name);
      // SpamAssassin's rules mention others that only some plugin would bring: these are false there, too.
      if (found == places.end() && !rule.imported)
        problems.push_back(
            {.place = rule.place, .what = fmt::format("{} mentions {}, which is no rule", rule.name, name)});
      step.index = found == places.end() ? Evaluation::kAbsent : found->second;
    }
  return problems.empty();
}

/// Depth first without recursion.
bool RuleSet::order(std::vector<Problem>& problems) {
  enum class Mark : unsigned char { fresh, open, done };
  std::vector<Mark> marks(book_.rules.size(), Mark::fresh);
  std::vector<std::pair<std::uint32_t, std::size_t>> path;  // a rule and the step it is at
  for (std::uint32_t root = 0; root < book_.rules.size(); ++root) {
    if (marks[root] != Mark::fresh) continue;
    path.emplace_back(root, 0);
    marks[root] = Mark::open;
    while (!path.empty()) {
      auto& [rule, at] = path.back();
      const std::vector<Step>& steps = book_.rules[rule].when.steps;
      while (at < steps.size() &&
             (steps[at].kind != Step::Kind::rule || steps[at].index == Evaluation::kAbsent))
        ++at;
      if (at == steps.size()) {
        marks[rule] = Mark::done;
        order_.push_back(rule);
        path.pop_back();
        continue;
      }
      const std::uint32_t next = steps[at++].index;
      if (marks[next] == Mark::open) {
        problems.push_back({.place = book_.rules[next].place,
                            .what = fmt::format("{} depends on itself through {}", book_.rules[next].name,
                                                book_.rules[rule].name)});
        return false;
      }
      if (marks[next] == Mark::done) continue;
      marks[next] = Mark::open;
      path.emplace_back(next, 0);
    }
  }
  return true;
}

void RuleSet::apply(const Settings& settings) {
  protected_ = settings.protected_names;
  disabled_.resize(book_.rules.size());
  for (std::size_t i = 0; i < book_.rules.size(); ++i) {
    const Rule& rule = book_.rules[i];
    double score = rule.score;
    const auto of_profile =
        std::ranges::find(rule.scores, settings.profile, &std::pair<std::string, double>::first);
    if (of_profile != rule.scores.end()) score = of_profile->second;
    if (const auto own = settings.scores.find(rule.name); own != settings.scores.end()) score = own->second;
    scores_.push_back(score);
    disabled_[i] = is_off(rule, settings);
  }
  for (const auto& [name, score] : settings.scores)
    if (book_.find(name) == nullptr) unknown_.push_back(name);
  for (const std::string& name : settings.disabled)
    if (book_.find(name) == nullptr) unknown_.push_back(name);
}

std::string RuleSet::key_of(const RuleBook& book, const Settings& settings) {
  return PatternIndex::key_of(book, wanted_patterns(book, settings));
}

std::unique_ptr<const Scanned> RuleSet::scan(const Envelope& envelope, const Analysis& analysis,
                                             const Content& content) const {
  std::unique_ptr<Scanned> scanned(
      new Scanned{.reading = Reading(envelope, analysis, content, protected_), .hits = {}});
  scanned->hits = index_.scan(scanned->reading);
  return scanned;
}

std::vector<double> RuleSet::evaluate(const Scanned& scanned, const Findings& others) const {
  return Evaluation(*this, scanned, others).run();
}

std::string RuleSet::evidence(std::size_t rule, const Scanned& scanned,
                              std::span<const double> values) const {
  const Rule& it = book_.rules[rule];
  std::string text = it.description.empty() ? "the rule holds" : it.description;
  for (const Step& step : it.when.steps) {
    if (step.kind == Step::Kind::pattern && scanned.hits.counts[step.index] > 0) {
      const std::string excerpt = index_.excerpt(step.index, scanned.hits);
      if (!excerpt.empty()) return fmt::format("{}: \"{}\"", text, excerpt);
    }
    if (step.kind != Step::Kind::rule || step.index == Evaluation::kAbsent || !is_true(values[step.index]))
      continue;
    for (const Step& inner : book_.rules[step.index].when.steps)
      if (inner.kind == Step::Kind::pattern && scanned.hits.counts[inner.index] > 0)
        return fmt::format("{}: \"{}\"", text, index_.excerpt(inner.index, scanned.hits));
  }
  if (const ProtectedName* name = scanned.reading.impersonated();
      name != nullptr && std::ranges::any_of(it.when.steps, [](const Step& step) {
        return step.kind == Step::Kind::fact && fact_name(step.index) == "from.impersonates";
      }))
    return fmt::format("{}: {}, which belongs to {}, from {}", text, name->name, name->domain,
                       scanned.reading.from_domain());
  return text;
}

void RuleSet::report(const Scanned& scanned, Findings& findings) const {
  const std::vector<double> values = evaluate(scanned, findings);
  std::vector<double> left;
  for (const Group& group : book_.groups) left.push_back(group.cap);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Rule& rule = book_.rules[i];
    if (!is_true(values[i]) || rule.hidden()) continue;
    Finding finding{.name = rule.name, .score = scores_[i], .evidence = evidence(i, scanned, values)};
    if (rule.group >= 0 && finding.score > 0) {
      double& room = left[static_cast<std::size_t>(rule.group)];
      const double counted = std::min(finding.score, room);
      room -= counted;
      if (counted < finding.score) {
        finding.evidence += fmt::format(" (of {} points: {} count at most {} together)", finding.score,
                                        book_.groups[static_cast<std::size_t>(rule.group)].name,
                                        book_.groups[static_cast<std::size_t>(rule.group)].cap);
        finding.score = counted;
      }
    }
    findings.found.push_back(std::move(finding));
  }
  if (scanned.hits.limited)
    findings.found.push_back(
        {.name = "RULES_LIMIT", .score = 0, .evidence = "some patterns were given up: too many steps"});
}

std::optional<ProtectedName> protected_name(std::string_view name, std::string_view domain) {
  ProtectedName made{.name = std::string(name), .folded = skeleton(name), .domain = normal_host(domain)};
  if (made.folded.size() < kProtectedOctetsMin || made.domain.empty()) return std::nullopt;
  return made;
}

}  // namespace postern::filters::rules
