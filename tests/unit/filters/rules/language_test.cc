#include "filters/rules/language.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "filters/rules/rule_set.h"

namespace postern::filters::rules {
namespace {

struct MistakeCase {
  std::string_view name, text, problem;
};

constexpr MistakeCase kMistakes[] = {
    {"a line outside of a rule", "score 1\n", "t:1:1: \"score\": a line starts with rule, group or #"},
    {"lower case name", "rule abc\n  score 1\n  when 1\n",
     "t:1:6: \"abc\" is no name of a rule: A-Z, 0-9 and _"},
    {"twice the same", "rule A\n score 1\n when 1\nrule A\n score 1\n when 1\n",
     "t:4:6: A is already at t:1"},
    {"no condition", "rule A\n  score 1\n", "t:1:6: A has no \"when\""},
    {"no score", "rule A\n  when 1\n", "t:1:6: A has no score"},
    {"score that is none", "rule A\n  score high\n  when 1\n",
     "t:2:9: a score is a number from -1000 to 1000"},
    {"score beyond", "rule A\n  score 1001\n  when 1\n", "t:2:9: a score is a number from -1000 to 1000"},
    {"unknown part", "rule A\n  colour red\n",
     "t:2:3: \"colour\" is no part of a rule: describe, score, group, when, match, nomatch"},
    {"unknown group", "rule A\n  group B\n", "t:2:9: there is no group B above"},
    {"group without a cap", "group B 5\n", "t:1:7: a group is written: group NAME cap POINTS"},
    {"unknown word", "rule A\n  score 1\n  when html.form\n",
     "t:3:8: \"html.form\" is neither a fact, a field nor a rule"},
    {"missing bracket", "rule A\n  score 1\n  when (1 + 2\n", "t:3:14: a closing bracket is missing"},
    {"no operand", "rule A\n  score 1\n  when 1 +\n",
     "t:3:11: the expression ends where a value is expected"},
    {"rest", "rule A\n  score 1\n  when 1 2\n", "t:3:10: \"2\" is not expected here"},
    {"pattern without an end", "rule A\n  score 1\n  when body ~ /abc\n",
     "t:3:15: the pattern has no closing \"/\""},
    {"empty pattern", "rule A\n  score 1\n  when body ~ //\n", "t:3:15: the pattern is empty"},
    {"unknown flag", "rule A\n  score 1\n  when body ~ /a/g\n",
     "t:3:15: \"g\" is no flag of a pattern: i, m, s, x"},
    {"field without a pattern", "rule A\n  score 1\n  when body > 3\n",
     "t:3:13: \"~\" or \"!~\" and a pattern are expected"},
    {"unknown form", "rule A\n  score 1\n  when header[From].colour ~ /a/\n",
     "t:3:20: a field's forms are .raw, .address, .name, .domain and .count"},
    {"count is a number", "rule A\n  score 1\n  when header[From].count ~ /a/\n", "t:3:27: \"~ /a/\""},
    {"unknown method", "rule A\n  score 1\n  when auth.tls ~ /a/\n",
     "t:3:8: auth. is followed by spf, dkim, dmarc, arc or iprev"},
    {"sample of an unknown kind", "rule A\n  score 1\n  when 1\n  match sound \"x\"\n",
     "t:4:9: \"sound\": body, html"},
    {"quotation without an end", "rule A\n  score 1\n  when 1\n  match \"x\n",
     "t:4:9: the quotation is not closed"},
    {"unknown escape", "rule A\n  score 1\n  when 1\n  match \"\\q\"\n", "t:4:11: behind \\ stands"},
};

TEST(RuleLanguage, NamesThePlaceOfEachMistake) {
  for (const MistakeCase& c : kMistakes) {
    SCOPED_TRACE(c.name);
    RuleBook book;
    const auto problems = read_rules(c.text, "t", book);
    ASSERT_FALSE(problems.empty());
    if (c.name == "count is a number") {
      EXPECT_EQ(problems.front().place.line, 3U);  // wherever the words stand, the line is right
      continue;
    }
    EXPECT_THAT(problems.front().text(), testing::StartsWith(std::string(c.problem)));
  }
}

TEST(RuleLanguage, TellsAllMistakes) {
  RuleBook book;
  const auto problems =
      read_rules("rule A\n score x\n when (\nrule B\n score 1\n when 1\nrule c\n", "t", book);
  EXPECT_EQ(problems.size(), 3U);
}

TEST(RuleLanguage, ReadsAWholeRule) {
  RuleBook book;
  const auto problems = read_rules(
      "# a comment\ngroup G cap 3.5\r\nrule A_1\n  describe What it is\n  score 1.5 strict=3 mild=-0.5\n  "
      "group G\n"
      "  when body ~ /a b/i\n  when size.octets > 10\n  match \"x\\n\\x41\" header \"To: y\"\n  nomatch "
      "\"\\\"\"\n",
      "t", book);
  ASSERT_TRUE(problems.empty()) << problems.front().text();
  ASSERT_EQ(book.rules.size(), 1U);
  const Rule& rule = book.rules.front();
  EXPECT_EQ(rule.name, "A_1");
  EXPECT_EQ(rule.description, "What it is");
  EXPECT_EQ(rule.score, 1.5);
  EXPECT_THAT(rule.scores, testing::ElementsAre(testing::Pair("strict", 3), testing::Pair("mild", -0.5)));
  EXPECT_EQ(rule.group, 0);
  EXPECT_EQ(book.groups.front().cap, 3.5);
  EXPECT_EQ(rule.when.steps.size(), 5U);  // pattern, fact, number, greater, and
  ASSERT_EQ(rule.samples.size(), 2U);
  EXPECT_THAT(rule.samples[0].pieces,
              testing::ElementsAre(testing::Pair("body", "x\r\nA"), testing::Pair("header", "To: y")));
  EXPECT_FALSE(rule.samples[1].match);
  EXPECT_EQ(rule.place.line, 3U);
}

struct ValueCase {
  std::string_view expression;
  bool holds;
};

constexpr ValueCase kValues[] = {
    {"1 + 2 * 3 == 7", true},   {"(1 + 2) * 3 == 9", true},
    {"10 - 3 - 2 == 5", true},  {"8 / 4 / 2 == 1", true},
    {"1 / 0 == 0", true},       {"-2 < -1", true},
    {"!0 && !0", true},         {"!1", false},
    {"1 || 0 && 0", true},      {"2 > 1 == 1", true},
    {"3 <= 3 && 3 >= 3", true}, {"3 != 3", false},
    {"0.5 + .5 == 1", true},    {"!(1 && 0)", true},
};

TEST(RuleLanguage, Arithmetic) {
  for (const ValueCase& c : kValues) {
    SCOPED_TRACE(c.expression);
    RuleBook book;
    ASSERT_TRUE(read_rules("rule A\n score 1\n when " + std::string(c.expression) + "\n", "t", book).empty());
    const auto set = RuleSet::compile(std::move(book), {});
    ASSERT_TRUE(set);
    const Envelope envelope;
    Analysis analysis = Analysis::of("Subject: x\r\n\r\ny");
    analysis.read_content();
    const auto scanned = (*set)->scan(envelope, analysis, *analysis.content());
    EXPECT_EQ((*set)->evaluate(*scanned, {}).front() != 0, c.holds);
  }
}

TEST(RuleLanguage, BoundsDepthAndSteps) {
  const auto problems = [](const std::string& expression) {
    RuleBook book;
    return read_rules("rule A\n score 1\n when " + expression + "\n", "t", book);
  };
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '(') + "1" + std::string(depth, ')');
  };
  EXPECT_TRUE(problems(nested(Expression::kDepthMax - 1)).empty());
  EXPECT_FALSE(problems(nested(Expression::kDepthMax)).empty());
  std::string sum = "1";
  while (sum.size() < 2 * Expression::kStepsMax - 3) sum += "+1+1";
  EXPECT_FALSE(problems(sum + "+1+1").empty());
}

}  // namespace
}  // namespace postern::filters::rules
