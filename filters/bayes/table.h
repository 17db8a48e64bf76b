#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "filters/bayes/features.h"

namespace postern::filters::bayes {

/// What is known of one feature, in 16 octets, four to a cache line. All of it is sums of integers, so that what one message added
/// can be taken away again in any order and leaves nothing behind.
struct Slot {
  static constexpr std::int32_t kUnit = 1 << 16;  ///< of gradients: 1.0
  static constexpr std::uint32_t kMessage = 16;   ///< of counts: one whole message
  static constexpr std::uint32_t kCountMax = (1U << 24) - 1;

  std::int32_t gradients = 0;  ///< sum
  std::uint32_t squares = 0;   ///< sum of the gradients' squares
  std::uint32_t ham = 0, spam = 0;
  std::uint16_t day = 0;  ///< when it was last learned, in days since 1970
  friend bool operator==(const Slot&, const Slot&) = default;
};

/// A flat table of slots without keys: two features may share one, and nobody can choose which without the secret. Readers on any
/// thread see each half of a slot whole and never wait; there is one writer at a time. Memory is taken as it is used.
class Table {
 public:
  static constexpr unsigned kBitsMin = 12, kBitsMax = 26;  ///< 64 KiB to 1 GiB
  static constexpr std::size_t kSlotOctets = 16;

  /// 2^bits slots, all empty.
  explicit Table(unsigned bits);

  unsigned bits() const { return bits_; }
  std::size_t size() const { return std::size_t{1} << bits_; }
  std::size_t place(Feature feature) const { return feature >> (32 - bits_); }

  Slot get(std::size_t place) const;
  void set(std::size_t place, const Slot& slot);
  void prefetch(std::size_t place) const { __builtin_prefetch(&words_[place * 2]); }
  /// Gradients and squares alone, which the linear models want.
  std::uint64_t weight_word(std::size_t place) const { return load(place * 2); }
  std::uint64_t count_word(std::size_t place) const { return load(place * 2 + 1); }

  static std::int32_t gradients_of(std::uint64_t word) { return static_cast<std::int32_t>(word); }
  static std::uint32_t squares_of(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); }
  static std::uint32_t ham_of(std::uint64_t word) {
    return static_cast<std::uint32_t>(word) & Slot::kCountMax;
  }
  static std::uint32_t spam_of(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 24) & Slot::kCountMax;
  }

 private:
  std::uint64_t load(std::size_t word) const {
    return std::atomic_ref<std::uint64_t>(words_[word]).load(std::memory_order_relaxed);
  }
  void store(std::size_t word, std::uint64_t value) {
    std::atomic_ref<std::uint64_t>(words_[word]).store(value, std::memory_order_relaxed);
  }

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  unsigned bits_;
  std::unique_ptr<std::uint64_t[], Free> words_;
};

}  // namespace postern::filters::bayes
