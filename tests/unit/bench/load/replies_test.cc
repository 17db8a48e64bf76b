#include "bench/load/replies.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::load {
namespace {

struct ReplyCase {
  const char* name;
  std::string octets;
  std::vector<int> codes = {};
  std::string last_text = {};
  std::string_view rule = {};
  std::uint64_t position = 0;
};

std::vector<ReplyCase> reply_cases() {
  const std::string longest(ReplyReader::kLineOctetsMax - 6, 'x');
  return {
      {.name = "one", .octets = "220 hello\r\n", .codes = {220}, .last_text = "hello"},
      {.name = "several",
       .octets = "250 a\r\n550 b\r\n354 c\r\n",
       .codes = {250, 550, 354},
       .last_text = "c"},
      {.name = "lines", .octets = "250-a\r\n250-b\r\n250 c\r\n", .codes = {250}, .last_text = "a\nb\nc"},
      {.name = "no text", .octets = "250\r\n", .codes = {250}},
      {.name = "no text behind the space", .octets = "250 \r\n", .codes = {250}},
      {.name = "bare LF", .octets = "250 a\n", .codes = {250}, .last_text = "a"},
      {.name = "incomplete", .octets = "250-a\r\n250 b"},
      {.name = "longest line", .octets = "250 " + longest + "\r\n", .codes = {250}, .last_text = longest},
      {.name = "one octet more", .octets = "250 " + longest + "xx\r\n", .rule = "line too long"},
      {.name = "letters",
       .octets = "220 a\r\nhello\r\n",
       .codes = {220},
       .last_text = "a",
       .rule = "three digits",
       .position = 7},
      {.name = "empty line", .octets = "\r\n", .rule = "three digits"},
      {.name = "code 199", .octets = "199 x\r\n", .rule = "three digits"},
      {.name = "code 600", .octets = "600 x\r\n", .rule = "three digits"},
      {.name = "no space", .octets = "250x\r\n", .rule = "space or hyphen", .position = 3},
      {.name = "four digits", .octets = "2500 x\r\n", .rule = "space or hyphen", .position = 3},
      {.name = "two codes",
       .octets = "250-a\r\n251 b\r\n",
       .rule = "the same code on every line",
       .position = 7},
  };
}

void expect(const ReplyCase& c, ReplyReader& reader, std::vector<std::string_view> pieces) {
  std::vector<int> codes;
  std::string text;
  std::optional<ReplyError> error;
  for (const std::string_view piece : pieces) {
    reader.feed(piece);
    for (;;) {
      auto next = reader.next();
      if (!next) {
        error = next.error();
        break;
      }
      if (!*next) break;
      codes.push_back((*next)->code);
      text = (*next)->text;
    }
    if (error) break;
  }
  EXPECT_EQ(codes, c.codes);
  EXPECT_EQ(text, c.last_text);
  ASSERT_EQ(error.has_value(), !c.rule.empty());
  if (error) {
    EXPECT_EQ(error->rule, c.rule);
    if (c.rule != "line too long") {
      EXPECT_EQ(error->position, c.position);
    }
  }
}

TEST(ReplyReader, GivesTheSameAnswerAtEverySplit) {
  for (const ReplyCase& c : reply_cases()) {
    SCOPED_TRACE(c.name);
    const std::string_view octets = c.octets;
    for (std::size_t split = 0; split <= octets.size(); ++split) {
      ReplyReader reader;
      expect(c, reader, {octets.substr(0, split), octets.substr(split)});
    }
  }
}

TEST(ReplyReader, BoundsWhatItHolds) {
  ReplyReader reader;
  const std::string line = "250-" + std::string(1000, 'x') + "\r\n";
  std::size_t lines = 0;
  for (;; ++lines) {
    reader.feed(line);
    const auto next = reader.next();
    if (!next) {
      EXPECT_EQ(next.error().rule, "reply too long");
      EXPECT_EQ(next.error().position, lines * line.size());
      break;
    }
    ASSERT_FALSE(*next);
    ASSERT_LT(lines, 100U);
  }
  EXPECT_EQ(lines, ReplyReader::kTextOctetsMax / 1001);
}

TEST(ReplyReader, ForgetsWhatCameInTheClear) {
  ReplyReader reader;
  reader.feed("220 go\r\n250-injected\r\n250-");
  ASSERT_TRUE(reader.next());
  reader.clear();
  EXPECT_FALSE(reader.pending());
  reader.feed("221 bye\r\n");
  const auto next = reader.next();
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->code, 221);
  EXPECT_EQ((*next)->text, "bye");
}

TEST(Reply, KnowsItsKeywords) {
  const Reply reply{.code = 250, .text = "mx.example STARTTLS\nPIPELINING\nsize 1000\nSTARTTLSX"};
  EXPECT_TRUE(reply.announces("PIPELINING"));
  EXPECT_TRUE(reply.announces("SIZE"));
  EXPECT_FALSE(reply.announces("STARTTLS"));  // of the first line only
  EXPECT_FALSE(reply.announces("8BITMIME"));
  EXPECT_FALSE(Reply{}.announces("SIZE"));
}

}  // namespace
}  // namespace postern::load
