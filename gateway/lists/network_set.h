#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "filters/ip.h"
#include "gateway/lists/fingerprint_set.h"

namespace postern::lists {

/// A set of networks: four octets for each of IPv4, exactly; for IPv6 as FingerprintSet keeps texts. A look-up costs one search for
/// each prefix length that occurs. Built once, then immutable; any thread.
class NetworkSet {
 public:
  void add(const filters::Network& network);
  /// After the last add().
  void seal();

  /// The prefix length of the longest network that holds the address.
  std::optional<unsigned> find(const filters::Ip& ip) const;
  std::size_t size() const;
  std::size_t octets() const;

 private:
  /// The networks of one prefix length, sorted, with where each pair of leading octets begins when there are many.
  struct Level {
    std::vector<std::uint32_t> addresses;
    std::vector<std::uint32_t> index;
    bool contains(std::uint32_t address) const;
  };

  std::array<Level, 33> v4_;
  FingerprintSet v6_;
  std::bitset<129> v6_lengths_;
  std::vector<std::uint8_t> v4_lengths_, v6_longest_first_;  ///< those that occur, the longest first
};

}  // namespace postern::lists
