#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "filters/rules/database.h"
#include "filters/rules/expression_match.h"
#include "filters/rules/reading.h"
#include "filters/rules/rule.h"

namespace postern::filters::rules {

/// What was found of each pattern in one message. Holds views into the Reading and its own strings; movable.
struct Hits {
  struct Where {
    std::string_view text;
    std::size_t end = 0;  ///< of the first match
  };
  std::vector<unsigned> counts;  ///< by pattern: 0 for nowhere; more than 1 only of those that count
  std::vector<Where> places;     ///< of what was found
  std::deque<std::string> values;
  bool limited = false;  ///< some matching was given up at StepBudget's limits
};

/// How a pattern is looked for.
enum class Speed : std::uint8_t {
  fast,   ///< in the first database, over all of the text
  slow,   ///< no literal to hold on to: in the second, over the first kSlowOctetsMax octets
  alone,  ///< beyond Hyperscan: by PCRE2, over as much
};

/// The pattern as Hyperscan is given it: it has no flag for blanks that do not count.
Database::Entry database_entry(const Pattern& pattern);

/// All patterns of a rule set, by kind of text in as few databases as there are kinds, twice: those that need a literal, and the others.
/// Immutable; many threads may scan at once.
class PatternIndex {
 public:
  static constexpr std::size_t kSlowOctetsMax = 64U << 10;

  /// Patterns that are not `wanted` are left out and never found. `cached` is what cache() gave; where it does not fit it is not used.
  static std::expected<PatternIndex, std::vector<Problem>> compile(const RuleBook& book,
                                                                   const std::vector<bool>& wanted,
                                                                   std::string_view cached);
  Hits scan(const Reading& reading) const;
  /// What the pattern found, readable, one line, at most kExcerptOctetsMax octets.
  static constexpr std::size_t kExcerptOctetsMax = 80;
  std::string excerpt(std::size_t pattern, const Hits& hits) const;
  /// Whether a pattern matches a text by itself.
  bool matches(std::size_t pattern, std::string_view text) const;

  /// The compiled databases with all that they depend on; restored(): they came from there.
  std::string cache() const;
  bool restored() const { return restored_; }
  /// What cache() begins with: the library, this machine and every pattern that is wanted.
  static std::string key_of(const RuleBook& book, const std::vector<bool>& wanted);

  std::size_t octets() const;  ///< of all databases
  Speed speed(std::size_t pattern) const { return entries_[pattern].speed; }
  bool prefiltered(std::size_t pattern) const { return entries_[pattern].prefilter; }

 private:
  enum class Kind : std::uint8_t { body, hidden, rawbody, message, url, value, none };
  static constexpr std::size_t kKinds = 6;
  struct Entry {
    Matcher matcher;
    Kind kind = Kind::none;
    Speed speed = Speed::fast;
    bool prefilter = false, counted = false;
    std::uint32_t subject = 0;
    std::string default_value;
    bool has_default = false;
  };
  class Scan;

  static Kind kind_of(Field field);
  std::vector<Database::Entry> entries_of(const RuleBook& book, Kind kind, Speed speed) const;
  void classify(const RuleBook& book);
  bool build(const RuleBook& book, std::vector<Problem>& problems);
  bool restore(std::string_view cached);

  std::vector<Entry> entries_;  // by pattern
  std::vector<Subject> subjects_;
  std::vector<std::uint32_t> values_;  // subjects that are values and looked at by patterns
  std::vector<std::size_t> alone_;
  std::array<std::array<Database, 2>, kKinds> databases_;  // by kind, then fast and slow
  std::string key_;
  bool restored_ = false;
};

}  // namespace postern::filters::rules
