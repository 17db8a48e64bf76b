#include "gateway/smtp/utf8.h"

#include <gtest/gtest.h>

namespace postern::smtp {
namespace {

TEST(Utf8, EveryCodePointComesBack) {
  for (std::uint32_t code_point = 0; code_point <= 0x110010; ++code_point) {
    std::string text;
    const bool valid = code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff);
    ASSERT_EQ(append_utf8(code_point, text), valid) << code_point;
    if (valid) {
      ASSERT_EQ(utf8_sequence(text + "x"), text.size()) << code_point;
    }
    for (std::size_t cut = 1; valid && cut < text.size(); ++cut)
      ASSERT_EQ(utf8_sequence(text.substr(0, cut)), 0u) << code_point;
  }
}

/// Every pair of octets that begins a sequence: as many are taken as there are code points with that beginning.
TEST(Utf8, NothingElseIsTaken) {
  std::size_t taken = 0;
  for (unsigned first = 0x80; first < 0x100; ++first) {
    for (unsigned second = 0; second < 0x100; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second), '\x80', '\x80'};
      if (utf8_sequence(text) != 0) ++taken;
    }
  }
  // RFC 3629 §4: 30 leads of two octets × 64; E0, E1-EC, ED, EE-EF; F0, F1-F3, F4.
  EXPECT_EQ(taken, 30u * 64 + (32 + 12 * 64 + 32 + 2 * 64) + (48 + 3 * 64 + 16));
  EXPECT_EQ(utf8_sequence(""), 0u);
  EXPECT_EQ(utf8_sequence("\xe2\x82("), 0u);
  EXPECT_EQ(utf8_sequence("\xf0\x9f\x98("), 0u);
}

}  // namespace
}  // namespace postern::smtp
