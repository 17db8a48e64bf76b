// Local lists of ten million entries: a look-up that hits, one that misses, and the memory they take.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gateway/lists/fingerprint_set.h"
#include "gateway/lists/network_set.h"

namespace postern::lists {
namespace {

constexpr std::uint32_t kEntries = 10'000'000;
constexpr std::size_t kAsked = 1U << 16;

filters::Ip v4(std::uint32_t number) {
  return filters::Ip::v4({static_cast<std::uint8_t>(number >> 24), static_cast<std::uint8_t>(number >> 16),
                          static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

filters::Ip v6(std::uint64_t number) {
  std::array<std::uint8_t, 16> octets{0x20, 0x01, 0x0d, 0xb8};
  for (int i = 0; i < 8; ++i) octets[8 + i] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
  return filters::Ip::v6(octets);
}

/// Addresses one by one, and networks of a few lengths among them, as published lists hold them.
const NetworkSet& networks(bool six) {
  static const auto make = [](bool of_six) {
    NetworkSet set;
    std::mt19937_64 random(1);
    for (std::uint32_t i = 0; i < kEntries; ++i) {
      const filters::Ip ip = of_six ? v6(random()) : v4(static_cast<std::uint32_t>(random()));
      const unsigned host = of_six ? 128 : 32;
      const unsigned bits = i % 16 == 0 ? host - 8 * (1 + i / 16 % 2) : host;
      set.add(filters::Network::parse(ip.text() + "/" + std::to_string(bits)).value());
    }
    set.seal();
    return set;
  };
  static const NetworkSet kFour = make(false);
  if (!six) return kFour;
  static const NetworkSet kSix = make(true);
  return kSix;
}

void network(benchmark::State& state, bool six, bool hit) {
  const NetworkSet& set = networks(six);
  std::mt19937_64 random(hit ? 1 : 2);
  std::vector<filters::Ip> asked;
  for (std::size_t i = 0; i < kAsked; ++i)
    asked.push_back(six ? v6(random()) : v4(static_cast<std::uint32_t>(random())));
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(set.find(asked[at++ % kAsked]));
  state.counters["octets"] = static_cast<double>(set.octets());
  state.counters["entries"] = static_cast<double>(set.size());
}

std::string domain(std::uint32_t number) {
  return "@@d" + std::to_string(number) + ".mail.example";
}

void name(benchmark::State& state, bool hit) {
  static const FingerprintSet set = [] {
    FingerprintSet made;
    for (std::uint32_t i = 0; i < kEntries; ++i) made.add(domain(2 * i));
    made.seal();
    return made;
  }();
  std::mt19937 random(3);
  std::vector<std::string> asked;
  for (std::size_t i = 0; i < kAsked; ++i) asked.push_back(domain(random() % kEntries * 2 + (hit ? 0 : 1)));
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(set.contains(asked[at++ % kAsked]));
  state.counters["octets"] = static_cast<double>(set.octets());
  state.counters["entries"] = static_cast<double>(set.size());
}

BENCHMARK_CAPTURE(network, v4_hit, false, true);
BENCHMARK_CAPTURE(network, v4_miss, false, false);
BENCHMARK_CAPTURE(network, v6_hit, true, true);
BENCHMARK_CAPTURE(network, v6_miss, true, false);
BENCHMARK_CAPTURE(name, hit, true);
BENCHMARK_CAPTURE(name, miss, false);

}  // namespace
}  // namespace postern::lists
