#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace postern::load {

/// Durations in buckets that grow with the value, after Gil Tene's HDR histogram: every value is kept to three
/// significant digits, from one nanosecond to more than an hour, in a fixed 270 KiB. Minimum, maximum, count and
/// sum are exact. One thread writes; histograms of several threads are merged afterwards.
class Histogram {
 public:
  /// Exact up to here; above, buckets are at most 1/1024 of their value wide.
  static constexpr std::uint64_t kExactBelow = 2048;
  /// 2^42 - 1 ns, 73 minutes: longer waits are counted in the last bucket. The maximum stays exact.
  static constexpr std::uint64_t kValueMax = (std::uint64_t{1} << 42) - 1;

  Histogram();

  /// Negative durations, which a clock should never give, count as zero.
  void record(std::chrono::nanoseconds duration);
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::chrono::nanoseconds min() const;  ///< zero when empty
  std::chrono::nanoseconds max() const;
  double mean_ns() const;  ///< zero when empty
  /// The smallest recorded bucket's upper edge that at least `share` (0 to 1) of the values do not exceed; never
  /// above max(). Zero when empty.
  std::chrono::nanoseconds quantile(double share) const;

  /// The bucket of a value, and the largest value of a bucket: the pair that quantile() rests on.
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t upper_edge(std::size_t bucket);

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0, min_ = 0, max_ = 0;
  double sum_ = 0;
};

}  // namespace postern::load
