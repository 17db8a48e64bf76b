#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// UTF-8 as RFC 3629 §4 writes it: the shortest form only, no surrogates, nothing over U+10FFFF. Pure.
namespace postern::smtp {

/// Octets of the well-formed sequence at the start of `text`, ASCII included; 0 when there is none.
std::size_t utf8_sequence(std::string_view text);
/// Appends the sequence for a code point; false for a surrogate or a value over U+10FFFF.
bool append_utf8(std::uint32_t code_point, std::string& out);

}  // namespace postern::smtp
