#pragma once

#include <cstddef>
#include <string_view>

namespace postern::filters::rules {

/// The length of the longest run of literal octets that every match of the pattern (PCRE syntax) has, as far as it can be seen without
/// much thought: 0 where nothing is sure. A pattern with such a run costs next to nothing where the run does not occur; one without is
/// tried at every octet. Errs on the low side; linear.
std::size_t required_literal(std::string_view expression, bool extended = false);

/// From here on a pattern counts as anchored in a literal.
inline constexpr std::size_t kLiteralOctetsMin = 3;

}  // namespace postern::filters::rules
