#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::test {

/// A DNS message written octet by octet (RFC 1035 §4), right or wrong as the test wants it.
class DnsPacket {
 public:
  static constexpr std::uint16_t kA = 1, kNs = 2, kCname = 5, kSoa = 6, kPtr = 12, kMx = 15, kTxt = 16,
                                 kAaaa = 28;
  static constexpr std::uint8_t kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kRefused = 5;
  enum class Section : std::uint8_t { question, answer, authority, additional };

  /// An answer to a recursive question, all counts zero.
  explicit DnsPacket(std::uint16_t id = 0, std::uint8_t rcode = kNoError) {
    put16(id).put8(0x81).put8(static_cast<std::uint8_t>(0x80 | rcode));
    octets_.append(8, '\0');
  }

  DnsPacket& question(std::string_view name, std::uint16_t type) {
    count(Section::question);
    octets_ += wire_name(name);
    return put16(type).put16(1);
  }
  /// `owner` in wire form, see wire_name() and pointer().
  DnsPacket& record(Section section, std::string_view owner, std::uint16_t type, std::uint32_t ttl,
                    std::string_view data) {
    count(section);
    octets_ += owner;
    put16(type).put16(1).put16(static_cast<std::uint16_t>(ttl >> 16)).put16(static_cast<std::uint16_t>(ttl));
    put16(static_cast<std::uint16_t>(data.size()));
    octets_ += data;
    return *this;
  }
  DnsPacket& answer(std::string_view owner, std::uint16_t type, std::uint32_t ttl, std::string_view data) {
    return record(Section::answer, owner, type, ttl, data);
  }

  const std::string& octets() const { return octets_; }
  std::size_t size() const { return octets_.size(); }

  /// Labels as they come between dots; "" is the root.
  static std::string wire_name(std::string_view name) {
    std::string wire;
    while (!name.empty()) {
      const std::string_view label = name.substr(0, name.find('.'));
      wire += static_cast<char>(label.size());
      wire += label;
      name.remove_prefix(label.size() == name.size() ? label.size() : label.size() + 1);
    }
    return wire + '\0';
  }
  /// §4.1.4.
  static std::string pointer(std::size_t offset) {
    return {static_cast<char>(0xc0 | offset >> 8), static_cast<char>(offset & 0xff)};
  }
  static std::string text(std::string_view string) {
    return static_cast<char>(string.size()) + std::string(string);
  }
  static std::string number16(unsigned value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value)};
  }

 private:
  DnsPacket& put8(std::uint8_t value) {
    octets_ += static_cast<char>(value);
    return *this;
  }
  DnsPacket& put16(std::uint16_t value) {
    octets_ += number16(value);
    return *this;
  }
  void count(Section section) {
    const std::size_t at = 4 + 2 * static_cast<std::size_t>(section);
    const unsigned before = static_cast<unsigned>(static_cast<unsigned char>(octets_[at])) << 8 |
                            static_cast<unsigned char>(octets_[at + 1]);
    octets_.replace(at, 2, number16(before + 1));
  }

  std::string octets_;
};

}  // namespace postern::test
