#include "gateway/smtp/client/data_encoder.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "gateway/smtp/body.h"
#include "gateway/smtp/data_decoder.h"

namespace postern::smtp::client {
namespace {

std::string encoded(std::string_view head, std::string_view content, std::size_t piece_octets) {
  DataEncoder encoder(head, content);
  std::string all, piece;
  while (encoder.next(piece, piece_octets)) all += piece;
  EXPECT_TRUE(encoder.done());
  EXPECT_FALSE(encoder.next(piece));
  return all;
}

struct EncodeCase {
  std::string_view name, message, wire;
};

constexpr EncodeCase kCases[] = {
    {"empty", "", ".\r\n"},
    {"one line", "a\r\n", "a\r\n.\r\n"},
    {"no line end", "a", "a\r\n.\r\n"},
    {"dot first", ".a\r\n", "..a\r\n.\r\n"},
    {"only a dot", ".\r\n", "..\r\n.\r\n"},
    {"dot without end", ".", "..\r\n.\r\n"},
    {"dots inside", "a.b\r\n..\r\n", "a.b\r\n...\r\n.\r\n"},
    {"bare LF", "a\nb\r\n", "a\r\nb\r\n.\r\n"},
    {"bare CR", "a\rb\r\n", "a\r\nb\r\n.\r\n"},
    {"bare LF, dot", "a\n.\r\nMAIL FROM:<x@y.example>\r\n", "a\r\n..\r\nMAIL FROM:<x@y.example>\r\n.\r\n"},
    {"bare CR, dot, CR", "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"},
    {"LF dot LF", "a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
    {"CRLF dot LF", "a\r\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
    {"CR CR LF", "a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"},
    {"CR at the end", "a\r", "a\r\n.\r\n"},
    {"LF LF", "\n\n.", "\r\n\r\n..\r\n.\r\n"},
};

TEST(DataEncoder, EncodesTheSameAtEverySplitAndPiece) {
  for (const EncodeCase& c : kCases) {
    SCOPED_TRACE(c.name);
    for (std::size_t cut = 0; cut <= c.message.size(); ++cut) {
      for (const std::size_t piece : {1UL, 2UL, 3UL, 7UL, 65536UL})
        EXPECT_EQ(encoded(c.message.substr(0, cut), c.message.substr(cut), piece), c.wire)
            << cut << " " << piece;
    }
  }
}

/// Whatever goes in, a strict receiver finds one message, whose end is the end of what was sent.
TEST(DataEncoder, NothingSmuggles) {
  constexpr std::string_view kAlphabet[] = {"\r", "\n", ".", "a"};
  for (int number = 0; number < 4 * 4 * 4 * 4 * 4 * 4; ++number) {
    std::string message;
    for (int digits = number, i = 0; i < 6; ++i, digits /= 4) message += kAlphabet[digits % 4];
    const std::string wire = encoded(message, "", 65536);
    DataDecoder decoder({.octets_max = 1000});
    Body body;
    ASSERT_EQ(decoder.write(wire, body), wire.size()) << number;
    EXPECT_TRUE(decoder.done());
    EXPECT_EQ(decoder.error(), DataError::none) << number;
    EXPECT_EQ(wire.find("\r\n.\r\n"), wire.size() < 5 ? std::string::npos : wire.size() - 5) << number;
  }
}

struct SurveyCase {
  std::string_view name, head, content;
  bool header_eight_bit, content_eight_bit, bare, nul = false;
};
TEST(Survey, Finds) {
  using namespace std::string_view_literals;
  const SurveyCase cases[] = {
      {"plain", "A: b\r\n", "C: d\r\n\r\nbody\r\n", false, false, false},
      {"8 bit header in head", "A: \xc3\xa4\r\n", "C: d\r\n\r\nbody\r\n", true, false, false},
      {"8 bit header in content", "A: b\r\n", "C: \xc3\xa4\r\n\r\nbody\r\n", true, false, false},
      {"8 bit body", "A: b\r\n", "C: d\r\n\r\nb\xc3\xa4\r\n", false, true, false},
      {"8 bit body, no header", "", "\r\nb\xc3\xa4\r\n", false, true, false},
      {"8 bit body, all in head", "A: b\r\n\r\n\xe4", "", false, true, false},
      {"header only", "A: b\r\n", "C: \xe4\r\n", true, false, false},
      {"bare LF", "A: b\r\n", "\r\na\nb", false, false, true},
      {"bare CR", "A: b\r\n", "\r\na\rb", false, false, true},
      {"CR at the end", "A: b\r\n", "\r\na\r", false, false, true},
      {"LF at the start", "", "\na", false, false, true},
      {"CRLF across the pieces", "A: b\r", "\n\r\n", false, false, false},
      {"NUL", "", "\r\na\0b"sv, false, false, false, true},
  };
  for (const SurveyCase& c : cases) {
    SCOPED_TRACE(c.name);
    const Survey survey = Survey::of(c.head, c.content);
    EXPECT_EQ(survey.eight_bit_header, c.header_eight_bit);
    EXPECT_EQ(survey.eight_bit_content, c.content_eight_bit);
    EXPECT_EQ(survey.bare_line_ending, c.bare);
    EXPECT_EQ(survey.nul, c.nul);
  }
}

}  // namespace
}  // namespace postern::smtp::client
