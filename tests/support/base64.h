#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postern::support {

/// Base64 of RFC 4648 §4 with padding and nothing else, as it carries octets in JSON; nullopt for anything else.
inline std::optional<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string octets;
  octets.reserve(text.size() / 4 * 3);
  unsigned held = 0;
  unsigned bits = 0;
  for (const char c : text.substr(0, text.size() - padding)) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    held = (held << 6 | static_cast<unsigned>(digit)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    octets += static_cast<char>(held >> bits & 0xff);
  }
  return octets;
}

}  // namespace postern::support
