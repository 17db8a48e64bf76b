#include "gateway/proxy/header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace postern::proxy {
namespace {

// Section numbers are those of haproxy's proxy-protocol.txt.
constexpr std::string_view kSignature1 = "PROXY";                    // §2.1
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);  // §2.2
constexpr std::size_t kLine1OctetsMax = 107;                         // §2.1, with CRLF
constexpr std::size_t kFixed2Octets = 16;  // §2.2: signature, command, family, length
constexpr std::size_t kLength2Max = kHeaderOctetsMax - kFixed2Octets;
constexpr std::size_t kUnixPathOctets = 108;  // §2.2, padded with NUL
constexpr std::size_t kTlvHeadOctets = 3;     // §2.2.1: type, length
constexpr std::uint8_t kTlvCrc32c = 0x03;     // §2.2.4
constexpr std::size_t kCrcOctets = 4;

using Result = std::expected<std::optional<Header>, Error>;

std::unexpected<Error> error(std::size_t position, std::string reason) {
  return std::unexpected(Error{.position = position, .reason = std::move(reason)});
}

std::optional<std::uint16_t> port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 0xffff ? std::optional(static_cast<std::uint16_t>(value)) : std::nullopt;
}

/// Version 1, §2.1: a line of words with one blank between them. Words are judged as soon as their delimiter
/// is there, so that a line that can no longer become a header is refused before its end.
class Line1 {
 public:
  explicit Line1(std::string_view input) : text_(input.substr(0, kLine1OctetsMax)) {}

  Result parse() {
    header_.version = 1;
    position_ = kSignature1.size();
    if (position_ == text_.size()) return std::nullopt;
    if (text_[position_] != ' ') return error(position_, "a blank after PROXY");
    ++position_;
    const auto family = word("TCP4, TCP6 or UNKNOWN");
    if (!family) return outcome_;
    if (*family == "UNKNOWN") return finish_unknown();
    if (*family != "TCP4" && *family != "TCP6") return error(word_start_, "TCP4, TCP6 or UNKNOWN");
    header_.protocol = *family == "TCP4" ? Protocol::tcp4 : Protocol::tcp6;
    if (!address(header_.source.ip, "source") || !address(header_.destination.ip, "destination") ||
        !number(header_.source.port, ' ', "source") || !number(header_.destination.port, '\r', "destination"))
      return outcome_;
    return finish_line();
  }

 private:
  /// The word that ends in `delimiter`, which is passed over; nullopt and outcome_ when there is none.
  std::optional<std::string_view> word(std::string_view expected, char delimiter = ' ') {
    word_start_ = position_;
    const std::size_t end = text_.find_first_of(" \r\n", position_);
    if (end == std::string_view::npos) {
      outcome_ = unfinished(expected);
      return std::nullopt;
    }
    // UNKNOWN may be the line's last word.
    const bool last_unknown = text_[end] == '\r' && text_.substr(position_, end - position_) == "UNKNOWN";
    if (end == position_ || (text_[end] != delimiter && !last_unknown)) {
      outcome_ = error(end, std::string(expected));
      return std::nullopt;
    }
    position_ = end + (last_unknown ? 0 : 1);
    return text_.substr(word_start_, end - word_start_);
  }

  bool address(filters::Ip& ip, std::string_view side) {
    const bool v4 = header_.protocol == Protocol::tcp4;
    const std::string expected = fmt::format("an IPv{} {} address", v4 ? 4 : 6, side);
    const auto text = word(expected);
    if (!text) return false;
    const auto parsed = filters::Ip::parse(*text);
    // Told apart by the spelling: Ip folds ::ffff:192.0.2.1, which is a fine IPv6 address, to IPv4.
    if (!parsed || v4 != (text->find(':') == std::string_view::npos)) {
      outcome_ = error(word_start_, expected);
      return false;
    }
    ip = *parsed;
    return true;
  }

  bool number(std::uint16_t& value, char delimiter, std::string_view side) {
    const std::string expected = fmt::format("a {} port from 0 to 65535", side);
    const auto text = word(expected, delimiter);
    if (!text) return false;
    const auto parsed = port(*text);
    if (!parsed) {
      outcome_ = error(word_start_, expected);
      return false;
    }
    value = *parsed;
    return true;
  }

