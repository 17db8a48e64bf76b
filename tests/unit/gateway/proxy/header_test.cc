#include "gateway/proxy/header.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace postern::proxy {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kTail = "EHLO client.example\r\n";

std::string shown(const EndPoint& end_point) {
  if (!end_point.path.empty()) return end_point.path;
  return end_point.ip.text() + " " + std::to_string(end_point.port);
}

/// Every proper prefix waits for more, the whole and the whole with more behind it give the same header.
void expect_taken(std::string_view octets, std::string_view protocol, std::string_view source,
                  std::string_view destination) {
  for (std::size_t size = 0; size < octets.size(); ++size) {
    const auto outcome = parse(octets.substr(0, size));
    ASSERT_TRUE(outcome.has_value()) << size << ": " << outcome.error().reason;
    ASSERT_FALSE(outcome->has_value()) << size;
  }
  for (const std::string& input : {std::string(octets), std::string(octets) + std::string(kTail)}) {
    const auto outcome = parse(input);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().reason;
    ASSERT_TRUE(outcome->has_value());
    const Header& header = **outcome;
    EXPECT_EQ(header.consumed, octets.size());
    EXPECT_EQ(to_string(header.protocol), protocol);
    EXPECT_EQ(shown(header.source), source);
    EXPECT_EQ(shown(header.destination), destination);
  }
}

/// The mistake is found at `position`, and neither before nor later than `known_at` octets are there.
void expect_refused(std::string_view octets, std::size_t position, std::size_t known_at,
                    std::string_view reason) {
  for (std::size_t size = 0; size <= octets.size(); ++size) {
    const auto outcome = parse(octets.substr(0, size));
    if (size < known_at) {
      ASSERT_TRUE(outcome.has_value()) << size << ": " << outcome.error().reason;
      ASSERT_FALSE(outcome->has_value()) << size;
      continue;
    }
    ASSERT_FALSE(outcome.has_value()) << size;
    EXPECT_EQ(outcome.error().position, position) << size;
    EXPECT_EQ(outcome.error().reason, reason) << size;
  }
}

struct LineCase {
  std::string_view name, line, protocol, source, destination;
};

