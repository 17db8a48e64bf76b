#include "filters/rules/rule_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "filters/rules/facts.h"
#include "tests/unit/filters/rules/support.h"

namespace postern::filters::rules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A rule's condition and a message, made of one piece.
struct HoldCase {
  std::string_view when, kind, text;
  bool holds;
};

constexpr HoldCase kHolds[] = {
    {"body ~ /hello there/", "body", "hello\r\n  there", true},
    {"body ~ /hello.{0,5}there/", "body", "hello\r\n\r\nthere", false},
    {"body ~ /A note/", "body", "x", true},  // the subject is part of it
    {"body ~ /caf\\xc3\\xa9/", "header", "Subject: =?iso-8859-1?q?caf=e9?=", true},
    {"body ~ /pass word/", "body", "pass\xc2\xa0word", true},
    {"body ~ /password/", "body", "pass\xe2\x80\x8bword", true},
    {"rawbody ~ /<b>/", "html", "<b>x</b>", true},
    {"body ~ /<b>/", "html", "<b>x</b>", false},
    {"hidden ~ /secret/", "html", "<p style='display:none'>secret</p>x", true},
    {"message ~ /^Received:/", "body", "x", true},
    {"subject ~ /^Re:/", "header", "Subject: Re: x", true},
    {"header[Subject].raw ~ /=\\?/", "header", "Subject: =?utf-8?q?x?=", true},
    {"subject ~ /=\\?/", "header", "Subject: =?utf-8?q?x?=", false},
    {"header[X-A] ~ /two/", "header", "X-A: one\r\nX-A: two", true},
    {"header[X-A].count == 2", "header", "X-A: one\r\nX-A: two", true},
    {"header[X-A,X-B].count == 2", "header", "X-A: one\r\nX-B: two", true},
    {"header[X-A] !~ /./", "body", "x", true},
    {"header[From].address ~ /^robin@sender\\.example$/", "body", "x", true},
    {"header[From].name ~ /^Robin Sample$/", "body", "x", true},
    {"header[From].domain ~ /^sender\\.example$/", "body", "x", true},
    {"header ~ /^Subject: A note$/m", "body", "x", true},
    {"header[To] ~ /robin/", "body", "x", false},  // a pattern of one field does not see another
    {"url ~ /^http:\\/\\/a\\.test\\/x$/", "body", "see http://a.test/x now", true},
    {"url.host ~ /^www\\.a\\.test$/", "body", "see http://WWW.a.test/x now", true},
    {"url.domain ~ /^a\\.co\\.uk$/", "body", "see http://www.a.co.uk/", true},
    {"url.domain ~ /www/", "body", "see http://www.a.co.uk/", false},
    {"attachment.name ~ /^a b\\.pdf$/", "attach", "a b.pdf|application/pdf|x", true},
    {"attachment.type ~ /pdf/", "attach", "a.bin|application/pdf|x", true},
    {"attachment.extension ~ /^pdf$/", "attach", "A.PDF|application/pdf|x", true},
    {"envelope.from ~ /^b@c\\.test$/", "envelope", "from=b@c.test", true},
    {"envelope.helo ~ /^h$/", "envelope", "helo=h", true},
    {"client.ip ~ /^192\\.0\\.2\\.10$/", "body", "x", true},
    {"auth.spf ~ /^(?:fail|softfail)$/", "auth", "spf=softfail", true},
    {"auth.spf ~ /^none$/", "body", "x", true},
    {"auth.dkim ~ /^pass$/", "auth", "dkim=fail dkim=pass", true},
    {"count(body ~ /ab/) == 3", "body", "ab ab ab", true},
    {"count(header[X-A] ~ /a/) == 3", "header", "X-A: aa\r\nX-A: a", true},
    {"body ~ /(?<!good )bye/", "body", "bad bye", true},  // beyond Hyperscan: confirmed
    {"body ~ /(?<!good )bye/", "body", "good bye", false},
    {"body ~ /(a)b\\1c/", "body", "abac", true},
    {"body ~ /(a|x)b\\1c/", "body", "abxc", false},
    {"body ~ /q/", "body", "a q", true},  // no literal to hold on to
    {"body ~ /h e l l o/x", "body", "hello", true},
    {"body ~ m{a/b}i", "body", "A/B", true},
};

