#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace postern::filters::bayes {

/// The secret of one installation that features are hashed with: who does not know it cannot make up words that fall on the counters
/// of other words. Drawn once, kept beside the model, worthless elsewhere.
using Secret = std::array<std::uint64_t, 4>;

/// Keyed hashing of short texts: 8 octets a step through a 64x64→128 bit product, both factors masked with the secret. Not for
/// signatures; outputs are never shown.
class Hasher {
 public:
  explicit constexpr Hasher(const Secret& secret) {
    std::uint64_t running = 0;
    for (std::size_t i = 0; i < secret.size(); ++i) secret_[i] = running = spread(running ^ secret[i]);
  }

  std::uint64_t operator()(std::uint64_t seed, std::string_view text) const {
    std::uint64_t state = seed ^ secret_[0];
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left > 8; left -= 8, at += 8) state = fold(word(at, 8) ^ secret_[1], state ^ secret_[2]);
    return fold(fold(word(at, left) ^ secret_[1], state ^ secret_[2]), text.size() ^ secret_[3]);
  }

  /// Of two hashes and how far they stand apart.
  std::uint64_t pair(std::uint64_t first, std::uint64_t second, std::uint64_t distance) const {
    return fold(first ^ secret_[1], fold(second ^ secret_[2], distance ^ secret_[3]));
  }

  std::uint64_t number(std::uint64_t seed, std::uint64_t value) const {
    return fold(value ^ secret_[1], seed ^ secret_[2]);
  }

 private:
  /// Every bit of a word into all of them, and never to zero: factors must be large whatever the secret is (the finalizer of
  /// SplitMix64).
  static constexpr std::uint64_t spread(std::uint64_t value) {
    value += 0x9E3779B97F4A7C15;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    return (value ^ (value >> 31)) | 1;
  }
  static std::uint64_t word(const char* at, std::size_t count) {
    std::uint64_t value = 0;
    if (count != 0) std::memcpy(&value, at, count);  // an empty text may have no address at all
    return value;
  }
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    // The factors go in as well: a factor of zero must not swallow the other.
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64) ^ a ^
           ((b << 32) | (b >> 32));
  }

  Secret secret_{};
};

}  // namespace postern::filters::bayes
