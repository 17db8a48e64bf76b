#include "filters/message/mime.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/analysis.h"

namespace postern::filters {
namespace {

/// "path type [body]" of leaves and messages, "path type" of multiparts with text.
std::vector<std::string> shape(const Mime& mime) {
  std::vector<std::string> rows;
  for (const Entity& entity : mime.entities()) {
    if (entity.kind == Entity::Kind::multipart) continue;
    std::string row = entity.path + ' ' + entity.type;
    if (entity.kind == Entity::Kind::leaf) row += " [" + std::string(entity.body) + ']';
    rows.push_back(row);
  }
  return rows;
}

std::vector<std::string> oddities(const Mime& mime) {
  Oddities all;
  for (const Entity& entity : mime.entities()) all.add(entity.oddities);
  return all.names();
}

struct TreeCase {
  std::string_view name, message;
  std::vector<std::string> leaves;
  std::vector<std::string> oddities = {};
};

constexpr std::string_view kMixed = "Content-Type: multipart/mixed; boundary=b\n\n";

std::string mixed(std::string_view body) {
  return std::string(kMixed) + std::string(body);
}

const std::string kMessages[] = {
    mixed("pre\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n--b--\npost\n"),
    mixed("--b\r\n\r\none\r\n\r\n--b\r\n\r\n--b--"),
    mixed("--b\nContent-Type: multipart/alternative; "
          "boundary=bb\n\n--bb\n\nx\n--bb\n\ny\n--bb--\n--b\n\nz\n--b--\n"),
    mixed("--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\nx\n--b\n\nz\n--b--\n"),
    mixed("--b\nContent-Type: message/rfc822\n\nSubject: s\n\nin\n--b\nContent-Type: message/rfc822\n\n"
          "Content-Type: multipart/mixed; boundary=c\n\n--c\n\np\n--c\n\nq\n--c--\n--b--\n"),
    mixed("--b\n\none\n"),
    mixed("--b text\n\none\n--bc\n--b-- end\n"),
    mixed("--b\n\none\n--b--\n--b\n\nmore\n"),
    mixed("nothing\n"),
    "Content-Type: multipart/mixed\n\n--b\n\nx\n",
    mixed("--b\nContent-Type: text/html\n--b\nX-A: 1\nno field\n\nz\n--b--\n"),
    "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\nx\n--b--\n",
    "Content-Type: plain\n\nx",
    "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nYWJj\n",
    "Content-Type: message/rfc822\n\nSubject: x\n\nbody",
    mixed("--b\nContent-Type: message/rfc822\n--b--\n"),
    "Content-Type: multipart/mixed; boundary=\"b  \"\n\n--b  \n\nx\n--b--  \n",
    mixed("--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--b\n\ny\n--b--\n"),
};

const TreeCase kTreeCases[] = {
    {.name = "two parts", .message = kMessages[0], .leaves = {"1 text/plain [one]", "2 text/html [two]"}},
    {.name = "the line end before a delimiter is its own",
     .message = kMessages[1],
     .leaves = {"1 text/plain [one\r\n]", "2 text/plain []"}},
    {.name = "boundaries that are prefixes",
     .message = kMessages[2],
     .leaves = {"1.1 text/plain [x]", "1.2 text/plain [y]", "2 text/plain [z]"}},
    {.name = "an outer delimiter ends what is inside",
     .message = kMessages[3],
     .leaves = {"1.1 text/plain [x]", "2 text/plain [z]"},
     .oddities = {"no_final_delimiter"}},
    {.name = "messages in a message",
     .message = kMessages[4],
     .leaves = {"1 message/rfc822", "1.1 text/plain [in]", "2 message/rfc822", "2.1 text/plain [p]",
                "2.2 text/plain [q]"}},
    {.name = "no final delimiter",
     .message = kMessages[5],
     .leaves = {"1 text/plain [one\n]"},
     .oddities = {"no_final_delimiter"}},
    {.name = "text behind a delimiter",
     .message = kMessages[6],
     .leaves = {"1 text/plain [one\n--bc]"},
     .oddities = {"delimiter_with_text"}},
    {.name = "a delimiter after the final one",
     .message = kMessages[7],
     .leaves = {"1 text/plain [one]"},
     .oddities = {"delimiter_after_close"}},
    {.name = "no delimiter",
     .message = kMessages[8],
     .leaves = {"1 multipart/mixed [nothing\n]"},
     .oddities = {"no_delimiter"}},
    {.name = "no boundary",
     .message = kMessages[9],
     .leaves = {"1 multipart/mixed [--b\n\nx\n]"},
     .oddities = {"multipart_without_boundary"}},
    {.name = "headers that do not end",
     .message = kMessages[10],
     .leaves = {"1 text/html []", "2 text/plain [no field\n\nz]"},
     .oddities = {"part_header_unended"}},
    {.name = "digest", .message = kMessages[11], .leaves = {"1 message/rfc822", "1.1 text/plain [x]"}},
    {.name = "no type",
     .message = kMessages[12],
     .leaves = {"1 text/plain [x]"},
     .oddities = {"content_type_broken"}},
    {.name = "encoded message",
     .message = kMessages[13],
     .leaves = {"1 message/rfc822 [YWJj\n]"},
     .oddities = {"encoded_message"}},
    {.name = "the whole is a message",
     .message = kMessages[14],
     .leaves = {"1 message/rfc822", "1.1 text/plain [body]"}},
    {.name = "a message without octets",
     .message = kMessages[15],
     .leaves = {"1 message/rfc822", "1.1 text/plain []"}},
    {.name = "blanks at the end of the boundary", .message = kMessages[16], .leaves = {"1 text/plain [x]"}},
    {.name = "the same boundary inside",
     .message = kMessages[17],
     .leaves = {"1.1 text/plain [x]", "2 text/plain [y]"}},
};

TEST(Mime, TakesMessagesApart) {
  for (const TreeCase& c : kTreeCases) {
    SCOPED_TRACE(c.name);
    const Analysis analysis = Analysis::of(c.message);
    const Mime mime = Mime::of(analysis.fields(), analysis.body());
    EXPECT_EQ(shape(mime), c.leaves);
    EXPECT_EQ(oddities(mime), c.oddities);
  }
}

TEST(Mime, KeepsWhatLiesOutsideOfTheParts) {
  const Analysis analysis = Analysis::of(kMessages[0]);
  const Mime mime = Mime::of(analysis.fields(), analysis.body());
  EXPECT_EQ(mime.entities().at(0).preamble, "pre");
  EXPECT_EQ(mime.entities().at(0).epilogue, "post\n");
}

std::string nested(unsigned depth) {
  std::string text;
  for (unsigned i = 0; i < depth; ++i) {
    const std::string boundary = 'b' + std::to_string(i);
    text += "Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + '\n';
  }
  return text + "\nleaf";
}

TEST(Mime, HasALimitOfDepth) {
  const MimeLimits limits;
  for (const unsigned depth : {limits.depth_max, limits.depth_max + 1}) {
    const std::string message = nested(depth);
    const Analysis analysis = Analysis::of(message);
    const Mime mime = Mime::of(analysis.fields(), analysis.body(), limits);
    const auto found = oddities(mime);
    EXPECT_EQ(std::ranges::count(found, "too_deep"), depth > limits.depth_max ? 1 : 0);
    EXPECT_EQ(mime.entities().back().body, depth > limits.depth_max ? "--b64\n\nleaf" : "leaf");
  }
}

TEST(Mime, HasALimitOfParts) {
  std::string message(kMixed);
  for (int i = 0; i < 4; ++i) message += "--b\n\nx\n";
  const Analysis analysis = Analysis::of(message);
  const Mime all = Mime::of(analysis.fields(), analysis.body(), {.parts_max = 5});
  EXPECT_EQ(all.entities().size(), 5U);
  EXPECT_EQ(oddities(all), std::vector<std::string>{"no_final_delimiter"});
  const Mime fewer = Mime::of(analysis.fields(), analysis.body(), {.parts_max = 4});
  EXPECT_EQ(shape(fewer), (std::vector<std::string>{"1 text/plain [x]", "2 text/plain [x]",
                                                    "3 text/plain [x\n--b\n\nx\n]"}));
  EXPECT_EQ(oddities(fewer), (std::vector<std::string>{"no_final_delimiter", "too_many_parts"}));
}

TEST(Mime, HasALimitOfHeaderFields) {
  const std::string message = std::string(kMixed) + "--b\nA: 1\nB: 2\nC: 3\n\nx\n--b--\n";
  const Analysis analysis = Analysis::of(message);
  EXPECT_EQ(shape(Mime::of(analysis.fields(), analysis.body(), {.header_fields_max = 3})),
            std::vector<std::string>{"1 text/plain [x]"});
  const Mime limited = Mime::of(analysis.fields(), analysis.body(), {.header_fields_max = 2});
  EXPECT_EQ(shape(limited), std::vector<std::string>{"1 text/plain [C: 3\n\nx]"});
  EXPECT_EQ(oddities(limited), std::vector<std::string>{"part_header_limit"});
}

}  // namespace
}  // namespace postern::filters
