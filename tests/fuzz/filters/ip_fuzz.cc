// Addresses and networks as text: what is taken is written in one form, which reads back to the same, and the
// system agrees on what is an address.
#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "filters/ip.h"

namespace {

using postern::filters::Ip;
using postern::filters::Network;

void expect(bool condition) {
  if (!condition) std::abort();
}

void compare_with_system(const std::string& text, bool taken) {
  std::array<unsigned char, 16> octets{};
  const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  expect((inet_pton(family, text.c_str(), octets.data()) == 1) == taken);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto ip = Ip::parse(text);
  if (text.find('\0') == std::string::npos) compare_with_system(text, ip.has_value());
  if (ip) {
    expect(!ip->empty());
    expect(Ip::parse(ip->text()) == ip);
    expect(ip->masked(128) == *ip);
  }
  if (const auto network = Network::parse(text)) {
    expect(Network::parse(network->text()) == network);
    expect(network->contains(network->address()));
  }
  return 0;
}
