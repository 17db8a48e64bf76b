// A file of SpamAssassin's syntax: what it leaves out is said, and what it takes compiles or is refused with a place.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "filters/rules/rule.h"
#include "filters/rules/spamassassin.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::filters::rules;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RuleBook book;
  const auto skipped = import_spamassassin(text, "fuzz.cf", book);
  for (const Problem& problem : skipped)
    if (problem.place.line == 0 || problem.what.empty()) std::abort();
  for (const Rule& rule : book.rules)
    if (rule.name.empty() || rule.when.steps.empty()) std::abort();
  for (const Pattern& pattern : book.patterns)
    if (pattern.subject >= book.subjects.size()) std::abort();
  return 0;
}
