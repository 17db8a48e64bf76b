#include "filters/rules/expression_match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

namespace postern::filters::rules {
namespace {

constexpr unsigned kDepthMax = 2'000;
constexpr unsigned kHeapKibiMax = 4'096;

struct FreeData {
  void operator()(pcre2_match_data_8* data) const { pcre2_match_data_free_8(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context_8* context) const { pcre2_match_context_free_8(context); }
};

}  // namespace

void Matcher::Free::operator()(pcre2_real_code_8* code) const {
  pcre2_code_free_8(code);
}

std::expected<Matcher, Matcher::Failure> Matcher::compile(const Pattern& pattern) {
  std::uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
  if (pattern.caseless) options |= PCRE2_CASELESS;
  if (pattern.multiline) options |= PCRE2_MULTILINE;
  if (pattern.dotall) options |= PCRE2_DOTALL;
  if (pattern.extended) options |= PCRE2_EXTENDED;
  int error = 0;
  PCRE2_SIZE offset = 0;
  Matcher made;
  made.code_.reset(pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(pattern.expression.data()),
                                   pattern.expression.size(), options, &error, &offset, nullptr));
  if (made.code_) return made;
  std::array<PCRE2_UCHAR8, 200> text{};
  (void)pcre2_get_error_message_8(error, text.data(), text.size());
  return std::unexpected(Failure{.offset = offset, .what = reinterpret_cast<const char*>(text.data())});
}

std::optional<std::pair<std::size_t, std::size_t>> Matcher::find(std::string_view text, std::size_t from,
                                                                 StepBudget& budget) const {
  if (budget.exhausted() || from > text.size()) {
    if (budget.exhausted()) budget.note_limit();
    return std::nullopt;
  }
  const std::unique_ptr<pcre2_match_data_8, FreeData> data(pcre2_match_data_create_8(1, nullptr));
  const std::unique_ptr<pcre2_match_context_8, FreeContext> context(pcre2_match_context_create_8(nullptr));
  if (!data || !context) return std::nullopt;
  const unsigned steps = budget.for_one();
  (void)pcre2_set_match_limit_8(context.get(), steps);
  (void)pcre2_set_depth_limit_8(context.get(), kDepthMax);
  (void)pcre2_set_heap_limit_8(context.get(), kHeapKibiMax);
  const int result = pcre2_match_8(code_.get(), reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), from,
                                   0, data.get(), context.get());
  budget.charge(StepBudget::kStepsOfAnyMatch);
  if (result < 0) {
    if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
    budget.note_limit();
    budget.charge(steps);
    return std::nullopt;
  }
  const PCRE2_SIZE* const bounds = pcre2_get_ovector_pointer_8(data.get());
  return std::pair<std::size_t, std::size_t>(bounds[0], bounds[1]);
}

}  // namespace postern::filters::rules
