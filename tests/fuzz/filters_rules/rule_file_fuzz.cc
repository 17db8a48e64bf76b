// A file of our rule language: whatever it says, every mistake has a place in it, and what was read can be ordered or refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "filters/rules/language.h"
#include "filters/rules/literals.h"
#include "filters/rules/rule.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::filters::rules;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RuleBook book;
  const auto problems = read_rules(text, "fuzz", book);
  for (const Problem& problem : problems)
    if (problem.place.line == 0 || problem.place.column == 0 || problem.what.empty()) std::abort();
  for (const Rule& rule : book.rules) {
    if (rule.when.steps.empty() || rule.when.steps.size() > Expression::kStepsMax) std::abort();
    std::size_t depth = 0;  // of the stack that evaluation needs
    for (const Step& step : rule.when.steps) {
      const bool operand = step.kind <= Step::Kind::finding;
      const bool unary = step.kind == Step::Kind::logical_not || step.kind == Step::Kind::negate;
      if (!operand && depth < (unary ? 1U : 2U)) std::abort();
      if (operand) ++depth;
      if (!operand && !unary) --depth;
    }
    if (depth != 1) std::abort();
  }
  for (const Pattern& pattern : book.patterns)
    if (required_literal(pattern.expression, pattern.extended) > pattern.expression.size()) std::abort();
  return 0;
}
