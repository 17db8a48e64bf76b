#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::filters::crypto {

/// RFC 4648 §4, blanks and line ends left out (RFC 6376 §2.10 allows them anywhere). Padding must be right
/// where it stands and may be missing; a single left-over character is an error. Linear.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view octets);

}  // namespace postern::filters::crypto
