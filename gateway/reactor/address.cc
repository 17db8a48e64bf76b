#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "gateway/reactor/check.h"
#include "gateway/reactor/sockaddr.h"
#include "gateway/reactor/socket.h"

namespace postern::reactor {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kPathOctetsMax = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kQuotedOctetsMax = 120;  // of a wrong text, in its error

std::unexpected<Error> wrong(std::string_view text, std::size_t position, std::string_view rule) {
  std::string quoted;
  for (const char c : text.substr(0, kQuotedOctetsMax)) quoted += c >= 0x20 && c < 0x7f ? c : '?';
  if (text.size() > kQuotedOctetsMax) quoted += "...";
  return std::unexpected(
      Error{.code = Errc::invalid,
            .system_error = 0,
            .context = fmt::format("address \"{}\", octet {}: {}", quoted, position + 1, rule)});
}

std::expected<Address, Error> parse_unix(std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  if (path.empty()) return wrong(text, kUnixPrefix.size(), "a path is expected");
  if (path.size() > kPathOctetsMax)
    return wrong(text, kUnixPrefix.size() + kPathOctetsMax,
                 fmt::format("the path of a Unix socket has at most {} octets", kPathOctetsMax));
  if (const std::size_t nul = path.find('\0'); nul != std::string_view::npos)
    return wrong(text, kUnixPrefix.size() + nul, "a path holds no NUL");
  Address address;
  address.path = path;
  return address;
}

/// Octets 0 to 5 of decimal port at `position` of `text`, to its end.
std::expected<std::uint16_t, Error> parse_port(std::string_view text, std::size_t position) {
  constexpr std::size_t kDigitsMax = 5;
  constexpr unsigned kPortMax = 65535;
  const std::string_view digits = text.substr(position);
  if (digits.empty()) return wrong(text, position, "a port is expected");
  unsigned port = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] < '0' || digits[i] > '9')
      return wrong(text, position + i, "a digit of the port is expected");
    if (i == kDigitsMax) return wrong(text, position + i, "a port has at most five digits");
    port = port * 10 + static_cast<unsigned>(digits[i] - '0');
  }
  if (port > kPortMax) return wrong(text, position, "a port is at most 65535");
  if (digits.size() > 1 && digits[0] == '0') return wrong(text, position, "a port has no leading zero");
  return static_cast<std::uint16_t>(port);
}

}  // namespace

std::expected<Address, Error> Address::parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return parse_unix(text);

  const bool bracketed = text.starts_with('[');
  const std::size_t begin = bracketed ? 1 : 0;
  const std::size_t end = text.find(bracketed ? ']' : ':', begin);
  if (end == std::string_view::npos)
    return wrong(text, text.size(),
                 bracketed ? "a closing bracket is expected" : "a colon and a port are expected");
  const std::string_view host = text.substr(begin, end - begin);
  const auto ip = filters::Ip::parse(host);
  // IPv6 needs its brackets (RFC 3986 §3.2.2 has the reason: the colons), and IPv4 has none.
  if (!ip || (host.find(':') != std::string_view::npos) != bracketed)
    return wrong(text, begin, bracketed ? "an IPv6 address is expected" : "an IPv4 address is expected");
  const std::size_t colon = bracketed ? end + 1 : end;
  if (colon >= text.size() || text[colon] != ':')
    return wrong(text, colon, "a colon and a port are expected");
  const auto port = parse_port(text, colon + 1);
  if (!port) return std::unexpected(port.error());
  Address address;
  address.ip = *ip;
  address.port = *port;
  return address;
}

std::string Address::text() const {
  if (is_unix()) return fmt::format("{}{}", kUnixPrefix, path);
  if (ip.empty()) return "unnamed";
  return ip.is_v6() ? fmt::format("[{}]:{}", ip.text(), port) : fmt::format("{}:{}", ip.text(), port);
}

KernelAddress to_kernel(const Address& address) {
  KernelAddress kernel;
  if (address.is_unix()) {
    POSTERN_CHECK(address.path.size() <= kPathOctetsMax);
    auto& to = reinterpret_cast<sockaddr_un&>(kernel.storage);
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, address.path.data(), address.path.size());
    kernel.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
  } else if (address.ip.is_v6()) {
    auto& to = reinterpret_cast<sockaddr_in6&>(kernel.storage);
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(address.port);
    std::memcpy(&to.sin6_addr, address.ip.octets().data(), sizeof to.sin6_addr);
    kernel.length = sizeof(sockaddr_in6);
  } else {
    auto& to = reinterpret_cast<sockaddr_in&>(kernel.storage);
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    if (address.ip.is_v4()) std::memcpy(&to.sin_addr, address.ip.octets().data(), sizeof to.sin_addr);
    kernel.length = sizeof(sockaddr_in);
  }
  return kernel;
}

Address from_kernel(const KernelAddress& kernel) {
  Address address;
  switch (kernel.storage.ss_family) {
    case AF_INET: {
      const auto& from = reinterpret_cast<const sockaddr_in&>(kernel.storage);
      std::array<std::uint8_t, 4> octets;
      std::memcpy(octets.data(), &from.sin_addr, octets.size());
      address.ip = filters::Ip::v4(octets);
      address.port = ntohs(from.sin_port);
      break;
    }
    case AF_INET6: {
      const auto& from = reinterpret_cast<const sockaddr_in6&>(kernel.storage);
      std::array<std::uint8_t, 16> octets;
      std::memcpy(octets.data(), &from.sin6_addr, octets.size());
      address.ip = filters::Ip::v6(octets);
      address.port = ntohs(from.sin6_port);
      break;
    }
    case AF_UNIX: {
      const auto& from = reinterpret_cast<const sockaddr_un&>(kernel.storage);
      constexpr std::size_t kHead = offsetof(sockaddr_un, sun_path);
      if (kernel.length > kHead)
        address.path = std::string(from.sun_path, ::strnlen(from.sun_path, kernel.length - kHead));
      break;
    }
    default:
      break;
  }
  return address;
}

std::expected<Address, Error> local_address(int descriptor) {
  KernelAddress kernel;
  kernel.length = sizeof kernel.storage;
  if (::getsockname(descriptor, kernel.get(), &kernel.length) != 0)
    return std::unexpected(Error::from_errno(errno, "getsockname"));
  return from_kernel(kernel);
}

std::expected<Address, Error> peer_address(int descriptor) {
  KernelAddress kernel;
  kernel.length = sizeof kernel.storage;
  if (::getpeername(descriptor, kernel.get(), &kernel.length) != 0)
    return std::unexpected(Error::from_errno(errno, "getpeername"));
  return from_kernel(kernel);
}

}  // namespace postern::reactor
