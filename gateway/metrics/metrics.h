#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::metrics {

/// Which shard of every counter this thread writes. Reactors set theirs to their core; other threads share
/// the last one.
inline constexpr unsigned kShards = 65;
void set_shard(unsigned shard) noexcept;
unsigned shard() noexcept;

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Monotonic; the name ends in _total. add() is one relaxed store on a cache line of this core.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept;
  std::uint64_t value() const noexcept;

 private:
  friend class Registry;
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> value{0};
  };
  std::unique_ptr<std::array<Slot, kShards>> slots_ = std::make_unique<std::array<Slot, kShards>>();
};

/// Goes up and down (connections, octets in use).
class Gauge {
 public:
  void add(std::int64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::int64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Cumulative buckets with upper bounds in base units (seconds, octets). Bounds are put in order; +Inf is
/// always there.
class Histogram {
 public:
  struct Snapshot {
    std::vector<std::uint64_t> counts;  ///< of each bucket alone, the last one above all bounds
    double sum = 0;
  };

  explicit Histogram(std::vector<double> bounds);
  /// NaN is ignored; what is below zero counts as zero, because a sum must not shrink.
  void observe(double value) noexcept;
  const std::vector<double>& bounds() const { return bounds_; }
  Snapshot snapshot() const;

 private:
  std::vector<double> bounds_;
  std::size_t stride_;  ///< words of one shard
  /// For each shard: the sum as the bits of a double, the buckets, and room up to a cache line of its own.
  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

/// All metrics of the process. Families keep their order of registration; asking for an existing name and
/// labels gives the same object, and for an existing callback puts the new one in its place. Registration
/// takes a lock and belongs to start-up; objects live as long as the registry. A name that is no metric name,
/// or that is registered as another type, is a fault of ours and aborts.
class Registry {
 public:
  Registry();
  ~Registry();
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                       const Labels& labels = {});
  /// Figures that somebody else keeps, read at scrape time. `type` is "counter" or "gauge". `read` may be
  /// called from any thread; it must not register anything.
  void callback(std::string_view name, std::string_view help, std::string_view type, const Labels& labels,
                std::function<double()> read);
  /// Prometheus text exposition format 0.0.4.
  std::string render() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::metrics
