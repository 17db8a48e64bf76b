#include "gateway/lists/siphash.h"

#include <bit>
#include <cstddef>
#include <cstring>
#include <random>

namespace postern::lists {
namespace {

struct State {
  std::uint64_t a, b, c, d;
  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      a += b;
      c += d;
      b = std::rotl(b, 13) ^ a;
      d = std::rotl(d, 16) ^ c;
      a = std::rotl(a, 32);
      c += b;
      a += d;
      b = std::rotl(b, 17) ^ c;
      d = std::rotl(d, 21) ^ a;
      c = std::rotl(c, 32);
    }
  }
  void take(std::uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  }
};

std::uint64_t word_at(const char* octets, std::size_t count) {
  std::uint64_t word = 0;
  if (count != 0) std::memcpy(&word, octets, count);  // an empty text may have no address at all
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

}  // namespace

SipKey random_key() {
  std::random_device device;
  const auto word = [&device] { return (std::uint64_t{device()} << 32) | device(); };
  return {word(), word()};
}

std::uint64_t siphash(const SipKey& key, std::string_view octets) {
  State state{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
              key[1] ^ 0x7465646279746573};
  const std::size_t whole = octets.size() / 8 * 8;
  for (std::size_t at = 0; at < whole; at += 8) state.take(word_at(octets.data() + at, 8));
  const std::uint64_t rest =
      octets.size() == whole ? 0 : word_at(octets.data() + whole, octets.size() - whole);
  state.take(rest | (std::uint64_t{octets.size()} << 56));
  state.c ^= 0xff;
  state.rounds(4);
  return state.a ^ state.b ^ state.c ^ state.d;
}

}  // namespace postern::lists
