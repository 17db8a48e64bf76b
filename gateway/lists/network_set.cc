#include "gateway/lists/network_set.h"

#include <algorithm>
#include <string_view>

namespace postern::lists {
namespace {

constexpr std::size_t kIndexedFrom = 4096;  // fewer are found as fast without
constexpr unsigned kLeadingBits = 16;

std::uint32_t number_of(const filters::Ip& ip) {
  std::uint32_t number = 0;
  for (const char octet : ip.octets()) number = (number << 8) | static_cast<unsigned char>(octet);
  return number;
}

/// Prefix length and network, as the text that is hashed.
struct NetworkKey {
  NetworkKey(const filters::Ip& masked, unsigned bits) {
    octets[0] = static_cast<char>(bits);
    std::ranges::copy(masked.octets(), octets.begin() + 1);
  }
  std::string_view text() const { return {octets.data(), octets.size()}; }
  std::array<char, 17> octets{};
};

}  // namespace

void NetworkSet::add(const filters::Network& network) {
  if (network.address().is_v4()) {
    v4_[network.bits()].addresses.push_back(number_of(network.address()));
  } else {
    v6_lengths_.set(network.bits());
    v6_.add(NetworkKey(network.address(), network.bits()).text());
  }
}

void NetworkSet::seal() {
  for (Level& level : v4_) {
    std::ranges::sort(level.addresses);
    level.addresses.erase(std::ranges::unique(level.addresses).begin(), level.addresses.end());
    level.addresses.shrink_to_fit();
    if (level.addresses.size() < kIndexedFrom) continue;
    level.index.assign((std::size_t{1} << kLeadingBits) + 1, 0);
    for (const std::uint32_t address : level.addresses) ++level.index[(address >> (32 - kLeadingBits)) + 1];
    for (std::size_t i = 1; i < level.index.size(); ++i) level.index[i] += level.index[i - 1];
  }
  v6_.seal();
  for (unsigned bits = 0; bits <= 32; ++bits)
    if (!v4_[bits].addresses.empty())
      v4_lengths_.insert(v4_lengths_.begin(), static_cast<std::uint8_t>(bits));
  for (unsigned bits = 0; bits <= 128; ++bits)
    if (v6_lengths_.test(bits))
      v6_longest_first_.insert(v6_longest_first_.begin(), static_cast<std::uint8_t>(bits));
}

bool NetworkSet::Level::contains(std::uint32_t address) const {
  auto begin = addresses.begin(), end = addresses.end();
  if (!index.empty()) {
    const std::size_t place = address >> (32 - kLeadingBits);
    end = begin + index[place + 1];
    begin += index[place];
  }
  return std::binary_search(begin, end, address);
}

std::optional<unsigned> NetworkSet::find(const filters::Ip& ip) const {
  if (ip.is_v4()) {
    const std::uint32_t address = number_of(ip);
    for (const unsigned bits : v4_lengths_) {
      const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits);
      if (v4_[bits].contains(address & mask)) return bits;
    }
  }
  if (!ip.is_v6()) return std::nullopt;
  std::array<std::uint64_t, 129> prints;  // written as far as it is read
  std::size_t count = 0;
  for (const unsigned bits : v6_longest_first_) {
    prints[count] = v6_.print_of(NetworkKey(ip.masked(bits), bits).text());
    v6_.fetch(prints[count++]);
  }
  for (std::size_t i = 0; i < count; ++i)
    if (v6_.holds(prints[i])) return v6_longest_first_[i];
  return std::nullopt;
}

std::size_t NetworkSet::size() const {
  std::size_t sum = v6_.size();
  for (const Level& level : v4_) sum += level.addresses.size();
  return sum;
}

std::size_t NetworkSet::octets() const {
  std::size_t sum = v6_.octets();
  for (const Level& level : v4_)
    sum += (level.addresses.capacity() + level.index.capacity()) * sizeof(std::uint32_t);
  return sum;
}

}  // namespace postern::lists
