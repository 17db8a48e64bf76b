#include "filters/message/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace postern::filters {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::string_view_literals;

struct WalkCase {
  std::string_view name, message;
  std::vector<std::pair<std::string_view, std::string_view>> fields;  // name, value
  std::string_view body;
  std::vector<std::string> oddities = {};
};

const WalkCase kWalks[] = {
    {"empty message", "", {}, "", {"header_unended"}},
    {"empty header", "\r\nbody\r\n", {}, "body\r\n"},
    {"one field", "A: b\r\n\r\nbody", {{"A", " b"}}, "body"},
    {"no body", "A: b\r\n\r\n", {{"A", " b"}}, ""},
    {"no empty line", "A: b\r\n", {{"A", " b"}}, "", {"header_unended"}},
    {"no line end at all", "A: b", {{"A", " b"}}, "", {"header_unended"}},
    {"last line a CR", "A: b\r\n\r", {{"A", " b"}}, "", {"bare_cr", "junk_line", "header_unended"}},
    {"empty value", "A:\r\n\r\n", {{"A", ""}}, ""},
    {"folded", "A: b\r\n\tc\r\n d\r\nE: f\r\n\r\n", {{"A", " b\r\n\tc\r\n d"}, {"E", " f"}}, ""},
    {"folded by blanks only", "A: b\r\n \r\nE: f\r\n\r\n", {{"A", " b\r\n "}, {"E", " f"}}, ""},
    {"colon in value", "A: b: c\r\n\r\n", {{"A", " b: c"}}, ""},
    {"blank before colon", "A \t: b\r\n\r\n", {{"A", " b"}}, "", {"blank_before_colon"}},
    {"continuation first", " a\r\nB: c\r\n\r\n", {{"B", " c"}}, "", {"continuation_first"}},
    {"From_ line", "From a@b Sat\r\nB: c\r\n\r\n", {{"B", " c"}}, "", {"junk_line"}},
    {"blank in name", "A b: c\r\nB: d\r\n\r\n", {{"B", " d"}}, "", {"junk_line"}},
    {"no name", ": c\r\nB: d\r\n\r\n", {{"B", " d"}}, "", {"junk_line"}},
    {"junk takes its continuation along",
     "A: b\r\njunk\r\n more\r\nC: d\r\n\r\n",
     {{"A", " b"}, {"C", " d"}},
     "",
     {"junk_line"}},
    {"control in name", "A\x01: c\r\n\r\n", {}, "", {"junk_line"}},
    {"8-bit in name", "\xC3\xA4: c\r\n\r\n", {}, "", {"eight_bit_header", "junk_line"}},
    {"8-bit in value", "A: \xC3\xA4\r\n\r\n\xC3", {{"A", " \xC3\xA4"}}, "\xC3", {"eight_bit_header"}},
    {"8-bit in body", "A: b\r\n\r\n\xC3", {{"A", " b"}}, "\xC3"},
    {"bare LF", "A: b\n\nbody", {{"A", " b"}}, "body", {"bare_lf"}},
    {"bare CR in value", "A: b\rc\r\n\r\n", {{"A", " b\rc"}}, "", {"bare_cr"}},
    {"two CR", "A: b\r\r\n\r\n", {{"A", " b\r"}}, "", {"bare_cr"}},
    {"NUL in header", "A: \0\r\n\r\n"sv, {{"A", " \0"sv}}, "", {"nul_octet"}},
    {"NUL in body", "A: b\r\n\r\n\0"sv, {{"A", " b"}}, "\0"sv, {"nul_octet"}},
    {"in order of place",
     "A: \0\r\njunk\r\n c\rd\r\n\r\n"sv,
     {{"A", " \0"sv}},
     "",
     {"nul_octet", "junk_line", "bare_cr"}},
    {"printable names",
     "!#$%&'*+-/09;<=>?@AZ[\\]^_`az{|}~: x\r\n\r\n",
     {{"!#$%&'*+-/09;<=>?@AZ[\\]^_`az{|}~", " x"}},
     ""},
};

TEST(Analysis, WalksTheHeader) {
  for (const WalkCase& c : kWalks) {
    SCOPED_TRACE(c.name);
    const Analysis analysis = Analysis::of(c.message);
    std::vector<std::pair<std::string_view, std::string_view>> fields;
    for (const HeaderField& field : analysis.fields()) fields.emplace_back(field.name, field.value);
    EXPECT_EQ(fields, c.fields);
    EXPECT_EQ(analysis.body(), c.body);
    EXPECT_EQ(std::string(analysis.header()) + std::string(analysis.body()), c.message);
    EXPECT_EQ(analysis.oddities(), c.oddities);
    EXPECT_FALSE(analysis.truncated());
  }
}

TEST(Analysis, FieldsAreRawAndCoverTheHeader) {
  const std::string_view message = "A: b\r\n c\r\nD:e\r\n\r\nbody";
  const Analysis analysis = Analysis::of(message);
  ASSERT_EQ(analysis.fields().size(), 2U);
  EXPECT_EQ(analysis.fields()[0].raw, "A: b\r\n c\r\n");
  EXPECT_EQ(analysis.fields()[1].raw, "D:e\r\n");
  EXPECT_EQ(analysis.fields()[0].raw.data(), message.data()) << "views, not copies";
}

