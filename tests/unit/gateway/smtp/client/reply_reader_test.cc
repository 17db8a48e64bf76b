#include "gateway/smtp/client/reply_reader.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/splits.h"

namespace postern::smtp::client {
namespace {

using Outcome = ReplyReader::Outcome;

struct Read {
  std::vector<ServerReply> replies;
  std::optional<std::string> problem;
  bool inside = false;
};

Read read_all(const std::vector<std::string_view>& pieces) {
  Read read;
  ReplyReader reader;
  for (std::string_view piece : pieces) {
    while (!piece.empty() && !read.problem) {
      const Outcome outcome = reader.read(piece);
      if (outcome == Outcome::reply) read.replies.push_back(reader.take());
      if (outcome == Outcome::broken) read.problem = std::string(reader.problem());
    }
  }
  read.inside = reader.inside();
  return read;
}

struct ReplyCase {
  std::string_view name, wire;
  int code;
  std::string_view enhanced, evidence;
  std::size_t lines = 1;
};

constexpr ReplyCase kReplies[] = {
    {"plain", "250 Ok\r\n", 250, "", "Ok"},
    {"enhanced", "550 5.1.1 No such user\r\n", 550, "5.1.1", "No such user"},
    {"no text", "250\r\n", 250, "", ""},
    {"blank and nothing", "250 \r\n", 250, "", ""},
    {"enhanced alone", "250 2.0.0\r\n", 250, "2.0.0", ""},
    {"several lines", "550-5.7.1 We do not\r\n550-5.7.1 want\r\n550 5.7.1 this\r\n", 550, "5.7.1",
     "We do not want this", 3},
    {"empty line inside", "250-a\r\n250-\r\n250 b\r\n", 250, "", "a b", 3},
    {"last code counts", "250-a\r\n451 b\r\n", 451, "", "a b", 2},
    {"bare LF", "250-a\n250 b\n", 250, "", "a b", 2},
    {"enhanced of another class does not count", "550 2.1.1 odd\r\n", 550, "", "odd"},
    {"not quite enhanced", "550 5.1 odd\r\n", 550, "", "5.1 odd"},
    {"four digits", "550 5.1000.1 odd\r\n", 550, "", "5.1000.1 odd"},
    {"controls",
     "550 a\x01"
     "b\x7f"
     "c\td\r\n",
     550, "", "a?b?c?d"},
    {"broken UTF-8",
     "550 a\xff\xc3"
     "b\r\n",
     550, "", "a??b"},
    {"good UTF-8", "550 gr\xc3\xbc\xc3\x9f\r\n", 550, "", "gr\xc3\xbc\xc3\x9f"},
    {"C1 control",
     "550 a\xc2\x9b"
     "b\r\n",
     550, "", "a?b"},
};

TEST(ReplyReader, ReadsOneReplyAtEverySplit) {
  for (const ReplyCase& c : kReplies) {
    SCOPED_TRACE(c.name);
    test::for_each_split(c.wire, [&](const std::vector<std::string_view>& pieces) {
      const Read read = read_all(pieces);
      ASSERT_FALSE(read.problem);
      ASSERT_EQ(read.replies.size(), 1U);
      EXPECT_EQ(read.replies[0].code, c.code);
      EXPECT_EQ(read.replies[0].enhanced, c.enhanced);
      EXPECT_EQ(read.replies[0].evidence(), c.evidence);
      EXPECT_EQ(read.replies[0].lines.size(), c.lines);
      EXPECT_FALSE(read.inside);
    });
  }
}

TEST(ReplyReader, LeavesTheNextReplyAlone) {
  const std::string wire = "250-one\r\n250 two\r\n354 go\r\n221 bye\r\n";
  test::for_each_split(wire, [&](const std::vector<std::string_view>& pieces) {
    const Read read = read_all(pieces);
    ASSERT_EQ(read.replies.size(), 3U);
    EXPECT_EQ(read.replies[0].evidence(), "one two");
    EXPECT_EQ(read.replies[1].code, 354);
    EXPECT_EQ(read.replies[2].code, 221);
  });
}

struct BrokenCase {
  std::string_view name, wire, problem;
};
constexpr BrokenCase kBroken[] = {
    {"no code", "hello\r\n", "a reply code of three digits"},
    {"empty line", "\r\n", "a reply code of three digits"},
    {"two digits", "25\r\n", "a reply code of three digits"},
    {"first digit 1", "150 wait\r\n", "a reply code of three digits"},
    {"first digit 6", "650 what\r\n", "a reply code of three digits"},
    {"no separator", "2500 Ok\r\n", "a blank or a hyphen behind the reply code"},
    {"HTTP", "HTTP/1.1 400 Bad Request\r\n", "a reply code of three digits"},
};

TEST(ReplyReader, RefusesWhatIsNoReplyAtEverySplit) {
  for (const BrokenCase& c : kBroken) {
    SCOPED_TRACE(c.name);
    test::for_each_split(c.wire, [&](const std::vector<std::string_view>& pieces) {
      const Read read = read_all(pieces);
      ASSERT_TRUE(read.problem);
      EXPECT_EQ(*read.problem, c.problem);
      EXPECT_TRUE(read.replies.empty());
    });
  }
}

TEST(ReplyReader, BoundsOneLine) {
  const std::string fits = "250 " + std::string(ReplyReader::kLineOctetsMax - 6, 'a') + "\r\n";
  EXPECT_EQ(read_all({fits}).replies.size(), 1U);
  const std::string over = "250 " + std::string(ReplyReader::kLineOctetsMax - 5, 'a') + "\r\n";
  EXPECT_TRUE(read_all({over}).problem);
  const std::string endless(ReplyReader::kLineOctetsMax + 1, '2');
  EXPECT_TRUE(read_all({endless}).problem);
}

TEST(ReplyReader, BoundsTheNumberOfLines) {
  std::string wire;
  for (std::size_t i = 1; i < ReplyReader::kLinesMax; ++i) wire += "250-x\r\n";
  EXPECT_EQ(read_all({wire + "250 x\r\n"}).replies.size(), 1U);
  EXPECT_TRUE(read_all({wire + "250-x\r\n250 x\r\n"}).problem);
}

TEST(ReplyReader, BoundsTheWhole) {
  const std::string line = "250-" + std::string(ReplyReader::kLineOctetsMax - 6, 'a') + "\r\n";
  std::string wire;
  while (wire.size() + line.size() <= ReplyReader::kReplyOctetsMax) wire += line;
  EXPECT_FALSE(read_all({wire}).problem);
  EXPECT_TRUE(read_all({wire + line}).problem);
}

TEST(ReplyReader, EvidenceIsBounded) {
  std::string wire;
  for (int i = 0; i < 10; ++i) wire += "550-" + std::string(400, 'x') + "\r\n";
  const Read read = read_all({wire + "550 end\r\n"});
  ASSERT_EQ(read.replies.size(), 1U);
  EXPECT_EQ(read.replies[0].evidence().size(), ServerReply::kEvidenceOctetsMax);
}

}  // namespace
}  // namespace postern::smtp::client
