#include "gateway/smtp/server/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace postern::smtp {
namespace {

using Answer = Admission::Answer;

filters::Ip ip(std::string_view text) {
  const auto parsed = filters::Ip::parse(text);
  return parsed.value_or(filters::Ip());
}

struct NetworkCase {
  std::string_view name, client, network;
};

constexpr NetworkCase kNetworkCases[] = {
    {"an IPv4 address is its own network", "192.0.2.77", "192.0.2.77"},
    {"an IPv6 address counts as its /64", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
    {"the first 64 bits are kept", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", "2001:db8:1:ffff::"},
    {"a mapped address is IPv4", "::ffff:192.0.2.77", "192.0.2.77"},
};

TEST(Admission, KnowsTheNetworkOfAClient) {
  for (const NetworkCase& c : kNetworkCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Admission::network_of(ip(c.client)).text(), c.network);
  }
}

TEST(Admission, AdmitsUpToTheTotalAndNoMore) {
  Admission admission;
  const AdmissionLimits limits{.connections_max = 3, .connections_per_network_max = 100};
  EXPECT_EQ(admission.enter(ip("192.0.2.1"), limits), Answer::admitted);
  EXPECT_EQ(admission.enter(ip("192.0.2.2"), limits), Answer::admitted);
  EXPECT_EQ(admission.enter(filters::Ip(), limits), Answer::admitted);
  EXPECT_EQ(admission.connections(), 3U);
  EXPECT_EQ(admission.enter(ip("192.0.2.3"), limits), Answer::full);
  EXPECT_EQ(admission.enter(filters::Ip(), limits), Answer::full);
  EXPECT_EQ(admission.connections(), 3U) << "a refusal takes nothing";
  admission.leave(filters::Ip());
  EXPECT_EQ(admission.enter(ip("192.0.2.3"), limits), Answer::admitted);
}

TEST(Admission, AdmitsUpToTheBoundOfANetworkAndNoMore) {
  Admission admission;
  const AdmissionLimits limits{.connections_max = 100, .connections_per_network_max = 2};
  EXPECT_EQ(admission.enter(ip("2001:db8::1"), limits), Answer::admitted);
  EXPECT_EQ(admission.enter(ip("2001:db8::2"), limits), Answer::admitted);
  EXPECT_EQ(admission.enter(ip("2001:db8::3"), limits), Answer::network_full);
  EXPECT_EQ(admission.connections(), 2U);
  EXPECT_EQ(admission.enter(ip("2001:db8:0:1::1"), limits), Answer::admitted) << "a neighbour";
  admission.leave(ip("2001:db8::1"));
  EXPECT_EQ(admission.enter(ip("2001:db8::3"), limits), Answer::admitted) << "room again";
}

TEST(Admission, CountsUnlimitedClientsInTheTotalOnly) {
  Admission admission;
  const AdmissionLimits limits{.connections_max = 3, .connections_per_network_max = 1, .unlimited = true};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(admission.enter(ip("127.0.0.1"), limits), Answer::admitted);
  EXPECT_EQ(admission.enter(ip("127.0.0.1"), limits), Answer::full);
  for (int i = 0; i < 3; ++i) admission.leave(ip("127.0.0.1"));
  EXPECT_EQ(admission.connections(), 0U);
}

TEST(Admission, HoldsItsBoundsWhenAllCoresEnterAtOnce) {
  Admission admission;
  constexpr std::uint32_t kTotal = 40, kNetwork = 7;
  const AdmissionLimits limits{.connections_max = kTotal, .connections_per_network_max = kNetwork};
  std::atomic<std::uint32_t> here{0}, of_one{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> cores;
  for (unsigned core = 0; core < 4; ++core) {
    cores.emplace_back([&, core] {
      for (unsigned i = 0; i < 5000; ++i) {
        const bool crowded = (i + core) % 2 == 0;
        const filters::Ip client =
            crowded ? ip("198.51.100.1") : filters::Ip::v4({203, 0, 113, static_cast<std::uint8_t>(i)});
        if (admission.enter(client, limits) != Answer::admitted) continue;
        if (here.fetch_add(1) >= kTotal) over = true;
        if (crowded && of_one.fetch_add(1) >= kNetwork) over = true;
        if (crowded) of_one.fetch_sub(1);
        here.fetch_sub(1);
        admission.leave(client);
      }
    });
  }
  for (std::thread& core : cores) core.join();
  EXPECT_FALSE(over);
  EXPECT_EQ(admission.connections(), 0U);
  // Nothing is left of anybody: each network has its whole bound again.
  for (std::uint32_t i = 0; i < kNetwork; ++i)
    EXPECT_EQ(admission.enter(ip("198.51.100.1"), limits), Answer::admitted);
  EXPECT_EQ(admission.enter(ip("198.51.100.1"), limits), Answer::network_full);
}

}  // namespace
}  // namespace postern::smtp
