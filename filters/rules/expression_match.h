#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "filters/rules/rule.h"

struct pcre2_real_code_8;

namespace postern::filters::rules {

/// How much matching one message may cost where Hyperscan does not do it. Counted in the library's own steps, not in time: a verdict
/// must not depend on how busy the machine is.
class StepBudget {
 public:
  static constexpr unsigned kStepsMax = 2'000'000;  ///< of one message
  static constexpr unsigned kStepsPerMatchMax = 100'000;
  static constexpr unsigned kStepsOfAnyMatch = 1'000;  ///< charged for each attempt besides
  bool exhausted() const { return left_ == 0; }
  unsigned for_one() const { return left_ < kStepsPerMatchMax ? left_ : kStepsPerMatchMax; }
  void charge(unsigned steps) { left_ -= steps < left_ ? steps : left_; }
  bool limited() const { return limited_; }
  void note_limit() { limited_ = true; }

 private:
  unsigned left_ = kStepsMax;
  bool limited_ = false;
};

/// One pattern as PCRE2 has it: for what Hyperscan can only narrow down, for counting, and for showing what was found. Immutable.
class Matcher {
 public:
  struct Failure {
    std::size_t offset = 0;  ///< in the expression
    std::string what;
  };
  static std::expected<Matcher, Failure> compile(const Pattern& pattern);

  /// Where the first match from `from` on lies: begin and end. Nothing where there is none or the budget is used up.
  std::optional<std::pair<std::size_t, std::size_t>> find(std::string_view text, std::size_t from,
                                                          StepBudget& budget) const;

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

}  // namespace postern::filters::rules
