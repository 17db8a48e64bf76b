#pragma once

#include <string>
#include <string_view>

namespace postern::filters::bayes {

// Cutting texts into what becomes tokens. All linear; views are into the text given.

inline constexpr std::size_t kWordOctetsMax = 40;  ///< longer ones are told by their length

/// The next word of a text, which is advanced behind it; empty at the end. A word is a run of letters, digits, octets above 127 and
/// the marks that hold words and prices together, without such marks at its ends.
std::string_view next_word(std::string_view& text);

/// The next run without blanks or the separators of header fields (brackets, quotes, comma, semicolon, equals sign).
std::string_view next_atom(std::string_view& text);

/// What a text is made of, not what it says: runs of digits, lower and upper letters become 9, a, A with a class of length, other
/// octets stand. At most 40 octets.
std::string shape(std::string_view text);

/// Lower case of ASCII letters into `out`, which is replaced.
std::string_view lowered(std::string_view text, std::string& out);

/// Whether it looks like an IPv4 address.
bool is_ipv4(std::string_view text);

/// A power of two that tells the size: "0", "1", "2", "4", …
std::string size_class(std::size_t value);

}  // namespace postern::filters::bayes
