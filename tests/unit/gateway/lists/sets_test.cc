#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gateway/lists/fingerprint_set.h"
#include "gateway/lists/network_set.h"

namespace postern::lists {
namespace {

using filters::Ip;
using filters::Network;

std::string name_of(std::uint32_t number) {
  return "d" + std::to_string(number) + ".example";
}

TEST(FingerprintSet, HoldsWhatWasAddedAtEverySize) {
  for (const std::uint32_t count : {0U, 1U, 2U, 15U, 16U, 17U, 1000U, 50'000U}) {
    SCOPED_TRACE(count);
    FingerprintSet set;
    for (std::uint32_t i = 0; i < count; ++i) set.add(name_of(2 * i));
    if (count > 0) set.add(name_of(0));  // twice is once
    set.seal();
    EXPECT_EQ(set.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) {
      ASSERT_TRUE(set.contains(name_of(2 * i)));
      ASSERT_FALSE(set.contains(name_of(2 * i + 1)));
    }
    EXPECT_LE(set.octets(), count * 10 + 64U);
  }
}

std::optional<unsigned> plainly(const std::vector<Network>& networks, const Ip& ip) {
  std::optional<unsigned> best;
  for (const Network& network : networks)
    if (network.contains(ip) && (!best || network.bits() > *best)) best = network.bits();
  return best;
}

TEST(NetworkSet, FindsTheLongestAsALinearSearchDoes) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  // Few leading octets, so that many look-ups hit.
  const auto v4 = [&random] {
    return std::to_string(random() % 2 + 10) + "." + std::to_string(random() % 3) + "." +
           std::to_string(random() % 4) + "." + std::to_string(random() % 256);
  };
  const auto v6 = [&random] {
    return "2001:db8:" + std::to_string(random() % 3) + "::" + std::to_string(random() % 50);
  };
  std::vector<Network> networks;
  NetworkSet set;
  for (int i = 0; i < 300; ++i) {
    const std::string text = i % 2 == 0 ? v4() + "/" + std::to_string(8 + random() % 25)
                                        : v6() + "/" + std::to_string(32 + random() % 97);
    networks.push_back(Network::parse(text).value());
    set.add(networks.back());
  }
  set.seal();
  for (int i = 0; i < 4000; ++i) {
    const Ip ip = Ip::parse(i % 2 == 0 ? v4() : v6()).value();
    ASSERT_EQ(set.find(ip), plainly(networks, ip)) << ip.text();
  }
  EXPECT_EQ(set.find(Ip()), std::nullopt);
}

TEST(NetworkSet, ManyOfOneLengthAndTheEdges) {
  NetworkSet set;
  for (std::uint32_t i = 0; i < 10'000; ++i)
    set.add(Network::parse("10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".7").value());
  for (const char* edge : {"0.0.0.0", "255.255.255.255"}) set.add(Network::parse(edge).value());
  set.seal();
  EXPECT_EQ(set.size(), 10'002U);
  for (const char* held : {"10.0.0.7", "10.39.15.7", "0.0.0.0", "255.255.255.255"})
    EXPECT_EQ(set.find(*Ip::parse(held)), 32U) << held;
  for (const char* other : {"10.39.16.7", "10.0.0.8", "0.0.0.1", "255.255.255.254"})
    EXPECT_EQ(set.find(*Ip::parse(other)), std::nullopt) << other;
  NetworkSet all;
  all.add(Network::parse("0.0.0.0/0").value());
  all.seal();
  EXPECT_EQ(all.find(*Ip::parse("192.0.2.1")), 0U);
  EXPECT_EQ(all.find(*Ip::parse("2001:db8::1")), std::nullopt);
}

}  // namespace
}  // namespace postern::lists
