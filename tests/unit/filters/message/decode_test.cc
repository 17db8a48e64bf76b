#include "filters/message/decode.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

struct DecodeCase {
  std::string_view name, text, octets;
  std::vector<std::string> oddities = {};
};

using Decoder = std::string (*)(std::string_view, Oddities&);

void expect(Decoder decoder, const DecodeCase& c) {
  SCOPED_TRACE(c.name);
  Oddities oddities;
  EXPECT_EQ(decoder(c.text, oddities), c.octets);
  EXPECT_EQ(oddities.names(), c.oddities);
}

TEST(Base64, DecodesAndTolerates) {
  const DecodeCase cases[] = {
      {.name = "empty", .text = "", .octets = ""},
      {.name = "one octet", .text = "YQ==", .octets = "a"},
      {.name = "two octets", .text = "YWI=", .octets = "ab"},
      {.name = "three octets", .text = "YWJj", .octets = "abc"},
      {.name = "lines", .text = "YWJj\r\nZGVm\r\n", .octets = "abcdef"},
      {.name = "a group over a line end", .text = "YW\r\nJjZA==\r\n", .octets = "abcd"},
      {.name = "no padding", .text = "YWI", .octets = "ab", .oddities = {"base64_incomplete"}},
      {.name = "one digit", .text = "YWJjZ", .octets = "abc", .oddities = {"base64_incomplete"}},
      {.name = "foreign octets", .text = "Y*W-J!j", .octets = "abc", .oddities = {"base64_foreign_octet"}},
      {.name = "two encodings glued",
       .text = "YQ==YWJj",
       .octets = "aabc",
       .oddities = {"base64_data_after_padding"}},
      {.name = "eight bits", .text = "/+8=", .octets = "\xFF\xEF"},
  };
  for (const DecodeCase& c : cases) expect(decode_base64, c);
}

TEST(QuotedPrintable, DecodesAndTolerates) {
  const DecodeCase cases[] = {
      {.name = "plain", .text = "abc\r\ndef", .octets = "abc\r\ndef"},
      {.name = "octets", .text = "=E4=f6=3D", .octets = "\xE4\xF6="},
      {.name = "soft line break", .text = "ab=\r\nc=\nd", .octets = "abcd"},
      {.name = "soft line break with blanks", .text = "ab= \t\r\nc", .octets = "abc"},
      {.name = "soft at the end", .text = "ab=", .octets = "ab"},
      {.name = "blanks at line ends", .text = "a \t\r\nb  \nc", .octets = "a\r\nb\nc"},
      {.name = "encoded blanks stay", .text = "a=20\r\nb=09 \n", .octets = "a \r\nb\t\n"},
      {.name = "blanks before a soft break stay", .text = "a =\r\nb", .octets = "a b"},
      {.name = "not hexadecimal",
       .text = "a=XY=4 b==41",
       .octets = "a=XY=4 b=A",
       .oddities = {"quoted_printable_broken"}},
  };
  for (const DecodeCase& c : cases) expect(decode_quoted_printable, c);
}

TEST(Uuencode, DecodesAndTolerates) {
  const DecodeCase cases[] = {
      {.name = "whole", .text = "x\nbegin 644 a.txt\n#86)C\n`\nend\ny", .octets = "abc"},
      {.name = "CRLF", .text = "begin 644 a.txt\r\n$86)C9```\r\n`\r\nend\r\n", .octets = "abcd"},
      {.name = "no end", .text = "begin 644 a\n#86)C\n", .octets = "abc", .oddities = {"uuencode_broken"}},
      {.name = "short line",
       .text = "begin 644 a\n-86)C\nend\n",
       .octets = "abc",
       .oddities = {"uuencode_broken"}},
      {.name = "no begin", .text = "abc", .octets = "", .oddities = {"uuencode_broken"}},
  };
  for (const DecodeCase& c : cases) expect(decode_uuencode, c);
  EXPECT_TRUE(has_uuencode("a\nbegin 644 x"));
  EXPECT_FALSE(has_uuencode("a\nbegin the day\nxbegin 644 x"));
}

TEST(TransferEncoding, KnowsTheNames) {
  EXPECT_EQ(transfer_encoding("7bit"), TransferEncoding::identity);
  EXPECT_EQ(transfer_encoding("base64"), TransferEncoding::base64);
  EXPECT_EQ(transfer_encoding("quoted-printable"), TransferEncoding::quoted_printable);
  EXPECT_EQ(transfer_encoding("x-uuencode"), TransferEncoding::uuencode);
  EXPECT_EQ(transfer_encoding("utf-8"), TransferEncoding::unknown);
}

}  // namespace
}  // namespace postern::filters
