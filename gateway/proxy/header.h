#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/ip.h"

namespace postern::proxy {

enum class Protocol : std::uint8_t { unknown, tcp4, tcp6, udp4, udp6, unix_stream, unix_datagram, local };
std::string_view to_string(Protocol protocol);  ///< unknown tcp4 tcp6 udp4 udp6 unix unix local

struct EndPoint {
  filters::Ip ip;
  std::uint16_t port = 0;
  std::string path;  ///< Unix addresses of version 2
};

struct Tlv {
  std::uint8_t type = 0;
  std::string value;
};

struct Header {
  int version = 0;
  Protocol protocol = Protocol::unknown;
  /// Set for every protocol but unknown. With local they are what the sender wrote and no client's: the
  /// connection's own addresses hold then, as with unknown. An IPv4-mapped address is folded to IPv4, so tcp6
  /// may carry an IPv4 Ip.
  EndPoint source, destination;
  std::vector<Tlv> tlvs;
  std::size_t consumed = 0;  ///< octets of the input that belong to the header; the rest is the client's
};

struct Error {
  std::size_t position = 0;
  std::string reason;
};

/// Longest header taken: version 1 has 107 octets at most; version 2 has 16 plus its length field, which we
/// bound.
inline constexpr std::size_t kHeaderOctetsMax = 16 + 4096;

/// Reads a PROXY protocol header, version 1 or 2 (haproxy proxy-protocol.txt), from the start of the input.
/// nullopt inside the expected: more octets are needed to tell, as with every proper prefix of a valid
/// header; never with kHeaderOctetsMax octets or more. After an error: close without a reply. TLVs must fill
/// the header exactly, and a CRC-32C among them must hold.
std::expected<std::optional<Header>, Error> parse(std::string_view input);

}  // namespace postern::proxy
