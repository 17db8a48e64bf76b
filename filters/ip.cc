#include "filters/ip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace postern::filters {
namespace {

constexpr std::size_t kGroups = 8;         // RFC 4291 §2.2: eight 16-bit pieces
constexpr std::size_t kHexDigitsMax = 4;   // of one piece
constexpr std::size_t kMappedOctets = 12;  // RFC 4291 §2.5.5.2: ten of 00, two of ff
constexpr unsigned kMappedBits = 8 * kMappedOctets;
constexpr std::size_t kIpTextOctetsMax = 45;  // eight groups, the last two as a dotted quad

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// One to three decimal digits without a leading zero, at most `max`: "010" is octal to some readers.
std::optional<unsigned> decimal(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= max ? std::optional(value) : std::nullopt;
}

std::optional<std::array<std::uint8_t, 4>> dotted_quad(std::string_view text) {
  std::array<std::uint8_t, 4> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const std::size_t dot = i + 1 < octets.size() ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const auto part = decimal(text.substr(0, dot), 255);
    if (!part) return std::nullopt;
    octets[i] = static_cast<std::uint8_t>(*part);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return octets;
}

/// The 16-bit pieces of one side of "::", or of the whole address; the last may be a dotted quad where the
/// caller allows it.
class Pieces {
 public:
  bool add_all(std::string_view text, bool quad_allowed) {
    if (text.empty()) return true;
    for (;;) {
      const std::size_t colon = text.find(':');
      const bool last = colon == std::string_view::npos;
      if (!add(text.substr(0, colon), last && quad_allowed)) return false;
      if (last) return true;
      text.remove_prefix(colon + 1);
    }
  }
  std::size_t size() const { return size_; }
  std::uint16_t operator[](std::size_t i) const { return values_[i]; }

 private:
  bool add(std::string_view piece, bool quad_allowed) {
    if (quad_allowed && piece.find('.') != std::string_view::npos) {
      const auto quad = dotted_quad(piece);
      if (!quad) return false;
      return push(static_cast<unsigned>((*quad)[0] << 8 | (*quad)[1])) &&
             push(static_cast<unsigned>((*quad)[2] << 8 | (*quad)[3]));
    }
    if (piece.empty() || piece.size() > kHexDigitsMax) return false;
    unsigned value = 0;
    for (const char c : piece) {
      const int digit = hex_value(c);
      if (digit < 0) return false;
      value = value << 4 | static_cast<unsigned>(digit);
    }
    return push(value);
  }
  bool push(unsigned value) {
    if (size_ == kGroups) return false;
    values_[size_++] = static_cast<std::uint16_t>(value);
    return true;
  }