constexpr LineCase kLines[] = {
    {"TCP4", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n", "tcp4", "192.0.2.1 4711", "198.51.100.2 25"},
    {"TCP6", "PROXY TCP6 2001:DB8::1 2001:db8:0::2 1 65535\r\n", "tcp6", "2001:db8::1 1",
     "2001:db8::2 65535"},
    {"TCP6 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", "tcp6", "192.0.2.1 1", "::1 25"},
    {"ports zero", "PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n", "tcp4", "0.0.0.0 0", "255.255.255.255 0"},
    {"UNKNOWN", "PROXY UNKNOWN\r\n", "unknown", " 0", " 0"},
    {"UNKNOWN and a blank", "PROXY UNKNOWN \r\n", "unknown", " 0", " 0"},
    {"UNKNOWN with addresses", "PROXY UNKNOWN ::1 ::1 1 2\r\n", "unknown", " 0", " 0"},
};

TEST(ProxyHeader, TakesVersion1) {
  for (const LineCase& c : kLines) {
    SCOPED_TRACE(c.name);
    expect_taken(c.line, c.protocol, c.source, c.destination);
  }
}

struct BadLineCase {
  std::string_view name, line;
  std::size_t position, known_at;
  std::string_view reason;
};

constexpr BadLineCase kBadLines[] = {
    {"SMTP", "EHLO x\r\n", 0, 1, "a PROXY protocol signature"},
    {"another word", "PROXIMO\r\n", 4, 5, "a PROXY protocol signature"},
    {"lower case", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 0, 1, "a PROXY protocol signature"},
    {"no blank", "PROXY1 TCP4\r\n", 5, 6, "a blank after PROXY"},
    {"no family", "PROXY \r\n", 6, 7, "TCP4, TCP6 or UNKNOWN"},
    {"UDP4", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", 6, 11, "TCP4, TCP6 or UNKNOWN"},
    {"family alone", "PROXY TCP4\r\n", 10, 11, "TCP4, TCP6 or UNKNOWN"},
    {"longer UNKNOWN", "PROXY UNKNOWNS\r\n", 14, 15, "TCP4, TCP6 or UNKNOWN"},
    {"UNKNOWN ended by LF", "PROXY UNKNOWN\n", 13, 14, "TCP4, TCP6 or UNKNOWN"},
    {"UNKNOWN with LF inside", "PROXY UNKNOWN a\n", 15, 16, "CRLF, not a bare LF"},
    {"UNKNOWN with CR inside", "PROXY UNKNOWN a\rb\r\n", 16, 17, "LF after CR"},
    {"IPv6 in TCP4", "PROXY TCP4 ::1 1.2.3.4 1 2\r\n", 11, 15, "an IPv4 source address"},
    {"IPv4 in TCP6", "PROXY TCP6 ::1 1.2.3.4 1 2\r\n", 15, 23, "an IPv6 destination address"},
    {"leading zero in address", "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", 11, 20, "an IPv4 source address"},
    {"zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", 11, 24, "an IPv6 source address"},
    {"two blanks", "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", 11, 12, "an IPv4 source address"},
    {"tab", "PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n", 11, 27, "an IPv4 source address"},
    {"UNKNOWN as address", "PROXY TCP4 UNKNOWN\r\n", 11, 19, "an IPv4 source address"},
    {"port leading zero", "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", 27, 30, "a source port from 0 to 65535"},
    {"port 65536", "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", 29, 35, "a destination port from 0 to 65535"},
    {"port of six digits", "PROXY TCP4 1.2.3.4 5.6.7.8 1 655350\r\n", 29, 36,
     "a destination port from 0 to 65535"},
    {"port signed", "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", 27, 30, "a source port from 0 to 65535"},
    {"port missing", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", 28, 29, "a source port from 0 to 65535"},
    {"word too many", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", 30, 31, "a destination port from 0 to 65535"},
    {"trailing blank", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", 30, 31, "a destination port from 0 to 65535"},
    {"bare LF", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", 30, 31, "a destination port from 0 to 65535"},
    {"bare CR", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rX", 31, 32, "LF after CR"},
};

TEST(ProxyHeader, RefusesVersion1) {
  for (const BadLineCase& c : kBadLines) {
    SCOPED_TRACE(c.name);
    expect_refused(c.line, c.position, c.known_at, c.reason);
  }
}

TEST(ProxyHeader, BoundsTheLine) {
  const std::string head = "PROXY UNKNOWN ";
  expect_taken(head + std::string(107 - head.size() - 2, '*') + "\r\n", "unknown", " 0", " 0");
  // One octet more: known as soon as the CRLF can no longer come in time.
  expect_refused(head + std::string(107 - head.size() - 1, '*') + "\r\n", 107, 107,
                 "LF after CR within 107 octets");
  expect_refused(head + std::string(200, '*'), 107, 107, "CRLF within 107 octets");
  expect_refused("PROXY TCP6 " + std::string(200, '1'), 107, 107, "an IPv6 source address within 107 octets");
}

std::string binary(std::uint8_t command, std::uint8_t family, std::string_view block) {
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  out += static_cast<char>(command);
  out += static_cast<char>(family);
  out += static_cast<char>(block.size() >> 8);
  out += static_cast<char>(block.size() & 0xff);
  return out.append(block);
}

constexpr std::string_view kBlock4 = "\xC0\x00\x02\x01\xC6\x33\x64\x02\x12\x67\x00\x19"sv;
constexpr std::string_view kBlock6 =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xC0\x00\x02\x01"
    "\x12\x67\xff\xff"sv;

std::string unix_block(std::string_view source, std::string_view destination) {
  std::string out(source);
  out.resize(108);
  out += destination;
  out.resize(216);
  return out;
}

struct BinaryCase {
  std::string_view name;
  std::uint8_t command, family;
  std::string block;
  std::string_view protocol, source, destination;
};

TEST(ProxyHeader, TakesVersion2) {
  const std::string full_path(108, 'p');
  const BinaryCase cases[] = {
      {"TCP4", 0x21, 0x11, std::string(kBlock4), "tcp4", "192.0.2.1 4711", "198.51.100.2 25"},
      {"UDP4", 0x21, 0x12, std::string(kBlock4), "udp4", "192.0.2.1 4711", "198.51.100.2 25"},
      {"TCP6, one mapped", 0x21, 0x21, std::string(kBlock6), "tcp6", "2001:db8::1 4711", "192.0.2.1 65535"},
      {"UDP6", 0x21, 0x22, std::string(kBlock6), "udp6", "2001:db8::1 4711", "192.0.2.1 65535"},
      {"Unix stream", 0x21, 0x31, unix_block("/run/a", "/run/b"), "unix", "/run/a", "/run/b"},
      {"Unix datagram, path of 108", 0x21, 0x32, unix_block(full_path, "/b"), "unix", full_path, "/b"},
      {"Unix abstract", 0x21, 0x31, unix_block("\0ab"sv, "/b"), "unix", "\0ab"sv, "/b"},
      {"Unix unnamed", 0x21, 0x31, unix_block("", ""), "unix", " 0", " 0"},
      {"PROXY UNSPEC", 0x21, 0x00, "", "unknown", " 0", " 0"},
      {"PROXY UNSPEC with what nobody reads", 0x21, 0x00, "abc", "unknown", " 0", " 0"},
      {"INET without transport", 0x21, 0x10, std::string(kBlock4), "unknown", " 0", " 0"},
      {"stream without family", 0x21, 0x01, "", "unknown", " 0", " 0"},
      {"LOCAL", 0x20, 0x00, "", "local", " 0", " 0"},
      {"LOCAL with addresses", 0x20, 0x11, std::string(kBlock4), "local", "192.0.2.1 4711",
       "198.51.100.2 25"},
      {"LOCAL with no TLV", 0x20, 0x11, std::string(kBlock4) + "junk", "local", "192.0.2.1 4711",
       "198.51.100.2 25"},
      {"empty TLV", 0x21, 0x11, std::string(kBlock4) + std::string("\xEA\0\0", 3), "tcp4", "192.0.2.1 4711",
       "198.51.100.2 25"},
  };
  for (const BinaryCase& c : cases) {
    SCOPED_TRACE(c.name);
    expect_taken(binary(c.command, c.family, c.block), c.protocol, c.source, c.destination);
  }
}

TEST(ProxyHeader, RefusesVersion2) {
  struct BadBinaryCase {
    std::string_view name;
    std::string octets;
    std::size_t position, known_at;
    std::string_view reason;
  };
  const std::string block4(kBlock4);
  const std::string signature = binary(0x21, 0x11, kBlock4).substr(0, 12);
  const BadBinaryCase cases[] = {
      {"signature", "\r\n\r\n\nQUIT", 4, 5, "a PROXY protocol signature"},
      {"end of signature", signature.substr(0, 11) + "X", 11, 12, "a PROXY protocol signature"},
      {"version 1", binary(0x11, 0x11, kBlock4), 12, 13, "version 2"},
      {"command 2", binary(0x22, 0x11, kBlock4), 12, 13, "command LOCAL or PROXY"},
      {"family 4", binary(0x21, 0x41, kBlock4), 13, 14, "address family UNSPEC, INET, INET6 or UNIX"},
      {"transport 3", binary(0x21, 0x13, kBlock4), 13, 14, "transport UNSPEC, STREAM or DGRAM"},
      {"INET an octet short", binary(0x21, 0x11, kBlock4.substr(1)), 14, 16,
       "at least 12 octets of addresses"},
      {"INET6 an octet short", binary(0x21, 0x21, kBlock6.substr(1)), 14, 16,
       "at least 36 octets of addresses"},
      {"UNIX an octet short", binary(0x21, 0x31, std::string(215, 'a')), 14, 16,
       "at least 216 octets of addresses"},
      {"LOCAL INET an octet short", binary(0x20, 0x11, kBlock4.substr(1)), 14, 16,
       "at least 12 octets of addresses"},
      {"half a TLV head", binary(0x21, 0x11, block4 + "\x04\x01"), 28, 30, "type and length of a TLV"},
      {"TLV beyond the end", binary(0x21, 0x11, block4 + "\x04" + std::string("\0\x02x", 3)), 28, 32,
       "a TLV that ends within the header"},
      {"CRC of three octets", binary(0x21, 0x11, block4 + "\x03" + std::string("\0\x03xyz", 5)), 28, 34,
       "a CRC-32C that fits"},
      {"CRC wrong", binary(0x21, 0x11, block4 + "\x03" + std::string("\0\x04wxyz", 6)), 28, 35,
       "a CRC-32C that fits"},
  };
  for (const BadBinaryCase& c : cases) {
    SCOPED_TRACE(c.name);
    expect_refused(c.octets, c.position, c.known_at, c.reason);
  }
}

TEST(ProxyHeader, BoundsVersion2) {
  const std::size_t room = kHeaderOctetsMax - 16;
  expect_taken(binary(0x20, 0x00, std::string(room, 'x')), "local", " 0", " 0");
  expect_refused(binary(0x20, 0x00, std::string(room + 1, 'x')), 14, 16, "a header of at most 4112 octets");
}

TEST(ProxyHeader, ReadsTlvsInOrder) {
  const std::string block =
      std::string(kBlock4) + std::string("\x02\0\x04host\x04\0\0\xEA\0\x01\0", 3 + 4 + 3 + 4);
  const auto outcome = parse(binary(0x21, 0x11, block));
  ASSERT_TRUE(outcome.has_value() && outcome->has_value());
  const auto& tlvs = (*outcome)->tlvs;
  ASSERT_EQ(tlvs.size(), 3U);
  EXPECT_EQ(tlvs[0].type, 2);
  EXPECT_EQ(tlvs[0].value, "host");
  EXPECT_EQ(tlvs[1].type, 4);
  EXPECT_EQ(tlvs[1].value, "");
  EXPECT_EQ(tlvs[2].type, 0xEA);
  EXPECT_EQ(tlvs[2].value, "\0"sv);
}

TEST(ProxyHeader, VerifiesTheChecksumOnce) {
  // The checksum of exactly this header, worked out apart.
  const std::string good =
      binary(0x21, 0x11, std::string(kBlock4) + std::string("\x03\0\x04\x41\xE8\x94\x51", 7));
  const auto outcome = parse(good);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().reason;
  EXPECT_TRUE(outcome->has_value());

  std::string flipped = good;
  flipped[16] ^= 1;
  EXPECT_FALSE(parse(flipped).has_value());

  std::string twice = std::string(kBlock4);
  for (int i = 0; i < 2; ++i) twice += std::string("\x03\0\x04\0\0\0\0", 7);
  EXPECT_FALSE(parse(binary(0x21, 0x11, twice)).has_value());
}

}  // namespace
}  // namespace postern::proxy
