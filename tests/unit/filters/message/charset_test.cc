#include "filters/message/charset.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

using namespace std::string_view_literals;

struct CharsetCase {
  std::string_view name, octets, charset, text;
  std::vector<std::string> oddities = {};
};

TEST(Charset, GivesUtf8) {
  const CharsetCase cases[] = {
      {.name = "ascii", .octets = "abc", .charset = "us-ascii", .text = "abc"},
      {.name = "utf-8", .octets = "\xC3\xA4\xE2\x82\xAC", .charset = "UTF-8", .text = "\xC3\xA4\xE2\x82\xAC"},
      {.name = "invalid utf-8",
       .octets = "a\xC3x\xE2\x82y\xFF",
       .charset = "utf-8",
       .text = "a\xEF\xBF\xBDx\xEF\xBF\xBDy\xEF\xBF\xBD",
       .oddities = {"charset_invalid_octets"}},
      {.name = "overlong and surrogate",
       .octets = "\xC0\xAF",
       .charset = "utf-8",
       .text = "\xEF\xBF\xBD\xEF\xBF\xBD",
       .oddities = {"charset_invalid_octets"}},
      {.name = "latin 1 is windows-1252",
       .octets = "\xE4\x93",
       .charset = "ISO-8859-1",
       .text = "\xC3\xA4\xE2\x80\x9C"},
      {.name = "an octet windows-1252 lacks",
       .octets = "a\x81"
                 "b",
       .charset = "windows-1252",
       .text = "a\xEF\xBF\xBD"
               "b",
       .oddities = {"charset_invalid_octets"}},
      {.name = "koi8-r", .octets = "\xD0", .charset = "koi8-r", .text = "\xD0\xBF"},
      {.name = "shift_jis", .octets = "\x83\x65", .charset = "Shift_JIS", .text = "\xE3\x83\x86"},
      {.name = "gb2312 is gb18030", .octets = "\xD6\xD0", .charset = "gb2312", .text = "\xE4\xB8\xAD"},
      {.name = "iso-2022-jp", .octets = "\x1B$B%F\x1B(B", .charset = "iso-2022-jp", .text = "\xE3\x83\x86"},
      {.name = "utf-16be", .octets = "\0a\0b"sv, .charset = "utf-16be", .text = "ab"},
      {.name = "half a character",
       .octets = "a\x83",
       .charset = "shift_jis",
       .text = "a\xEF\xBF\xBD",
       .oddities = {"charset_invalid_octets"}},
      {.name = "utf-7", .octets = "+AOQ-", .charset = "utf-7", .text = "\xC3\xA4"},
      {.name = "unknown, valid utf-8",
       .octets = "\xC3\xA4",
       .charset = "x-nothing",
       .text = "\xC3\xA4",
       .oddities = {"charset_unknown"}},
      {.name = "unknown, other",
       .octets = "\xE4",
       .charset = "../x//TRANSLIT",
       .text = "\xC3\xA4",
       .oddities = {"charset_unknown"}},
      {.name = "ascii with eight bits",
       .octets = "\xE4",
       .charset = "",
       .text = "\xC3\xA4",
       .oddities = {"charset_lie"}},
  };
  for (const CharsetCase& c : cases) {
    SCOPED_TRACE(c.name);
    for (int again = 0; again < 2; ++again) {  // with a descriptor that was used
      Oddities oddities;
      EXPECT_EQ(to_utf8(c.octets, c.charset, oddities), c.text);
      EXPECT_EQ(oddities.names(), c.oddities);
    }
  }
}

TEST(Charset, ConvertsMoreThanOneBuffer) {
  const std::string octets(100'000, '\xE4');
  Oddities oddities;
  const std::string text = to_utf8(octets, "iso-8859-2", oddities);
  EXPECT_EQ(text.size(), 200'000U);
  EXPECT_TRUE(is_utf8(text));
  EXPECT_TRUE(oddities.empty());
}

TEST(Charset, ReplacesEachInvalidOctet) {
  const std::string octets(50'000, '\x81');
  Oddities oddities;
  EXPECT_EQ(to_utf8(octets, "windows-1252", oddities).size(), 150'000U);
}

TEST(Charset, KnowsAsciiAtEveryPlace) {
  for (std::size_t size = 0; size < 80; ++size) {
    std::string text(size, 'a');
    EXPECT_TRUE(is_ascii(text));
    for (char& c : text) {
      c = '\x80';
      EXPECT_FALSE(is_ascii(text));
      EXPECT_FALSE(is_utf8(text));
      c = 'a';
    }
  }
}

}  // namespace
}  // namespace postern::filters
