#include "storage/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

namespace rocksdb::crc32c {
std::uint32_t Extend(std::uint32_t crc, const char* octets, std::size_t count);
}

namespace postern::storage {
namespace {

struct KnownSum {
  std::string_view name;
  std::string octets;
  std::uint32_t sum;
};

// RFC 3720 §B.4, and the check value.
const KnownSum kKnownSums[] = {
    {.name = "nothing", .octets = "", .sum = 0},
    {.name = "check value", .octets = "123456789", .sum = 0xe3069283},
    {.name = "32 zeros", .octets = std::string(32, '\0'), .sum = 0x8a9136aa},
    {.name = "32 ones", .octets = std::string(32, '\xff'), .sum = 0x62a8ab43},
};

TEST(Crc32c, KnownSums) {
  for (const KnownSum& c : kKnownSums) {
    EXPECT_EQ(crc32c_extend(0, c.octets.data(), c.octets.size()), c.sum) << c.name;
    EXPECT_EQ(crc32c_extend_portable(0, c.octets.data(), c.octets.size()), c.sum) << c.name;
  }
}

std::string random_octets(std::size_t count) {
  std::mt19937 random(20);
  std::string octets(count, '\0');
  for (char& octet : octets) octet = static_cast<char>(random());
  return octets;
}

TEST(Crc32c, EveryLengthAndAlignmentAgreesWithTheTable) {
  const std::string octets = random_octets(5000);
  for (std::size_t count = 0; count < 3400; count += count < 40 || count > 3050 ? 1 : 13)
    for (const std::size_t at : {0, 1, 3, 8})
      ASSERT_EQ(crc32c_extend(77, octets.data() + at, count),
                crc32c_extend_portable(77, octets.data() + at, count))
          << count << " octets at " << at;
}

TEST(Crc32c, SplitAnywhereGivesTheSame) {
  const std::string octets = random_octets(1700);
  const std::uint32_t whole = crc32c_extend(0, octets.data(), octets.size());
  for (std::size_t at = 0; at <= octets.size(); ++at)
    ASSERT_EQ(crc32c_extend(crc32c_extend(0, octets.data(), at), octets.data() + at, octets.size() - at),
              whole)
        << at;
}

TEST(Crc32c, WhatRocksDbCallsIsSound) {
  EXPECT_TRUE(crc32c_is_sound());
  const std::string octets = random_octets(4000);
  EXPECT_EQ(rocksdb::crc32c::Extend(3, octets.data(), octets.size()),
            crc32c_extend_portable(3, octets.data(), octets.size()));
}

}  // namespace
}  // namespace postern::storage