TEST(RuleSet, Fields) {
  for (const HoldCase& c : kHolds) {
    SCOPED_TRACE(testing::Message() << c.when << " on " << c.text);
    const auto set = set_of("rule A\n score 1\n when " + std::string(c.when) + "\n");
    ASSERT_NE(set, nullptr);
    const Findings found = findings_of(*set, {{std::string(c.kind), std::string(c.text)}});
    EXPECT_EQ(!found.found.empty(), c.holds);
  }
}

TEST(RuleSet, MetaRulesInAnyOrderAndHiddenOnes) {
  const auto set = set_of(
      "rule SUM\n score 2\n when __A + __B + NONE >= 2\nrule __A\n when body ~ /aaa/\nrule __B\n when body ~ "
      "/bbb/\n"
      "rule NONE\n score 1\n when body ~ /ccc/\n");
  ASSERT_NE(set, nullptr);
  EXPECT_THAT(names_of(findings_of(*set, {{"body", "aaa bbb"}})), ElementsAre("SUM"));
  EXPECT_THAT(names_of(findings_of(*set, {{"body", "aaa ccc"}})), ElementsAre("SUM", "NONE"));
  EXPECT_THAT(names_of(findings_of(*set, {{"body", "aaa"}})), ElementsAre());
}

TEST(RuleSet, RefusesCyclesAndUnknownNames) {
  RuleBook cycle;
  ASSERT_TRUE(read_rules("rule A\n score 1\n when B\nrule B\n score 1\n when A || 1\n", "t", cycle).empty());
  const auto circular = RuleSet::compile(std::move(cycle), {});
  ASSERT_FALSE(circular);
  EXPECT_THAT(circular.error().front().text(), HasSubstr("depends on itself"));
  RuleBook unknown;
  ASSERT_TRUE(read_rules("rule A\n score 1\n when B\n", "t", unknown).empty());
  const auto missing = RuleSet::compile(std::move(unknown), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().front().text(), "t:1:6: A mentions B, which is no rule");
}

TEST(RuleSet, NamesThePlaceInABadPattern) {
  RuleBook book;
  ASSERT_TRUE(read_rules("rule A\n  score 1\n  when body ~ /ab(c/\n", "t", book).empty());
  const auto set = RuleSet::compile(std::move(book), {});
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().front().text(), testing::StartsWith("t:3:20: the pattern: "));
}

TEST(RuleSet, ShowsWhatWasFound) {
  const auto set = set_of("rule A\n describe Greets\n score 1\n when body ~ /dear \\w+/i\n");
  const Findings found = findings_of(*set, {{"body", "Well, Dear Kim, hello"}});
  ASSERT_EQ(found.found.size(), 1U);
  EXPECT_EQ(found.found.front().evidence, "Greets: \"Dear Kim\"");
}

TEST(RuleSet, EvidenceIsBoundedAndClean) {
  const auto set = set_of("rule A\n score 1\n when rawbody ~ /x[^y]{100,300}y/\n");
  const Findings found = findings_of(*set, {{"body", "x\x1b[2J\t\xff" + std::string(150, 'a') + "y"}});
  ASSERT_EQ(found.found.size(), 1U);
  EXPECT_LE(found.found.front().evidence.size(), PatternIndex::kExcerptOctetsMax + 40);
  for (const char c : found.found.front().evidence) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
}

TEST(RuleSet, GroupsHaveACapAndTheRowsAddUp) {
  const auto set = set_of(
      "group G cap 2.5\nrule A\n score 1\n group G\n when 1\nrule B\n score 2\n group G\n when 1\n"
      "rule C\n score -1\n group G\n when 1\nrule D\n score 3\n group G\n when 1\nrule E\n score 4\n when "
      "1\n");
  const Findings found = findings_of(*set, {{"body", "x"}});
  std::vector<double> scores;
  for (const Finding& finding : found.found) scores.push_back(finding.score);
  EXPECT_THAT(scores, ElementsAre(1, 1.5, -1, 0, 4));
  EXPECT_THAT(found.found[1].evidence, HasSubstr("of 2 points: G count at most 2.5 together"));
}

TEST(RuleSet, SettingsOfThePostmaster) {
  constexpr std::string_view kRules =
      "rule A\n score 1 strict=3\n when 1\nrule B\n score 1\n when A\nrule C\n score 1\n when 1\n";
  Settings settings;
  settings.profile = "strict";
  settings.scores["C"] = -2;
  settings.scores["NOT_THERE"] = 1;
  const auto set = set_of(kRules, settings);
  EXPECT_EQ(set->score(0), 3);
  EXPECT_EQ(set->score(1), 1);
  EXPECT_EQ(set->score(2), -2);
  EXPECT_THAT(set->unknown(), ElementsAre("NOT_THERE"));
  settings.disabled.insert("A");
  EXPECT_THAT(names_of(findings_of(*set_of(kRules, settings), {{"body", "x"}})), ElementsAre("C"));
}

