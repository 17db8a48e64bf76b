#include "bench/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace postern::load {
namespace {

constexpr unsigned kExactBits = 11;                          // kExactBelow is 2^11
constexpr std::uint64_t kHalf = Histogram::kExactBelow / 2;  // buckets of every further power of two
static_assert(std::uint64_t{1} << kExactBits == Histogram::kExactBelow);

}  // namespace

Histogram::Histogram() : counts_(bucket_of(kValueMax) + 1) {}

std::size_t Histogram::bucket_of(std::uint64_t value) {
  value = std::min(value, kValueMax);
  if (value < kExactBelow) return static_cast<std::size_t>(value);
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kExactBits;
  return static_cast<std::size_t>(kExactBelow + (shift - 1) * kHalf + ((value >> shift) - kHalf));
}

std::uint64_t Histogram::upper_edge(std::size_t bucket) {
  if (bucket < kExactBelow) return bucket;
  const std::uint64_t beyond = bucket - kExactBelow;
  const std::uint64_t shift = beyond / kHalf + 1;
  return ((beyond % kHalf + kHalf + 1) << shift) - 1;
}

void Histogram::record(std::chrono::nanoseconds duration) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
  ++counts_[bucket_of(value)];
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
  ++count_;
}

void Histogram::merge(const Histogram& other) {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
  count_ += other.count_;
}

std::chrono::nanoseconds Histogram::min() const {
  return std::chrono::nanoseconds(min_);
}

std::chrono::nanoseconds Histogram::max() const {
  return std::chrono::nanoseconds(max_);
}

double Histogram::mean_ns() const {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

std::chrono::nanoseconds Histogram::quantile(double share) const {
  if (count_ == 0) return {};
  const double clamped = std::clamp(share, 0.0, 1.0);
  // The rank, not an interpolation: a quantile is a duration that was measured, to three digits. The small
  // subtraction keeps 0.99 * 100 at rank 99 although the product may come out a little above it.
  const double exact = clamped * static_cast<double>(count_);
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(exact - 1e-9 * exact)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank)
      return std::chrono::nanoseconds(i + 1 == counts_.size() ? max_ : std::min(upper_edge(i), max_));
  }
  return max();
}

}  // namespace postern::load
