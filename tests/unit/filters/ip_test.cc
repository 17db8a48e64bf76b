#include "filters/ip.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>

namespace postern::filters {
namespace {

struct TextCase {
  std::string_view text, normal;
};

constexpr TextCase kTexts[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"192.0.2.1", "192.0.2.1"},
    {"255.255.255.255", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // RFC 5952 §4.2.3: the first of equal runs
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longest run
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // RFC 5952 §4.2.2: no "::" for one group
    {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"1:0:0:0:0:0:0:0", "1::"},
    {"2001:DB8::ABCD", "2001:db8::abcd"},
    {"2001:0db8::00a0", "2001:db8::a0"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::FFFF:c000:0201", "192.0.2.1"},
    {"0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"},
    {"::fffe:192.0.2.1", "::fffe:c000:201"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"::192.0.2.1", "::c000:201"},
    {"1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

TEST(Ip, ReadsAndWritesText) {
  for (const TextCase& c : kTexts) {
    SCOPED_TRACE(c.text);
    const auto ip = Ip::parse(c.text);
    ASSERT_TRUE(ip.has_value());
    EXPECT_EQ(ip->text(), c.normal);
    EXPECT_EQ(Ip::parse(ip->text()), ip);
  }
}

constexpr std::string_view kNoAddresses[] = {
    "",
    ".",
    ":",
    ":::",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "256.1.1.1",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.04",
    "00.0.0.0",
    "1.2.3.4 ",
    " 1.2.3.4",
    "+1.2.3.4",
    "0x1.2.3.4",
    "1.2.3.1000",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "::1::",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4::5:6:7:8",
    ":1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:",
    "1:2:3:4:5:6:7:",
    ":1::2",
    "1::2:",
    "12345::",
    "g::",
    "::00001",
    "::1%eth0",
    "[::1]",
    "::1/64",
    "::1.2.3",
    "::1.2.3.4.5",
    "::01.2.3.4",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1:2:3:4:5:6:7::1.2.3.4",
    "::ffff:256.0.0.1",
    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
    "2001:db8::1 ",
    "1.2.3.4:25",
    "localhost",
};

TEST(Ip, RefusesWhatIsNoAddress) {
  for (const std::string_view text : kNoAddresses) EXPECT_FALSE(Ip::parse(text).has_value()) << text;
  EXPECT_FALSE(Ip::parse(std::string_view("127.0.0.1\0", 10)).has_value());
  EXPECT_FALSE(Ip::parse(std::string(1 << 20, ':')).has_value());
}

TEST(Ip, AgreesWithTheSystemOnRandomText) {
  constexpr std::uint32_t kSeed = 20240531;
  RecordProperty("seed", kSeed);
  std::mt19937 random(kSeed);
  constexpr std::string_view kAlphabet = "0123456789abcdefAF:::::....";
  std::size_t valid = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text;
    const std::size_t size = random() % 24;
    for (std::size_t i = 0; i < size; ++i) text += kAlphabet[random() % kAlphabet.size()];
    std::array<std::uint8_t, 16> octets{};
    const auto ip = Ip::parse(text);
    const bool v6 = text.find(':') != std::string::npos;
    const bool taken = inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), octets.data()) == 1;
    ASSERT_EQ(ip.has_value(), taken) << text << " (seed " << kSeed << ", round " << round << ")";
    if (!taken) continue;
    ++valid;
    EXPECT_EQ(*ip, v6 ? Ip::v6(octets) : Ip::v4({octets[0], octets[1], octets[2], octets[3]})) << text;
  }
  EXPECT_GT(valid, 50U);  // else the rounds show nothing
}

TEST(Ip, WritesWhatTheSystemWrites) {
  constexpr std::uint32_t kSeed = 5952;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 20'000; ++round) {
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < 16; i += 2)
      if (random() % 3 == 0) octets[i + random() % 2] = static_cast<std::uint8_t>(random());
    octets[0] |= 0x20;  // outside the block where the system prints a dotted quad
    char text[INET6_ADDRSTRLEN];
    ASSERT_NE(inet_ntop(AF_INET6, octets.data(), text, sizeof text), nullptr);
    ASSERT_EQ(Ip::v6(octets).text(), text) << "seed " << kSeed << ", round " << round;
  }
}

TEST(Ip, MakesTheSameOfMappedAddresses) {
  const Ip v4 = Ip::v4({192, 0, 2, 1});
  EXPECT_EQ(Ip::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}), v4);
  EXPECT_TRUE(v4.is_v4());
  EXPECT_FALSE(v4.is_v6());
  EXPECT_EQ(v4.octets(), std::string_view("\xC0\x00\x02\x01", 4));
}

TEST(Ip, KnowsItsOctets) {
  EXPECT_EQ(Ip::v4({1, 2, 3, 4}).octets(), "\1\2\3\4");
  EXPECT_EQ(Ip::v4({0, 0, 0, 0}).octets().size(), 4U);
  EXPECT_EQ(Ip::parse("::1")->octets().size(), 16U);
  EXPECT_EQ(Ip().octets().size(), 0U);
}

TEST(Ip, EmptyIsNoAddress) {
  EXPECT_TRUE(Ip().empty());
  EXPECT_EQ(Ip().family(), Ip::Family::none);
  EXPECT_EQ(Ip().text(), "");
  EXPECT_EQ(Ip().literal(), "");
  EXPECT_FALSE(Ip().is_loopback());
  EXPECT_NE(Ip(), Ip::v4({0, 0, 0, 0}));
  EXPECT_NE(Ip::v4({0, 0, 0, 0}), *Ip::parse("::"));
}