  /// After the last word and its CR.
  Result finish_line() {
    if (position_ == text_.size()) return unfinished("LF after CR");
    if (text_[position_] != '\n') return error(position_, "LF after CR");
    header_.consumed = position_ + 1;
    return std::move(header_);
  }

  /// §2.1: whatever follows UNKNOWN is ignored up to CRLF.
  Result finish_unknown() {
    const std::size_t end = text_.find_first_of("\r\n", position_);
    if (end == std::string_view::npos) return unfinished("CRLF");
    if (text_[end] == '\n') return error(end, "CRLF, not a bare LF");
    position_ = end + 1;
    return finish_line();
  }

  /// The input ended: more may come, unless the line is as long as a line can be.
  Result unfinished(std::string_view expected) const {
    if (text_.size() < kLine1OctetsMax) return std::nullopt;
    return error(text_.size(), fmt::format("{} within {} octets", expected, kLine1OctetsMax));
  }

  std::string_view text_;
  std::size_t position_ = 0;
  std::size_t word_start_ = 0;
  Header header_;
  Result outcome_;
};

/// CRC-32C (Castagnoli), RFC 9260 appendix A, bit by bit: headers are short and few.
std::uint32_t crc32c(std::uint32_t crc, std::string_view octets) {
  for (const char c : octets) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0x82F63B78U & (0U - (crc & 1U)));
  }
  return crc;
}

/// Version 2, §2.2: binary, with the length said in advance.
class Binary2 {
 public:
  explicit Binary2(std::string_view input) : input_(input) {}

  Result parse() {
    // Each octet is judged as it comes.
    if (input_.size() > 12 && at(12) >> 4 != 2) return error(12, "version 2");
    if (input_.size() > 12 && (at(12) & 0xf) > 1) return error(12, "command LOCAL or PROXY");
    if (input_.size() > 13 && at(13) >> 4 > 3) return error(13, "address family UNSPEC, INET, INET6 or UNIX");
    if (input_.size() > 13 && (at(13) & 0xf) > 2) return error(13, "transport UNSPEC, STREAM or DGRAM");
    if (input_.size() < kFixed2Octets) return std::nullopt;
    const std::size_t length = big_endian16(14);
    if (length > kLength2Max)
      return error(14, fmt::format("a header of at most {} octets", kHeaderOctetsMax));
    const std::size_t addresses = address_octets();
    if (length < addresses) return error(14, fmt::format("at least {} octets of addresses", addresses));
    end_ = kFixed2Octets + length;
    if (input_.size() < end_) return std::nullopt;

    header_.version = 2;
    header_.consumed = end_;
    read_addresses();
    if (local()) {
      // §2.2: the sender's own health check. The block is not about any client: not even its TLVs are looked
      // at.
      header_.protocol = Protocol::local;
      return std::move(header_);
    }
    if (addresses == 0) return std::move(header_);  // §2.2: UNSPEC, the receiver skips what it cannot read
    return read_tlvs(kFixed2Octets + addresses);
  }

 private:
  std::uint8_t at(std::size_t i) const { return static_cast<std::uint8_t>(input_[i]); }
  std::uint16_t big_endian16(std::size_t i) const {
    return static_cast<std::uint16_t>(at(i) << 8 | at(i + 1));
  }
  bool local() const { return (at(12) & 0xf) == 0; }
  bool stream() const { return (at(13) & 0xf) == 1; }

  /// Half-specified (a family without transport or the reverse) is as good as UNSPEC.
  std::size_t address_octets() const {
    if ((at(13) & 0xf) == 0) return 0;
    switch (at(13) >> 4) {
      case 1:
        return 2 * (4 + 2);
      case 2:
        return 2 * (16 + 2);
      case 3:
        return 2 * kUnixPathOctets;
      default:
        return 0;
    }
  }

  template <std::size_t kOctets>
  std::array<std::uint8_t, kOctets> octets(std::size_t start) const {
    std::array<std::uint8_t, kOctets> result{};
    for (std::size_t i = 0; i < kOctets; ++i) result[i] = at(start + i);
    return result;
  }

