#include "filters/verdict.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace postern::filters {
namespace {

TEST(Verdict, PrintsAllKeysInOrder) {
  const Verdict verdict{
      .action = Action::reject,
      .score = 15.3,
      .required = 5,
      .findings = {{.name = "A", .score = 15, .evidence = "why"},
                   {.name = "B", .score = 0.3, .evidence = "because"}},
      .incomplete = {"check: cause"},
      .reason = "score",
      .refusal = {.code = 554, .enhanced = "5.7.1", .text = "no"},
  };
  EXPECT_EQ(
      to_json(verdict),
      R"({"action":"reject","score":15.3,"required":5,"reason":"score",)"
      R"("refusal":{"code":554,"enhanced":"5.7.1","text":"no"},)"
      R"("findings":[{"name":"A","score":15,"evidence":"why"},{"name":"B","score":0.3,"evidence":"because"}],)"
      R"("incomplete":["check: cause"]})");
}

TEST(Verdict, LeavesOutARefusalThatIsNone) {
  EXPECT_EQ(to_json({}),
            R"({"action":"accept","score":0,"required":0,"reason":"","findings":[],"incomplete":[]})");
}

TEST(Verdict, NumbersReadBackEqual) {
  for (const double score : {0.1 + 0.2, 1e-7, -100.0, 1e22, 4.35, 1.0 / 3, 5e-324, 1.7976931348623157e308}) {
    const std::string text = to_json({.score = score});
    EXPECT_EQ(nlohmann::json::parse(text)["score"].get<double>(), score) << text;
  }
  EXPECT_NE(to_json({.score = 0.1}).find("\"score\":0.1,"), std::string::npos);
  EXPECT_TRUE(
      nlohmann::json::parse(to_json({.score = std::numeric_limits<double>::infinity()}))["score"].is_null());
}

struct QuotedCase {
  std::string_view name, text, json;
};

constexpr QuotedCase kQuoted[] = {
    {"plain", "abc", "abc"},
    {"quote and backslash", R"(a"b\c)", R"(a\"b\\c)"},
    {"controls", std::string_view("\0\n\x1b\x7f", 4), R"(\u0000\u000a\u001b\u007f)"},
    {"two octets", "\xC3\xA4", "\xC3\xA4"},
    {"three octets", "\xE2\x82\xAC", "\xE2\x82\xAC"},
    {"four octets", "\xF0\x9F\x93\xA7", "\xF0\x9F\x93\xA7"},
    {"continuation alone", "\x80", R"(\ufffd)"},
    {"cut short", "\xE2\x82", R"(\ufffd\ufffd)"},
    {"overlong of two", "\xC0\xAF", R"(\ufffd\ufffd)"},
    {"overlong of three", "\xE0\x80\xAF", R"(\ufffd\ufffd\ufffd)"},
    {"surrogate", "\xED\xA0\x80", R"(\ufffd\ufffd\ufffd)"},
    {"above U+10FFFF", "\xF4\x90\x80\x80", R"(\ufffd\ufffd\ufffd\ufffd)"},
    {"lead octet before text", "\xC3x", R"(\ufffdx)"},
    {"last of four is wrong", "\xF0\x9F\x93x", R"(\ufffd\ufffd\ufffdx)"},
};

TEST(Verdict, QuotesWhateverTheEvidenceHolds) {
  for (const QuotedCase& c : kQuoted) {
    SCOPED_TRACE(c.name);
    const std::string text = to_json({.reason = std::string(c.text)});
    EXPECT_NE(text.find("\"reason\":\"" + std::string(c.json) + "\","), std::string::npos) << text;
    EXPECT_TRUE(nlohmann::json::accept(text));
  }
}

TEST(Verdict, ActionsAreOrderedBySeverity) {
  EXPECT_LT(Action::accept, Action::tag);
  EXPECT_LT(Action::tag, Action::quarantine);
  EXPECT_LT(Action::quarantine, Action::defer);
  EXPECT_LT(Action::defer, Action::reject);
  EXPECT_EQ(to_string(Action::accept), "accept");
  EXPECT_EQ(to_string(Action::tag), "tag");
  EXPECT_EQ(to_string(Action::quarantine), "quarantine");
  EXPECT_EQ(to_string(Action::defer), "defer");
  EXPECT_EQ(to_string(Action::reject), "reject");
}

}  // namespace
}  // namespace postern::filters