TEST(Ip, WritesAddressLiterals) {
  EXPECT_EQ(Ip::parse("192.0.2.1")->literal(), "[192.0.2.1]");
  EXPECT_EQ(Ip::parse("2001:DB8::1")->literal(), "[IPv6:2001:db8::1]");
}

TEST(Ip, KnowsLoopback) {
  for (const std::string_view text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(Ip::parse(text)->is_loopback()) << text;
  for (const std::string_view text : {"126.255.255.255", "128.0.0.1", "::", "::2", "1::1", "7f00::1"})
    EXPECT_FALSE(Ip::parse(text)->is_loopback()) << text;
}

struct MaskCase {
  std::string_view text;
  unsigned bits;
  std::string_view masked;
};

constexpr MaskCase kMasks[] = {
    {"192.0.2.255", 0, "0.0.0.0"},
    {"192.0.2.255", 1, "128.0.0.0"},
    {"192.0.2.255", 24, "192.0.2.0"},
    {"192.0.2.255", 25, "192.0.2.128"},
    {"192.0.2.255", 31, "192.0.2.254"},
    {"192.0.2.255", 32, "192.0.2.255"},
    {"192.0.2.255", 33, "192.0.2.255"},
    {"192.0.2.255", 4'000'000'000, "192.0.2.255"},
    {"2001:db8::ffff", 0, "::"},
    {"2001:db8:1:2:3::4", 64, "2001:db8:1:2::"},
    {"2001:db8::ffff", 127, "2001:db8::fffe"},
    {"2001:db8::ffff", 128, "2001:db8::ffff"},
    {"2001:db8::ffff", 129, "2001:db8::ffff"},
    {"ffff::", 3, "e000::"},
};

TEST(Ip, Masks) {
  for (const MaskCase& c : kMasks)
    EXPECT_EQ(Ip::parse(c.text)->masked(c.bits).text(), c.masked) << c.text << "/" << c.bits;
  EXPECT_EQ(Ip().masked(8), Ip());
}

TEST(Ip, IsAKey) {
  const std::unordered_set<Ip> set = {*Ip::parse("192.0.2.1"), *Ip::parse("::ffff:192.0.2.1"),
                                      *Ip::parse("::1")};
  EXPECT_EQ(set.size(), 2U);
  EXPECT_LT(*Ip::parse("192.0.2.1"), *Ip::parse("192.0.2.2"));
}

struct NetworkCase {
  std::string_view text, normal;
};

constexpr NetworkCase kNetworks[] = {
    {"192.0.2.0/24", "192.0.2.0/24"},
    {"192.0.2.99/24", "192.0.2.0/24"},
    {"192.0.2.1", "192.0.2.1/32"},
    {"0.0.0.0/0", "0.0.0.0/0"},
    {"2001:DB8::1/32", "2001:db8::/32"},
    {"::1", "::1/128"},
    {"::/0", "::/0"},
    {"::ffff:192.0.2.1", "192.0.2.1/32"},
    {"::ffff:192.0.2.1/120", "192.0.2.0/24"},
    {"::ffff:0:0/96", "0.0.0.0/0"},
};

TEST(Network, ReadsAndWritesText) {
  for (const NetworkCase& c : kNetworks) {
    SCOPED_TRACE(c.text);
    const auto network = Network::parse(c.text);
    ASSERT_TRUE(network.has_value());
    EXPECT_EQ(network->text(), c.normal);
    EXPECT_EQ(Network::parse(network->text()), network);
  }
}

TEST(Network, RefusesWhatIsNoNetwork) {
  for (const std::string_view text :
       {"", "/", "/8", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+1", "192.0.2.0/08",
        "192.0.2.0/8/8", "192.0.2/24", "::/129", "::/1000", "::/0128", "::ffff:0:0/95", "192.0.2.0 /24",
        "192.0.2.0/2 4", "example.test/8"})
    EXPECT_FALSE(Network::parse(text).has_value()) << text;
}

struct ContainsCase {
  std::string_view network, ip;
  bool contained;
};

constexpr ContainsCase kContains[] = {
    {"192.0.2.0/24", "192.0.2.0", true},
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.0/24", "192.0.1.255", false},
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"0.0.0.0/0", "255.1.2.3", true},
    {"0.0.0.0/0", "::1", false},
    {"::/0", "192.0.2.1", false},
    {"::/0", "2001:db8::1", true},
    {"2001:db8::/32", "2001:db8:ffff::", true},
    {"2001:db8::/32", "2001:db9::", false},
    {"127.0.0.0/8", "::ffff:127.1.2.3", true},
    {"10.0.0.0/7", "11.0.0.1", true},
    {"10.0.0.0/7", "12.0.0.1", false},
};

TEST(Network, Contains) {
  for (const ContainsCase& c : kContains)
    EXPECT_EQ(Network::parse(c.network)->contains(*Ip::parse(c.ip)), c.contained) << c.network << " " << c.ip;
  EXPECT_FALSE(Network::parse("0.0.0.0/0")->contains(Ip()));
  EXPECT_FALSE(Network().contains(Ip()));
}

}  // namespace
}  // namespace postern::filters