  std::string unix_path(std::size_t start) const {
    const std::string_view field = input_.substr(start, kUnixPathOctets);
    // Linux's abstract names start with NUL: they end where the padding starts.
    const std::size_t end = field.front() == '\0' ? field.find_last_not_of('\0') + 1 : field.find('\0');
    return std::string(field.substr(0, end));
  }

  void read_addresses() {
    constexpr std::size_t kStart = kFixed2Octets;
    switch (address_octets()) {
      case 12:
        header_.protocol = stream() ? Protocol::tcp4 : Protocol::udp4;
        header_.source = {.ip = filters::Ip::v4(octets<4>(kStart)), .port = big_endian16(kStart + 8)};
        header_.destination = {.ip = filters::Ip::v4(octets<4>(kStart + 4)),
                               .port = big_endian16(kStart + 10)};
        break;
      case 36:
        header_.protocol = stream() ? Protocol::tcp6 : Protocol::udp6;
        header_.source = {.ip = filters::Ip::v6(octets<16>(kStart)), .port = big_endian16(kStart + 32)};
        header_.destination = {.ip = filters::Ip::v6(octets<16>(kStart + 16)),
                               .port = big_endian16(kStart + 34)};
        break;
      case 2 * kUnixPathOctets:
        header_.protocol = stream() ? Protocol::unix_stream : Protocol::unix_datagram;
        header_.source.path = unix_path(kStart);
        header_.destination.path = unix_path(kStart + kUnixPathOctets);
        break;
      default:
        break;
    }
  }

  /// §2.2.1: type, length, value, up to the end of the header exactly.
  Result read_tlvs(std::size_t position) {
    while (position < end_) {
      if (end_ - position < kTlvHeadOctets) return error(position, "type and length of a TLV");
      const std::size_t length = big_endian16(position + 1);
      const std::size_t value = position + kTlvHeadOctets;
      if (end_ - value < length) return error(position, "a TLV that ends within the header");
      header_.tlvs.push_back({.type = at(position), .value = std::string(input_.substr(value, length))});
      if (at(position) == kTlvCrc32c && !checksum_holds(value, length))
        return error(position, "a CRC-32C that fits");
      position = value + length;
    }
    return std::move(header_);
  }

  /// §2.2.4: over the whole header, the checksum itself taken as zeros; verified once, so that a header full
  /// of checksums costs no more than one.
  bool checksum_holds(std::size_t value, std::size_t length) {
    if (length != kCrcOctets || checksum_seen_) return false;
    checksum_seen_ = true;
    std::uint32_t crc = crc32c(~0U, input_.substr(0, value));
    crc = crc32c(crc, std::string_view("\0\0\0\0", kCrcOctets));
    crc = ~crc32c(crc, input_.substr(value + kCrcOctets, end_ - value - kCrcOctets));
    return crc == (static_cast<std::uint32_t>(big_endian16(value)) << 16 | big_endian16(value + 2));
  }

  std::string_view input_;
  std::size_t end_ = 0;
  bool checksum_seen_ = false;
  Header header_;
};

/// How many octets of `input` agree with the signature.
std::size_t agreement(std::string_view input, std::string_view signature) {
  const auto [mine, theirs] = std::ranges::mismatch(input, signature);
  return static_cast<std::size_t>(mine - input.begin());
}

}  // namespace

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::unknown:
      return "unknown";
    case Protocol::tcp4:
      return "tcp4";
    case Protocol::tcp6:
      return "tcp6";
    case Protocol::udp4:
      return "udp4";
    case Protocol::udp6:
      return "udp6";
    case Protocol::unix_stream:
    case Protocol::unix_datagram:
      return "unix";
    case Protocol::local:
      return "local";
  }
  return "unknown";
}

std::expected<std::optional<Header>, Error> parse(std::string_view input) {
  const std::size_t first = agreement(input, kSignature1);
  if (first == kSignature1.size()) return Line1(input).parse();
  const std::size_t second = agreement(input, kSignature2);
  if (second == kSignature2.size()) return Binary2(input).parse();
  if (first == input.size() || second == input.size()) return std::nullopt;
  return error(std::max(first, second), "a PROXY protocol signature");
}

}  // namespace postern::proxy
