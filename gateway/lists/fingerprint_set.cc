#include "gateway/lists/fingerprint_set.h"

#include <algorithm>
#include <bit>

namespace postern::lists {
namespace {

constexpr std::size_t kPrintsPerPlace = 8;  // a cache line

}  // namespace

void FingerprintSet::seal() {
  std::ranges::sort(prints_);
  prints_.erase(std::ranges::unique(prints_).begin(), prints_.end());
  prints_.shrink_to_fit();
  const std::size_t places = std::bit_ceil(std::max<std::size_t>(prints_.size() / kPrintsPerPlace, 2));
  shift_ = 64 - static_cast<unsigned>(std::countr_zero(places));
  index_.assign(places + 1, 0);
  for (const std::uint64_t print : prints_) ++index_[(print >> shift_) + 1];
  for (std::size_t i = 1; i < index_.size(); ++i) index_[i] += index_[i - 1];
}

bool FingerprintSet::holds(std::uint64_t print) const {
  if (prints_.empty()) return false;
  const std::size_t place = print >> shift_;
  const auto begin = prints_.begin() + index_[place], end = prints_.begin() + index_[place + 1];
  return std::find(begin, end, print) != end;
}

std::size_t FingerprintSet::octets() const {
  return prints_.capacity() * sizeof(std::uint64_t) + index_.capacity() * sizeof(std::uint32_t);
}

}  // namespace postern::lists
