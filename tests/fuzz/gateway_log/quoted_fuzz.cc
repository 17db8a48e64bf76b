// Whatever octets a client sends, their quotation is one line of valid JSON, and what was text comes back
// unchanged.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "gateway/log/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string quoted = postern::log::quoted(text);
  for (const char c : quoted) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f)
      std::abort();  // a control character could end the line or steer a terminal
  }
  const auto parsed = nlohmann::json::parse(quoted, nullptr, false);
  if (!parsed.is_string()) std::abort();
  const std::string back = parsed.get<std::string>();
  if (back.find("\xEF\xBF\xBD") == std::string::npos && back != text)
    std::abort();  // nothing was replaced: nothing may differ
  return 0;
}
