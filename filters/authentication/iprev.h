#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "filters/facts.h"
#include "filters/ip.h"

namespace postern::filters::authentication {

/// RFC 8601 §2.7.3, spelled as printed there.
enum class IprevResult : std::uint8_t { pass, fail, temperror, permerror };
std::string_view to_string(IprevResult result);

struct Iprev {
  IprevResult result = IprevResult::permerror;
  std::string name;    ///< after pass: the reverse name that leads back to the address; normal form
  std::string reason;  ///< why there is no pass
};

/// Names of one address that are looked at; who publishes more gets no further (as RFC 7208 §4.6.4 has it for ptr).
inline constexpr std::size_t kReverseNamesMax = 10;

/// Whether the address has a name that has the address. Nothing: answers are missing, the questions are noted. Of several such
/// names the first in alphabetical order is named: servers give them in any order.
std::optional<Iprev> check_iprev(const Ip& ip, Facts& facts);

}  // namespace postern::filters::authentication
