#include "gateway/pipeline/pseudonym.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstdint>
#include <random>

namespace postern::pipeline {
namespace {

struct Key {
  std::uint64_t low = 0, high = 0;
};

const Key& process_key() {
  static const Key key = [] {
    std::random_device random;
    const auto word = [&random] { return std::uint64_t{random()} << 32 | random(); };
    return Key{.low = word(), .high = word()};
  }();
  return key;
}

struct SipState {
  std::array<std::uint64_t, 4> v;

  void round() {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = std::rotl(v[1], 13) ^ v[0];
    v[3] = std::rotl(v[3], 16) ^ v[2];
    v[0] = std::rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = std::rotl(v[1], 17) ^ v[2];
    v[3] = std::rotl(v[3], 21) ^ v[0];
    v[2] = std::rotl(v[2], 32);
  }
  void absorb(std::uint64_t word) {
    v[3] ^= word;
    round();
    round();
    v[0] ^= word;
  }
};

/// Octets as a little-endian word, missing ones zero.
std::uint64_t word_of(std::string_view octets) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < octets.size(); ++i)
    word |= std::uint64_t{static_cast<unsigned char>(octets[i])} << (8 * i);
  return word;
}

/// Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with two and four rounds.
std::uint64_t siphash(const Key& key, std::string_view text) {
  SipState state{{key.low ^ 0x736f6d6570736575U, key.high ^ 0x646f72616e646f6dU,
                  key.low ^ 0x6c7967656e657261U, key.high ^ 0x7465646279746573U}};
  const std::uint64_t length = std::uint64_t{text.size() & 0xffU} << 56;
  while (text.size() >= 8) {
    state.absorb(word_of(text.substr(0, 8)));
    text.remove_prefix(8);
  }
  state.absorb(length | word_of(text));
  state.v[2] ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v[0] ^ state.v[1] ^ state.v[2] ^ state.v[3];
}

}  // namespace

std::string pseudonym(std::string_view address) {
  if (address.empty()) return {};
  return fmt::format("{:016x}", siphash(process_key(), address));
}

}  // namespace postern::pipeline
