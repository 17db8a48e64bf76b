#include "filters/message/header_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

struct TextCase {
  std::string_view name, value, text;
  std::vector<std::string> oddities = {};
};

TEST(HeaderText, DecodesEncodedWords) {
  const TextCase cases[] = {
      {.name = "plain", .value = " Saying\r\n Hello", .text = "Saying Hello"},
      {.name = "q", .value = "=?iso-8859-1?Q?a=E4_b?=", .text = "a\xC3\xA4 b"},
      {.name = "b", .value = "=?UTF-8?B?w6Q=?=", .text = "\xC3\xA4"},
      {.name = "language", .value = "=?us-ascii*en?q?a?=", .text = "a"},
      {.name = "between words no blanks", .value = "=?us-ascii?q?a?= \r\n =?utf-8?q?b?= c", .text = "ab c"},
      {.name = "blanks around other text stay",
       .value = "x =?us-ascii?q?a?= y =?us-ascii?q?b?=",
       .text = "x a y b"},
      {.name = "a character in two words",
       .value = "=?utf-8?B?w4M=?= =?utf-8?Q?=C3?=\r\n =?utf-8?Q?=A4?=",
       .text = "\xC3\x83\xC3\xA4"},
      {.name = "glued to text", .value = "[x]=?us-ascii?q?a?=y", .text = "[x]ay"},
      {.name = "blank inside", .value = "=?utf-8?Q?a b?=", .text = "a b"},
      {.name = "question mark inside", .value = "=?utf-8?Q?a?b?=", .text = "a?b"},
      {.name = "unended",
       .value = "=?utf-8?Q?abc",
       .text = "=?utf-8?Q?abc",
       .oddities = {"encoded_word_broken"}},
      {.name = "no such encoding",
       .value = "=?utf-8?X?abc?=",
       .text = "=?utf-8?X?abc?=",
       .oddities = {"encoded_word_broken"}},
      {.name = "only the start", .value = "=? =?", .text = "=? =?", .oddities = {"encoded_word_broken"}},
      {.name = "empty",
       .value = "=?utf-8?Q?"
                "?=",
       .text = ""},
      {.name = "unknown charset",
       .value = "=?x-none?Q?a=E4?=",
       .text = "a\xC3\xA4",
       .oddities = {"charset_unknown"}},
      {.name = "raw utf-8", .value = "\xC3\xA4", .text = "\xC3\xA4", .oddities = {"eight_bit_text"}},
      {.name = "raw octets inside a word", .value = "=?iso-8859-1?Q?\xE4?=", .text = "\xC3\xA4"},
      {.name = "raw latin 1", .value = "\xE4", .text = "\xC3\xA4", .oddities = {"eight_bit_text"}},
  };
  for (const TextCase& c : cases) {
    SCOPED_TRACE(c.name);
    Oddities oddities;
    EXPECT_EQ(decode_header_text(c.value, oddities), c.text);
    EXPECT_EQ(oddities.names(), c.oddities);
  }
}

TEST(HeaderText, DecodesNamesOfMailboxes) {
  Oddities oddities;
  const AddressList list = decode_addresses(
      "=?utf-8?Q?J=C3=B6?= =?utf-8?Q?rg?= <j@a.example>, \"=?utf-8?Q?x=2Cy?=\" <k@a.example>", oddities);
  ASSERT_EQ(list.mailboxes.size(), 2U);
  EXPECT_EQ(list.mailboxes[0].name, "J\xC3\xB6rg");
  EXPECT_EQ(list.mailboxes[1].name, "x,y");
  EXPECT_EQ(list.mailboxes[1].address(), "k@a.example");
}

TEST(HeaderText, DecodesParameters) {
  Oddities oddities;
  EXPECT_EQ(decode_parameter({.name = "n", .value = "\xE4", .charset = "iso-8859-1"}, oddities), "\xC3\xA4");
  EXPECT_TRUE(oddities.empty());
  EXPECT_EQ(decode_parameter({.name = "n", .value = "=?iso-8859-1?q?=E4?=.exe", .charset = {}}, oddities),
            "\xC3\xA4.exe");
  EXPECT_EQ(oddities.names(), std::vector<std::string>{"encoded_word_misplaced"});
}

}  // namespace
}  // namespace postern::filters
