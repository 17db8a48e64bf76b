#include "gateway/lists/siphash.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::lists {
namespace {

// The authors' test vectors: key 00 01 … 0f, input 00 01 … of the length.
TEST(SipHash, GivesTheAuthorsResults) {
  const SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string input;
  const auto at_length = [&](std::size_t length) {
    input.clear();
    for (std::size_t i = 0; i < length; ++i) input += static_cast<char>(i);
    return siphash(key, input);
  };
  EXPECT_EQ(at_length(0), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(at_length(15), 0xa129ca6149be45e5U);
}

TEST(SipHash, DependsOnEveryOctetAndOnTheKey) {
  const SipKey key{1, 2};
  const std::string text = "someone@mail.example";
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] ^= 1;
    EXPECT_NE(siphash(key, other), siphash(key, text)) << i;
  }
  EXPECT_NE(siphash({1, 3}, text), siphash(key, text));
  EXPECT_NE(siphash(key, text + '\0'), siphash(key, text));
}

}  // namespace
}  // namespace postern::lists
