#include "gateway/metrics/metrics.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace postern::metrics {
namespace {

constexpr unsigned kSharedShard = kShards - 1;
constexpr std::size_t kWordsPerCacheLine = 64 / sizeof(std::atomic<std::uint64_t>);

thread_local unsigned this_shard = kSharedShard;

/// A shard below the last has one writer, so a plain store suffices; the last is everyone else's.
void add_to(std::atomic<std::uint64_t>& word, std::uint64_t n) noexcept {
  if (this_shard == kSharedShard) {
    word.fetch_add(n, std::memory_order_relaxed);
  } else {
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
}

void add_to_sum(std::atomic<std::uint64_t>& word, double value) noexcept {
  std::uint64_t before = word.load(std::memory_order_relaxed);
  if (this_shard != kSharedShard) {
    word.store(std::bit_cast<std::uint64_t>(std::bit_cast<double>(before) + value),
               std::memory_order_relaxed);
    return;
  }
  while (!word.compare_exchange_weak(before,
                                     std::bit_cast<std::uint64_t>(std::bit_cast<double>(before) + value),
                                     std::memory_order_relaxed)) {
  }
}

std::vector<double> in_order(std::vector<double> bounds) {
  std::erase_if(bounds, [](double bound) { return !std::isfinite(bound); });
  std::ranges::sort(bounds);
  const auto repeated = std::ranges::unique(bounds);
  bounds.erase(repeated.begin(), repeated.end());
  return bounds;
}

/// Sum and buckets, rounded up to whole cache lines, and one line more because the array itself may start
/// inside one.
std::size_t words_per_shard(std::size_t bounds) {
  const std::size_t used = 1 + bounds + 1;
  return (used + kWordsPerCacheLine - 1) / kWordsPerCacheLine * kWordsPerCacheLine + kWordsPerCacheLine;
}

}  // namespace

void set_shard(unsigned shard) noexcept {
  this_shard = std::min(shard, kSharedShard);
}
unsigned shard() noexcept {
  return this_shard;
}

void Counter::add(std::uint64_t n) noexcept {
  add_to((*slots_)[this_shard].value, n);
}

std::uint64_t Counter::value() const noexcept {
  std::uint64_t sum = 0;
  for (const Slot& slot : *slots_) sum += slot.value.load(std::memory_order_relaxed);
  return sum;
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(in_order(std::move(bounds))),
      stride_(words_per_shard(bounds_.size())),
      words_(std::make_unique<std::atomic<std::uint64_t>[]>(stride_ * kShards)) {}

void Histogram::observe(double value) noexcept {
  if (std::isnan(value)) return;
  value = std::max(value, 0.0);
  const auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin());
  std::atomic<std::uint64_t>* words = words_.get() + stride_ * this_shard;
  add_to(words[1 + bucket], 1);
  if (std::isfinite(value)) add_to_sum(words[0], value);  // an infinite sum would never be a figure again
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot result;
  result.counts.resize(bounds_.size() + 1);
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const std::atomic<std::uint64_t>* words = words_.get() + stride_ * shard;
    result.sum += std::bit_cast<double>(words[0].load(std::memory_order_relaxed));
    for (std::size_t i = 0; i < result.counts.size(); ++i) {
      result.counts[i] += words[1 + i].load(std::memory_order_relaxed);
    }
  }
  return result;
}

}  // namespace postern::metrics
