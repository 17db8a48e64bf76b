#include "filters/envelope.h"

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

}  // namespace postern::filters