TEST(Analysis, FindsFieldsWithoutRegardToCase) {
  const Analysis analysis =
      Analysis::of("Received: 1\r\nFROM: a\r\nreceived: 2\r\nX-From: b\r\n\r\nFrom: c\r\n");
  EXPECT_EQ(analysis.count("Received"), 2U);
  EXPECT_EQ(analysis.count("from"), 1U);
  EXPECT_EQ(analysis.count("Date"), 0U);
  EXPECT_EQ(analysis.find("rEcEiVeD")->value, " 1");
  EXPECT_EQ(analysis.find("Fro"), nullptr);
}

TEST(Analysis, Unfolds) {
  EXPECT_EQ(Analysis::unfolded(" a\r\n\tb\r\n c \r\n"), "a\tb c");
  EXPECT_EQ(Analysis::unfolded(" \r\n \t"), "");
  EXPECT_EQ(Analysis::unfolded(""), "");
  EXPECT_EQ(Analysis::unfolded("a\rb\nc"), "abc");
}

std::string many_fields(std::size_t count) {
  std::string header;
  for (std::size_t i = 0; i < count; ++i) header += "A: b\r\n";
  return header;
}

TEST(Analysis, BoundsTheNumberOfFields) {
  const AnalysisLimits limits{.header_fields_max = 5};
  const std::string enough = many_fields(5) + "\r\nbody";
  EXPECT_EQ(Analysis::of(enough, limits).fields().size(), 5U);
  EXPECT_FALSE(Analysis::of(enough, limits).truncated());
  EXPECT_EQ(Analysis::of(enough, limits).body(), "body");

  const std::string more = many_fields(6) + "\r\nbody";
  const Analysis analysis = Analysis::of(more, limits);
  EXPECT_EQ(analysis.fields().size(), 5U);
  EXPECT_TRUE(analysis.truncated());
  EXPECT_EQ(analysis.body(), "A: b\r\n\r\nbody");
  EXPECT_THAT(analysis.oddities(), ElementsAre("header_truncated"));
}

TEST(Analysis, BoundsTheHeader) {
  const std::string header = many_fields(5) + "\r\n";
  const std::string message = header + "body\r\n";
  EXPECT_FALSE(Analysis::of(message, {.header_octets_max = header.size()}).truncated());
  for (std::size_t room = 0; room < header.size(); ++room) {
    const Analysis analysis = Analysis::of(message, {.header_octets_max = room});
    ASSERT_TRUE(analysis.truncated()) << room;
    ASSERT_EQ(analysis.fields().size(), room / 6) << room;
    ASSERT_EQ(analysis.header().size(), room / 6 * 6) << room;
  }
  EXPECT_THAT(Analysis::of(message, {.header_octets_max = header.size()}).oddities(), IsEmpty());
}

TEST(Analysis, AFieldThatIsCutKeepsWhatWasRead) {
  const Analysis analysis = Analysis::of("A: b\r\n c\r\n d\r\n\r\n", {.header_octets_max = 12});
  ASSERT_EQ(analysis.fields().size(), 1U);
  EXPECT_EQ(analysis.fields()[0].value, " b\r\n c");
  EXPECT_EQ(analysis.body(), " d\r\n\r\n");
}

TEST(Analysis, KnowsLongLines) {
  const auto too_long = [](const std::string& message) {
    return Analysis::of(message).has_oddity("line_too_long");
  };
  const std::string head = "A: b\r\n\r\n";
  for (const std::string& before :
       {std::string(), std::string("short\r\n"), std::string(700, 'x') + "\r\n"}) {
    SCOPED_TRACE(before.size());
    EXPECT_FALSE(too_long(head + before + std::string(998, 'x') + "\r\n"));
    EXPECT_FALSE(too_long(head + before + std::string(998, 'x') + "\r\nshort\r\n"));
    EXPECT_FALSE(too_long(head + before + std::string(998, 'x')));
    EXPECT_TRUE(too_long(head + before + std::string(999, 'x') + "\r\n"));
    EXPECT_TRUE(too_long(head + before + std::string(999, 'x') + "\r\nshort\r\n"));
    EXPECT_TRUE(too_long(head + before + std::string(999, 'x')));
  }
  EXPECT_TRUE(too_long("A: " + std::string(996, 'x') + "\r\n\r\n"));
  EXPECT_FALSE(too_long("A: " + std::string(995, 'x') + "\r\n\r\n"));
}

TEST(Analysis, ReportsTestStrings) {
  const std::string gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
  EXPECT_TRUE(Analysis::of("A: b\r\n\r\n" + gtube + "\r\n").has_gtube());
  EXPECT_TRUE(Analysis::of("Subject: " + gtube + "\r\n\r\n").has_gtube());
  EXPECT_FALSE(Analysis::of("A: b\r\n\r\nhello\r\n").has_gtube());
  EXPECT_FALSE(Analysis::of("A: b\r\n\r\nhello\r\n").has_eicar());
}

}  // namespace
}  // namespace postern::filters
