#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::filters {

/// An IPv4 or IPv6 address as a value. IPv4-mapped IPv6 (::ffff:a.b.c.d) is folded to IPv4 by every maker, so
/// that a client looks the same on a dual-stack listener and in a network list. 17 octets, trivially
/// copyable.
class Ip {
 public:
  enum class Family : std::uint8_t { none, v4, v6 };

  constexpr Ip() = default;
  static Ip v4(std::array<std::uint8_t, 4> octets);
  static Ip v6(const std::array<std::uint8_t, 16>& octets);
  /// Dotted quad (four decimal parts, no leading zeros) or RFC 4291 §2.2 text; no brackets, no zone, no
  /// prefix.
  static std::optional<Ip> parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::v4; }
  bool is_v6() const { return family_ == Family::v6; }
  bool empty() const { return family_ == Family::none; }
  bool is_loopback() const;
  /// The 4 or 16 octets, network order.
  std::string_view octets() const;
  /// RFC 5952 for IPv6, dotted quad for IPv4, "" when empty.
  std::string text() const;
  /// RFC 5321 §4.1.3 address literal with brackets: [192.0.2.1], [IPv6:2001:db8::1].
  std::string literal() const;
  /// The same address with everything after the first `bits` cleared; bits above the family's width change
  /// nothing.
  Ip masked(unsigned bits) const;

  friend auto operator<=>(const Ip&, const Ip&) = default;
  friend bool operator==(const Ip&, const Ip&) = default;

 private:
  std::array<std::uint8_t, 16> octets_{};
  Family family_ = Family::none;
};

/// A network: address and prefix length. Host bits are cleared by parse().
class Network {
 public:
  /// "192.0.2.0/24", "2001:db8::/32", or a bare address (the whole width).
  static std::optional<Network> parse(std::string_view text);
  bool contains(const Ip& ip) const;
  const Ip& address() const { return address_; }
  unsigned bits() const { return bits_; }
  std::string text() const;
  friend bool operator==(const Network&, const Network&) = default;

 private:
  Ip address_;
  std::uint8_t bits_ = 0;
};

}  // namespace postern::filters

template <>
struct std::hash<postern::filters::Ip> {
  std::size_t operator()(const postern::filters::Ip& ip) const noexcept {
    return std::hash<std::string_view>{}(ip.octets());
  }
};