  std::array<std::uint16_t, kGroups> values_{};
  std::size_t size_ = 0;
};

std::optional<std::array<std::uint8_t, 16>> ipv6_octets(std::string_view text) {
  const std::size_t gap = text.find("::");
  Pieces before;
  Pieces after;
  if (gap == std::string_view::npos) {
    if (!before.add_all(text, true) || before.size() != kGroups) return std::nullopt;
  } else {
    // A quad may only end the address, so none stands before "::"; a second "::" shows as an empty piece.
    if (!before.add_all(text.substr(0, gap), false) || !after.add_all(text.substr(gap + 2), true))
      return std::nullopt;
    if (before.size() + after.size() >= kGroups)
      return std::nullopt;  // RFC 4291 §2.2: "::" is one group or more
  }
  std::array<std::uint8_t, 16> octets{};
  const auto put = [&octets](std::size_t group, std::uint16_t value) {
    octets[2 * group] = static_cast<std::uint8_t>(value >> 8);
    octets[2 * group + 1] = static_cast<std::uint8_t>(value & 0xff);
  };
  for (std::size_t i = 0; i < before.size(); ++i) put(i, before[i]);
  for (std::size_t i = 0; i < after.size(); ++i) put(kGroups - after.size() + i, after[i]);
  return octets;
}

bool is_mapped(const std::array<std::uint8_t, 16>& octets) {
  return std::all_of(octets.begin(), octets.begin() + 10, [](std::uint8_t octet) { return octet == 0; }) &&
         octets[10] == 0xff && octets[11] == 0xff;
}

/// RFC 5952 §4: lower case, no leading zeros, the longest run of two or more zero groups (the first of
/// equals) as "::".
std::string ipv6_text(std::string_view octets) {
  std::array<unsigned, kGroups> groups{};
  for (std::size_t i = 0; i < kGroups; ++i)
    groups[i] = static_cast<unsigned>(static_cast<std::uint8_t>(octets[2 * i])) << 8 |
                static_cast<std::uint8_t>(octets[2 * i + 1]);
  std::size_t gap_start = kGroups;
  std::size_t gap_size = 1;  // §4.2.2: a single zero group is not shortened
  for (std::size_t start = 0; start < kGroups; ++start) {
    std::size_t size = 0;
    while (start + size < kGroups && groups[start + size] == 0) ++size;
    if (size > gap_size) {
      gap_start = start;
      gap_size = size;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < kGroups;) {
    if (i == gap_start) {
      text += "::";
      i += gap_size;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    fmt::format_to(std::back_inserter(text), "{:x}", groups[i++]);
  }
  return text;
}

}  // namespace

Ip Ip::v4(std::array<std::uint8_t, 4> octets) {
  Ip ip;
  std::copy(octets.begin(), octets.end(), ip.octets_.begin());
  ip.family_ = Family::v4;
  return ip;
}

Ip Ip::v6(const std::array<std::uint8_t, 16>& octets) {
  if (is_mapped(octets)) return v4({octets[12], octets[13], octets[14], octets[15]});
  Ip ip;
  ip.octets_ = octets;
  ip.family_ = Family::v6;
  return ip;
}

std::optional<Ip> Ip::parse(std::string_view text) {
  if (text.size() > kIpTextOctetsMax) return std::nullopt;
  if (text.find(':') == std::string_view::npos) {
    const auto octets = dotted_quad(text);
    return octets ? std::optional(v4(*octets)) : std::nullopt;
  }
  const auto octets = ipv6_octets(text);
  return octets ? std::optional(v6(*octets)) : std::nullopt;
}

bool Ip::is_loopback() const {
  if (is_v4()) return octets_[0] == 127;  // RFC 1122 §3.2.1.3
  static constexpr std::array<std::uint8_t, 16> kLoopback = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return is_v6() && octets_ == kLoopback;  // RFC 4291 §2.5.3
}

std::string_view Ip::octets() const {
  const std::size_t size = is_v4() ? 4 : is_v6() ? 16 : 0;
  return {reinterpret_cast<const char*>(octets_.data()), size};
}

std::string Ip::text() const {
  if (is_v4()) return fmt::format("{}.{}.{}.{}", octets_[0], octets_[1], octets_[2], octets_[3]);
  return is_v6() ? ipv6_text(octets()) : std::string();
}

std::string Ip::literal() const {
  if (empty()) return {};
  return fmt::format("[{}{}]", is_v6() ? "IPv6:" : "", text());
}

Ip Ip::masked(unsigned bits) const {
  Ip ip = *this;
  for (std::size_t i = 0; i < octets().size(); ++i) {
    const unsigned kept = std::min(8U, bits);
    bits -= kept;
    ip.octets_[i] = static_cast<std::uint8_t>(ip.octets_[i] & (0xff00U >> kept));
  }
  return ip;
}

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  const auto ip = Ip::parse(address);
  if (!ip) return std::nullopt;
  const bool mapped = ip->is_v4() && address.find(':') != std::string_view::npos;
  const unsigned width = ip->is_v4() && !mapped ? 32 : 128;
  unsigned bits = width;
  if (slash != std::string_view::npos) {
    const auto given = decimal(text.substr(slash + 1), width);
    if (!given) return std::nullopt;
    bits = *given;
  }
  if (mapped) {
    if (bits < kMappedBits)
      return std::nullopt;  // would reach beyond the mapped block, where no client ever is
    bits -= kMappedBits;
  }
  Network network;
  network.address_ = ip->masked(bits);
  network.bits_ = static_cast<std::uint8_t>(bits);
  return network;
}

bool Network::contains(const Ip& ip) const {
  return ip.family() == address_.family() && ip.masked(bits_) == address_ && !ip.empty();
}

std::string Network::text() const {
  return fmt::format("{}/{}", address_.text(), bits_);
}

}  // namespace postern::filters
