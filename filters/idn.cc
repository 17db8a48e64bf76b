#include "filters/idn.h"

#include <idn2.h>

#include <algorithm>

#include "filters/dns.h"

namespace postern::filters {

std::optional<std::string> ascii_domain(std::string_view domain) {
  if (std::ranges::all_of(domain, [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
    return dns::normal_name(domain);
  if (domain.size() > 4 * dns::kNameOctetsMax || domain.find('\0') != std::string_view::npos)
    return std::nullopt;
  char* ascii = nullptr;
  if (idn2_to_ascii_8z(std::string(domain).c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
    return std::nullopt;
  auto name = dns::normal_name(ascii);
  idn2_free(ascii);
  return name;
}

}  // namespace postern::filters
