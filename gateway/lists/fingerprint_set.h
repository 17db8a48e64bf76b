#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "gateway/lists/siphash.h"

namespace postern::lists {

/// A set of texts that keeps 64 bits of each: eight octets an entry and half an octet of index, whatever the texts are. A text
/// that is not in it is taken for one with a chance of entries / 2^64, and nobody can make one, for the hash has a secret key.
/// Built once, then immutable; any thread.
class FingerprintSet {
 public:
  FingerprintSet() : key_(random_key()) {}

  void reserve(std::size_t entries) { prints_.reserve(entries); }
  void add(std::string_view text) { prints_.push_back(siphash(key_, text)); }
  /// After the last add(), before the first contains().
  void seal();

  bool contains(std::string_view text) const { return holds(print_of(text)); }
  /// The same in two steps, for several texts at once: memory is fetched while the others' is on its way.
  std::uint64_t print_of(std::string_view text) const { return siphash(key_, text); }
  void fetch(std::uint64_t print) const {
    if (!prints_.empty()) __builtin_prefetch(&index_[print >> shift_]);
  }
  bool holds(std::uint64_t print) const;

  std::size_t size() const { return prints_.size(); }
  bool empty() const { return prints_.empty(); }
  std::size_t octets() const;

 private:
  SipKey key_;
  std::vector<std::uint64_t> prints_;  ///< sorted
  std::vector<std::uint32_t> index_;  ///< where the prints with these leading bits begin; one more at the end
  unsigned shift_ = 63;               ///< leaves the leading bits
};

}  // namespace postern::lists