TEST(RuleSet, SeesWhatOtherChecksFound) {
  const auto set = set_of("rule A\n score 1\n when finding.DUPLICATE_FROM && !finding.OTHER\n");
  const SampleMail mail = make_mail({.match = true, .pieces = {{"body", "x"}}, .place = {}});
  Analysis analysis = Analysis::of(mail.message);
  analysis.read_content();
  const auto scanned = set->scan(mail.envelope, analysis, *analysis.content());
  Findings others;
  EXPECT_EQ(set->evaluate(*scanned, others).front(), 0);
  others.found.push_back({.name = "DUPLICATE_FROM", .score = 1, .evidence = {}});
  EXPECT_EQ(set->evaluate(*scanned, others).front(), 1);
}

TEST(RuleSet, ProtectedNames) {
  Settings settings;
  settings.protected_names.push_back(*protected_name("Example Bank", "bank.example"));
  const auto set = set_of("rule A\n describe Impersonates\n score 1\n when from.impersonates\n", settings);
  const struct {
    std::string_view from;
    bool caught;
  } cases[] = {
      {"\"Example Bank\" <x@evil.test>", true},
      {"\"EXAMPLE-BANK service\" <x@evil.test>", true},
      {"=?utf-8?q?Ex=D0=B0mple_B=D0=B0nk?= <x@evil.test>", true},  // Cyrillic a
      {"\"Ex\xe2\x80\x8b"
       "ample Bank\" <x@evil.test>",
       true},
      {"\"Example Bank\" <x@bank.example>", false},
      {"\"Example Bank\" <x@mail.bank.example>", false},
      {"\"Example Bank\" <x@notbank.example>", true},
      {"\"Robin\" <x@evil.test>", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.from);
    const Findings found = findings_of(*set, {{"header", "From: " + std::string(c.from)}});
    EXPECT_EQ(!found.found.empty(), c.caught);
    if (c.caught) {
      EXPECT_THAT(found.found.front().evidence, HasSubstr("belongs to bank.example"));
    }
  }
  EXPECT_FALSE(protected_name("a!", "bank.example"));
}

TEST(RuleSet, CacheGivesTheSameSet) {
  constexpr std::string_view kRules =
      "rule A\n score 1\n when body ~ /aaa/ || body ~ /(?<!x)bbb/ || subject ~ /q/\n";
  const auto fresh = set_of(kRules);
  EXPECT_FALSE(fresh->restored());
  Settings settings;
  settings.cached = fresh->cache();
  const auto restored = set_of(kRules, settings);
  EXPECT_TRUE(restored->restored());
  for (const std::string_view text : {"aaa", "bbb", "xbbb", "nothing"})
    EXPECT_EQ(findings_of(*fresh, {{"body", std::string(text)}}).found,
              findings_of(*restored, {{"body", std::string(text)}}).found);
  // Of other rules, cut short, damaged: compiled anew, never used.
  EXPECT_FALSE(set_of("rule A\n score 1\n when body ~ /aab/\n", settings)->restored());
  Settings cut;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, settings.cached.size() - 1}) {
    cut.cached = settings.cached.substr(0, size);
    EXPECT_FALSE(set_of(kRules, cut)->restored()) << size;
  }
}

TEST(RuleSet, SamplesThatDoNotComeOutAreProblems) {
  const auto set =
      set_of("rule A\n score 1\n when body ~ /aaa/\n match \"bbb\"\n nomatch \"aaa\"\n match \"aaa\"\n");
  const auto problems = check_samples(*set);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].text(), "test.rules:4:2: A does not match this");
  EXPECT_EQ(problems[1].text(), "test.rules:5:2: A matches this");
}

TEST(Facts, AllHaveNamesThatAreFound) {
  for (const std::string_view name :
       {"html.forms", "urls.count", "oddity.bare_lf", "oddity.base64_incomplete", "date.age_hours"}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(find_fact(name));
  }
  EXPECT_FALSE(find_fact("oddity."));
  EXPECT_FALSE(find_fact("nothing"));
}

}  // namespace
}  // namespace postern::filters::rules
