#include "gateway/smtp/reply.h"

#include <gtest/gtest.h>

namespace postern::smtp {
namespace {

struct ReplyCase {
  std::string_view name;
  Reply reply;
  std::string wire;
};

const ReplyCase kCases[] = {
    {"one line", {250, "2.1.0", "Sender ok"}, "250 2.1.0 Sender ok\r\n"},
    {"without an enhanced code", {220, "", "mx.test.example"}, "220 mx.test.example\r\n"},
    {"without a text", {250, "2.0.0", ""}, "250 2.0.0\r\n"},
    {"the code alone", {250, "", ""}, "250\r\n"},
    {"two lines", {550, "5.7.1", "one\ntwo"}, "550-5.7.1 one\r\n550 5.7.1 two\r\n"},
    {"two lines without enhanced code", {214, "", "one\ntwo"}, "214-one\r\n214 two\r\n"},
    {"an empty line between",
     {550, "5.7.1", "one\n\ntwo"},
     "550-5.7.1 one\r\n550-5.7.1\r\n550 5.7.1 two\r\n"},
    {"a line ending at the end", {550, "", "one\n"}, "550-one\r\n550\r\n"},
    {"CRLF in the text", {550, "", "one\r\ntwo"}, "550-one?\r\n550 two\r\n"},
    {"controls", {550, "", "a\x1b[2J\tb\x7f"}, "550 a?[2J?b?\r\n"},
    {"eight bits", {550, "5.1.1", "j\xc3\xb6rg"}, "550 5.1.1 j??rg\r\n"},
    {"512 octets", {550, "5.1.1", std::string(500, 'x')}, "550 5.1.1 " + std::string(500, 'x') + "\r\n"},
    {"513 octets are cut",
     {550, "5.1.1", std::string(501, 'x')},
     "550 5.1.1 " + std::string(500, 'x') + "\r\n"},
    {"each line is cut",
     {550, "", std::string(600, 'x') + "\ny"},
     "550-" + std::string(506, 'x') + "\r\n550 y\r\n"},
};

TEST(Reply, WireForm) {
  for (const ReplyCase& c : kCases) {
    SCOPED_TRACE(c.name);
    std::string wire = "before";
    c.reply.append_to(wire);
    EXPECT_EQ(wire, "before" + c.wire);
  }
}

TEST(Reply, KnowsItsKind) {
  EXPECT_TRUE((Reply{250, "", ""}).positive());
  EXPECT_TRUE((Reply{354, "", ""}).positive());
  EXPECT_FALSE((Reply{450, "", ""}).positive());
  EXPECT_FALSE((Reply{451, "", ""}).permanent());
  EXPECT_TRUE((Reply{550, "", ""}).permanent());
}

}  // namespace
}  // namespace postern::smtp
