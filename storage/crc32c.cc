#include "storage/crc32c.h"

#include <array>
#include <cstring>
#include <string_view>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace postern::storage {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, bits reversed

/// What follows one octet: eight steps of the division.
constexpr std::array<std::uint32_t, 256> kOctetTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t octet = 0; octet < table.size(); ++octet) {
    std::uint32_t crc = octet;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0);
    table[octet] = crc;
  }
  return table;
}();

#if defined(__x86_64__)

/// The instruction has a latency of three cycles and may be started in each: three parts side by side take
/// the time of one.
constexpr std::size_t kPartOctets = 512;
static_assert(kPartOctets % 8 == 0);

/// A checksum moved over kPartOctets octets of zeros, by the octet of the checksum: the move is linear, so
/// the moves of the four octets add up.
constexpr std::array<std::array<std::uint32_t, 256>, 4> kPartTable = [] {
  std::array<std::uint32_t, 32> moved_bit{};
  for (std::size_t bit = 0; bit < moved_bit.size(); ++bit) {
    std::uint32_t crc = 1U << bit;
    for (std::size_t i = 0; i < kPartOctets; ++i) crc = (crc >> 8U) ^ kOctetTable[crc & 0xffU];
    moved_bit[bit] = crc;
  }
  std::array<std::array<std::uint32_t, 256>, 4> table{};
  for (std::size_t place = 0; place < table.size(); ++place)
    for (std::size_t octet = 0; octet < 256; ++octet)
      for (std::size_t bit = 0; bit < 8; ++bit)
        if ((octet >> bit & 1U) != 0) table[place][octet] ^= moved_bit[place * 8 + bit];
  return table;
}();

std::uint64_t over_a_part(std::uint64_t crc) {
  return kPartTable[0][crc & 0xffU] ^ kPartTable[1][(crc >> 8U) & 0xffU] ^
         kPartTable[2][(crc >> 16U) & 0xffU] ^ kPartTable[3][(crc >> 24U) & 0xffU];
}

std::uint64_t load(const char* octets) {
  std::uint64_t value = 0;
  std::memcpy(&value, octets, sizeof(value));
  return value;
}

__attribute__((target("sse4.2"))) std::uint32_t extend_by_instruction(std::uint32_t crc, const char* octets,
                                                                      std::size_t count) {
  std::uint64_t state = crc ^ 0xffffffffU;
  for (; count >= 3 * kPartOctets; octets += 3 * kPartOctets, count -= 3 * kPartOctets) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kPartOctets; i += 8) {
      state = _mm_crc32_u64(state, load(octets + i));
      second = _mm_crc32_u64(second, load(octets + kPartOctets + i));
      third = _mm_crc32_u64(third, load(octets + 2 * kPartOctets + i));
    }
    state = over_a_part(over_a_part(state) ^ second) ^ third;
  }
  for (; count >= 8; octets += 8, count -= 8) state = _mm_crc32_u64(state, load(octets));
  auto narrow = static_cast<std::uint32_t>(state);
  for (; count > 0; ++octets, --count) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*octets));
  return narrow ^ 0xffffffffU;
}

bool has_instruction() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}

#endif

}  // namespace

std::uint32_t crc32c_extend_portable(std::uint32_t crc, const char* octets, std::size_t count) {
  crc ^= 0xffffffffU;
  for (std::size_t i = 0; i < count; ++i)
    crc = (crc >> 8U) ^ kOctetTable[(crc ^ static_cast<unsigned char>(octets[i])) & 0xffU];
  return crc ^ 0xffffffffU;
}

std::uint32_t crc32c_extend(std::uint32_t crc, const char* octets, std::size_t count) {
#if defined(__x86_64__)
  if (has_instruction()) return extend_by_instruction(crc, octets, count);
#endif
  return crc32c_extend_portable(crc, octets, count);
}

}  // namespace postern::storage

// RocksDB's own name. Elsewhere than on x86-64 the library looks for the instruction itself.
namespace rocksdb::crc32c {
std::uint32_t Extend(std::uint32_t crc, const char* octets, std::size_t count);
#if defined(__x86_64__)
std::uint32_t Extend(std::uint32_t crc, const char* octets, std::size_t count) {
  return postern::storage::crc32c_extend(crc, octets, count);
}
#endif
}  // namespace rocksdb::crc32c

namespace postern::storage {

bool crc32c_is_sound() {
  constexpr std::string_view kText = "123456789";
  constexpr std::uint32_t kChecksum = 0xe3069283;  // the check value that the catalogues of CRCs give
  return rocksdb::crc32c::Extend(0, kText.data(), kText.size()) == kChecksum;
}

}  // namespace postern::storage
