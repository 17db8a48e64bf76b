#pragma once

#include <expected>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "filters/rules/pattern_index.h"
#include "filters/rules/reading.h"
#include "filters/rules/rule.h"
#include "filters/verdict.h"

namespace postern::filters::rules {

/// What the postmaster decides about rules that others wrote.
struct Settings {
  std::string profile;                                ///< whose scores count; empty: the first
  std::map<std::string, double, std::less<>> scores;  ///< instead of the rules' own
  std::set<std::string, std::less<>> disabled;        ///< never true, also in others' conditions
  std::vector<ProtectedName> protected_names;
  std::string cached;  ///< what RuleSet::cache() gave once; empty: none
};

/// What one message is under one rule set, before anything but the message and its envelope counts. Holds views into what it was made of,
/// which must outlive it and not move.
struct Scanned {
  Reading reading;
  Hits hits;
};

/// Rules compiled. Immutable, shared by all cores; a reload makes a new one.
class RuleSet {
 public:
  /// All problems, not the first. Takes long where nothing is cached: not for a reactor.
  static std::expected<std::shared_ptr<const RuleSet>, std::vector<Problem>> compile(
      RuleBook book, const Settings& settings);

  /// Looks through a message: the costly part, independent of what DNS says.
  std::unique_ptr<const Scanned> scan(const Envelope& envelope, const Analysis& analysis,
                                      const Content& content) const;
  /// Whether each rule is true, by its place in rules(), given what the other checks found.
  std::vector<double> evaluate(const Scanned& scanned, const Findings& others) const;
  /// The same as findings, behind those that are there, with evidence; what a group's cap cuts off is left out of the score and said.
  void report(const Scanned& scanned, Findings& findings) const;

  const std::vector<Rule>& rules() const { return book_.rules; }
  const RuleBook& book() const { return book_; }
  const PatternIndex& patterns() const { return index_; }
  double score(std::size_t rule) const { return scores_[rule]; }
  /// For Settings::cached.
  std::string cache() const { return index_.cache(); }
  /// What a cache depends on: the library, this machine and every pattern that is looked for.
  static std::string key_of(const RuleBook& book, const Settings& settings);
  bool restored() const { return index_.restored(); }
  /// Settings that name rules which are not there.
  const std::vector<std::string>& unknown() const { return unknown_; }

 private:
  class Evaluation;
  bool resolve(std::vector<Problem>& problems);
  bool order(std::vector<Problem>& problems);
  void apply(const Settings& settings);
  std::string evidence(std::size_t rule, const Scanned& scanned, std::span<const double> values) const;

  RuleBook book_;
  PatternIndex index_;
  std::vector<ProtectedName> protected_;
  std::vector<double> scores_;
  std::vector<bool> disabled_;
  std::vector<std::uint32_t> order_;  // a rule after those that it mentions
  std::vector<std::string> unknown_;
};

/// The name as Settings has it. Nothing where it has fewer than three letters.
std::optional<ProtectedName> protected_name(std::string_view name, std::string_view domain);

}  // namespace postern::filters::rules
