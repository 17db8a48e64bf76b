#include "bench/load/archives.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::load {
namespace {

constexpr std::size_t kBlock = 512;

std::string with_checksum(std::string header) {
  header.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  header.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return header;
}

std::string header_with(std::string_view size_field, char type) {
  std::string header(kBlock, '\0');
  header.replace(0, 4, "name");
  header.replace(100, 8, std::string("0000644\0", 8));
  header.replace(124, size_field.size(), size_field);
  header[156] = type;
  header.replace(257, 8,
                 std::string("ustar\0"
                             "00",
                             8));
  return with_checksum(header);
}

std::string member(std::string_view content, char type = '0') {
  std::string out = header_with(fmt::format("{:011o}", content.size()), type);
  out += content;
  out.append((kBlock - content.size() % kBlock) % kBlock, '\0');
  return out;
}

const std::string kEnd(2 * kBlock, '\0');

struct TarCase {
  std::string name, archive;
  std::vector<std::string> members = {};
  std::string_view rule = {};
  std::uint64_t position = 0;
};

TEST(Tar, ReadsRegularFilesAndRefusesTheRest) {
  const std::string block(kBlock, 'b');
  const std::string binary_size = std::string("\x80", 1) + std::string(10, '\0') + "\x03";
  std::string spoiled = member("spoiled");
  spoiled[0] = 'N';
  const TarCase cases[] = {
      {.name = "nothing", .archive = ""},
      {.name = "only the end", .archive = kEnd},
      {.name = "two files", .archive = member("one") + member("two") + kEnd, .members = {"one", "two"}},
      {.name = "without the end mark", .archive = member("one"), .members = {"one"}},
      {.name = "exactly one block", .archive = member(block) + kEnd, .members = {block}},
      {.name = "one octet more", .archive = member(block + "c") + kEnd, .members = {block + "c"}},
      {.name = "old type", .archive = member("old", '\0') + kEnd, .members = {"old"}},
      {.name = "empty file", .archive = member("") + member("x") + kEnd, .members = {"x"}},
      {.name = "what follows the end is nothing",
       .archive = member("x") + kEnd + member("y"),
       .members = {"x"}},
      {.name = "long name and pax header passed over",
       .archive = member("path", 'L') + member("12 a=b\n", 'x') + member("x") + kEnd,
       .members = {"x"}},
      {.name = "folder", .archive = member("", '5') + member("x") + kEnd, .members = {"x"}},
      {.name = "link that claims a size",
       .archive = header_with("77777777777", '1') + member("x") + kEnd,
       .members = {"x"}},
      {.name = "size in base 256",
       .archive = header_with(binary_size, '0') + "abc" + std::string(509, '\0'),
       .members = {"abc"}},
      {.name = "last padding missing",
       .archive = header_with("00000000003", '0') + "abc",
       .members = {"abc"}},
      {.name = "header cut",
       .archive = member("x") + "abc",
       .rule = "a whole header block",
       .position = 1024},
      {.name = "wrong checksum",
       .archive = member("x") + spoiled,
       .rule = "checksum of the header",
       .position = 1024 + 148},
      {.name = "cut inside a member",
       .archive = member("x") + header_with("00000000004", '0') + "abc",
       .rule = "end of the archive inside a member",
       .position = 1536},
      {.name = "size of 8 GiB",
       .archive = header_with("77777777777", '0'),
       .rule = "end of the archive inside a member",
       .position = 512},
      {.name = "size no 63 bits hold",
       .archive = header_with(std::string(12, '\xff'), '0'),
       .rule = "size in the header",
       .position = 124},
      {.name = "size of 2^63-1, base 256",
       .archive = header_with(std::string("\x80\0\0\0", 4) + "\x7f" + std::string(7, '\xff'), '0'),
       .rule = "end of the archive inside a member",
       .position = 512},
      {.name = "no digits",
       .archive = header_with("            ", '0'),
       .rule = "size in the header",
       .position = 124},
      {.name = "digits and more",
       .archive = header_with("0000000000x", '0'),
       .rule = "size in the header",
       .position = 124},
  };
  for (const TarCase& c : cases) {
    SCOPED_TRACE(c.name);
    const auto members = tar_members(c.archive);
    if (c.rule.empty()) {
      ASSERT_TRUE(members) << members.error().rule << " at " << members.error().position;
      EXPECT_EQ(std::vector<std::string>(members->begin(), members->end()), c.members);
    } else {
      ASSERT_FALSE(members);
      EXPECT_EQ(members.error().rule, c.rule);
      EXPECT_EQ(members.error().position, c.position);
    }
  }
}

TEST(Tar, EveryCutIsAnErrorOrWhole) {
  const std::string archive = member("first message") + member(std::string(700, 'x')) + kEnd;
  for (std::size_t length = 0; length <= archive.size(); ++length) {
    const auto members = tar_members(std::string_view(archive).substr(0, length));
    if (members) {
      EXPECT_LE(members->size(), 2U) << length;
    }
  }
}

TEST(Tar, IsRecognisedByItsChecksum) {
  EXPECT_TRUE(looks_like_tar(member("x")));
  EXPECT_FALSE(looks_like_tar(std::string(kBlock, '\0')));  // no digits where the checksum is
  EXPECT_FALSE(looks_like_tar(member("x").substr(0, kBlock - 1)));
  EXPECT_FALSE(looks_like_tar("From: a@b.example\r\n\r\n" + std::string(kBlock, 'x')));
}

struct MboxCase {
  const char* name;
  std::string mbox;
  std::vector<std::string> messages = {};
  bool wrong = false;
};

TEST(Mbox, IsCutAtFromLines) {
  const MboxCase cases[] = {
      {.name = "one", .mbox = "From a Tue\nSubject: x\n\nbody\n", .messages = {"Subject: x\n\nbody\n"}},
      {.name = "two",
       .mbox = "From a\nA: 1\n\none\n\nFrom b\nB: 2\n\ntwo\n",
       .messages = {"A: 1\n\none\n", "B: 2\n\ntwo\n"}},
      {.name = "CRLF",
       .mbox = "From a\r\nA: 1\r\n\r\none\r\n\r\nFrom b\r\nB: 2\r\n",
       .messages = {"A: 1\r\n\r\none\r\n", "B: 2\r\n"}},
      {.name = "From inside a paragraph is text",
       .mbox = "From a\nA: 1\n\nx\nFrom here on\n",
       .messages = {"A: 1\n\nx\nFrom here on\n"}},
      {.name = "one level of quoting is taken off",
       .mbox = "From a\nA: 1\n\n>From x\n>>From y\n> From z\n",
       .messages = {"A: 1\n\nFrom x\n>From y\n> From z\n"}},
      {.name = "the last line without its end", .mbox = "From a\nA: 1\n\nbody", .messages = {"A: 1\n\nbody"}},
      {.name = "only a From line", .mbox = "From a"},
      {.name = "From lines without messages",
       .mbox = "From a\n\nFrom b\n\nFrom c\nC: 3\n",
       .messages = {"C: 3\n"}},
      {.name = "NUL is content",
       .mbox = std::string("From a\nA: \0\n", 12),
       .messages = {std::string("A: \0\n", 5)}},
      {.name = "a header field From is no mbox", .mbox = "From: a@b.example\n\n", .wrong = true},
      {.name = "text in front", .mbox = "\nFrom a\nA: 1\n", .wrong = true},
      {.name = "nothing", .mbox = "", .wrong = true},
  };
  for (const MboxCase& c : cases) {
    SCOPED_TRACE(c.name);
    const auto messages = mbox_messages(c.mbox);
    ASSERT_EQ(messages.has_value(), !c.wrong);
    if (c.wrong) {
      EXPECT_EQ(messages.error().position, 0U);
    } else {
      EXPECT_EQ(*messages, c.messages);
    }
  }
}

}  // namespace
}  // namespace postern::load
