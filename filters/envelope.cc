#include "filters/envelope.h"

#include <algorithm>

namespace postern::filters {

bool Envelope::client_counts() const {
  return !client_ip.empty() && protocol.find("LMTP") == std::string::npos;  // UTF8LMTPS as well
}

std::string_view domain_of(std::string_view address) {
  const std::size_t at = address.rfind('@');
  return at == std::string_view::npos ? std::string_view() : address.substr(at + 1);
}

std::string_view local_part_of(std::string_view address) {
  return address.substr(0, address.rfind('@'));
}

bool is_postmaster(std::string_view address) {
  constexpr std::string_view kPostmaster = "postmaster";
  return std::ranges::equal(local_part_of(address), kPostmaster, [](char c, char lower) {
    return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == lower;
  });
}

bool for_postmaster_only(const Envelope& envelope) {
  return !envelope.recipients.empty() && std::ranges::all_of(envelope.recipients, is_postmaster);
}

}  // namespace postern::filters
