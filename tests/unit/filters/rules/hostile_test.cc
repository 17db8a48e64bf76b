// Texts made to be dear. Time is not measured here, where other things run beside; work is bounded by octets and steps, which are.
#include <gtest/gtest.h>

#include "tests/unit/filters/rules/support.h"

namespace postern::filters::rules {
namespace {

Hits scan(const RuleSet& set, std::string_view text) {
  static const Envelope kEnvelope;
  Analysis analysis = Analysis::of(text);
  analysis.read_content();
  const auto scanned = set.scan(kEnvelope, analysis, *analysis.content());
  return scanned->hits;
}

TEST(HostileText, BacktrackingIsGivenUpAndSaid) {
  // The look-behind makes it PCRE2's; the nested repetition makes it exponential there.
  const auto set = set_of("rule A\n score 1\n when body ~ /(?<!z)(?:a+)+(?:a+)+b\\d(?=c)/\n");
  const std::string text =
      "Subject: x\r\n\r\n" + std::string(3000, 'a') + "b b1 " + std::string(3000, 'a') + "b1d";
  const Hits hits = scan(*set, text);
  EXPECT_EQ(hits.counts.front(), 0U);
  EXPECT_TRUE(hits.limited);
  const Findings found = findings_of(*set, {{"body", text}});
  EXPECT_EQ(names_of(found), std::vector<std::string>{"RULES_LIMIT"});
}

TEST(HostileText, PatternsWithoutALiteralSeeTheBeginningOnly) {
  const auto set =
      set_of("rule A\n score 1\n when body ~ /\\d\\d/\nrule B\n score 1\n when body ~ /needle/\n");
  const auto at = [](std::size_t octets) {
    std::string text = "Subject: x\r\n\r\n";
    while (text.size() < octets) text += "word and word and word\r\n";
    return text + "42 needle";
  };
  const Hits near = scan(*set, at(1000)), far = scan(*set, at(2 * PatternIndex::kSlowOctetsMax));
  EXPECT_EQ(near.counts[0], 1U);
  EXPECT_EQ(near.counts[1], 1U);
  EXPECT_EQ(far.counts[0], 0U);
  EXPECT_EQ(far.counts[1], 1U);
}

TEST(HostileText, CountingEnds) {
  const auto set = set_of("rule A\n score 1\n when count(body ~ /abc/) == 100\n");
  std::string text = "Subject: x\r\n\r\n";
  for (int i = 0; i < 100'000; ++i) text += "abc ";
  EXPECT_EQ(scan(*set, text).counts.front(), Pattern::kCountMax);
}

TEST(HostileText, ManyFieldsAndAddresses) {
  const auto set = set_of("rule A\n score 1\n when header[X-A].address ~ /needle/\n");
  std::string text;
  for (int i = 0; i < 9'000; ++i) text += "X-A: a@b.test, c@d.test\r\n";
  text += "X-A: needle@b.test\r\n\r\nx";
  EXPECT_EQ(scan(*set, text).counts.front(), 0U);  // behind kFieldsMax
}

}  // namespace
}  // namespace postern::filters::rules
