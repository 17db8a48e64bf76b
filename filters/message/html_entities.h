#pragma once

#include <cstddef>
#include <string_view>

namespace postern::filters {

inline constexpr std::size_t kHtmlEntityOctetsMax = 20;  ///< of the longest name we know

/// The character of a named reference, 0 for a name that is not known. `name` without "&" and ";".
char32_t html_entity(std::string_view name);
/// The longest name at the start of `text` that counts without a semicolon; `length` is its octets.
char32_t html_entity_prefix(std::string_view text, std::size_t& length);

}  // namespace postern::filters
