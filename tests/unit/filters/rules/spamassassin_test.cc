#include "filters/rules/spamassassin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/filters/rules/support.h"

namespace postern::filters::rules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Imported {
  std::shared_ptr<const RuleSet> set;
  std::vector<Problem> skipped;
};

Imported import(std::string_view text, std::string_view own = "") {
  RuleBook book;
  EXPECT_TRUE(read_rules(own, "own.rules", book).empty());
  Imported out;
  out.skipped = import_spamassassin(text, "local.cf", book);
  auto set = RuleSet::compile(std::move(book), {});
  EXPECT_TRUE(set);
  if (set) out.set = *std::move(set);
  return out;
}

struct ImportCase {
  std::string_view name, text, kind, piece;
  bool holds;
};

constexpr ImportCase kCases[] = {
    {"body", "body A /hello world/i", "body", "Hello\r\nWorld", true},
    {"body sees the subject", "body A /^A note/", "body", "x", true},
    {"body, each paragraph", "body A /^second/", "body", "first\r\n\r\nsecond", true},
    {"rawbody", "rawbody A /<i>/", "html", "<i>x</i>", true},
    {"uri", "uri A m{^http://a\\.test/}", "body", "http://a.test/x", true},
    {"full", "full A /\\nSubject: A note\\r?\\n/", "body", "x", true},
    {"header", "header A Subject =~ /note/", "body", "x", true},
    {"header negated", "header A Subject !~ /note/", "body", "x", false},
    {"address", "header A From:addr =~ /^robin\\@sender/", "body", "x", true},
    {"name", "header A From:name =~ /^Robin/", "body", "x", true},
    {"ToCc", "header A ToCc =~ /kim/", "body", "x", true},
    {"all", "header A ALL =~ /^X-B: 1$/m", "header", "X-B: 1", true},
    {"exists", "header A exists:X-B", "header", "X-B: 1", true},
    {"if-unset", "header A X-B =~ /^UNSET$/ [if-unset: UNSET]", "body", "x", true},
    {"if-unset where it is set", "header A X-B =~ /^UNSET$/ [if-unset: UNSET]", "header", "X-B: 1", false},
    {"meta", "body __A /aaa/\nbody __B /bbb/\nmeta A (__A && !__B)", "body", "aaa", true},
    {"meta counts", "body __A /a/\ntflags __A multiple\nmeta A (__A > 2)", "body", "a a a", true},
    {"meta of what is not there", "meta A (NOT_HERE || 1)", "body", "x", true},
    {"comment", "body A /a\\#b/ # and more", "body", "a#b", true},
    {"score of nothing means off", "body A /a/\nscore A 0", "body", "a", false},
    {"ifplugin is passed over", "ifplugin Mail::X\nbody A /a/\nendif\nmeta B 1\nscore B 0", "body", "a",
     false},
    {"else", "ifplugin Mail::X\nbody A /zzz/\nelse\nbody A /a/\nendif", "body", "a", true},
    {"version", "if (version >= 3.004)\nbody A /a/\nendif", "body", "a", true},
    {"no plugin", "if !plugin(Mail::X)\nbody A /a/\nendif", "body", "a", true},
};

TEST(SpamAssassin, Rules) {
  for (const ImportCase& c : kCases) {
    SCOPED_TRACE(c.name);
    const Imported read = import(c.text);
    ASSERT_NE(read.set, nullptr);
    EXPECT_EQ(!findings_of(*read.set, {{std::string(c.kind), std::string(c.piece)}}).found.empty(), c.holds);
  }
}

TEST(SpamAssassin, SaysWhatItDoesNotTake) {
  const struct {
    std::string_view line, why;
  } cases[] = {
      {"body A eval:check_for_it()", "\"eval:\" needs a plugin"},
      {"header A eval:check_for_it()", "needs a plugin"},
      {"header A X-Spam-Relays-Untrusted =~ /x/", "needs a plugin"},
      {"body A /abc", "no closing"},
      {"body A /a(b/", "the pattern"},
      {"score B 1", "score of B, which is no rule"},
      {"required_score 5", "is no rule of a kind that is read here"},
      {"meta A (1 +", "the expression ends"},
      {"body 1A /x/", "is no name of a rule"},
      {"ifplugin X\nbody A /a/\nendif", "its condition"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.line);
    const Imported read = import(c.line);
    ASSERT_EQ(read.skipped.size(), 1U);
    EXPECT_THAT(read.skipped.front().text(), testing::StartsWith("local.cf:"));
    EXPECT_THAT(read.skipped.front().what, HasSubstr(std::string(c.why)));
  }
}

TEST(SpamAssassin, ScoresAndDescriptions) {
  const Imported read =
      import("score A 1 2 3 4\nbody A /a/\ndescribe A Says a\nbody B /a/\nbody T_C /a/\nscore OWN 7\n",
             "rule OWN\n score 1\n when 1\n");
  ASSERT_TRUE(read.skipped.empty());
  const auto found = findings_of(*read.set, {{"body", "a"}}).found;
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].score, 7);
  EXPECT_EQ(found[1].score, 2);
  EXPECT_THAT(found[1].evidence, HasSubstr("Says a"));
  EXPECT_EQ(found[2].score, 1);
  EXPECT_EQ(found[3].score, 0.01);
}

TEST(SpamAssassin, RedefinesItsOwnAndNeverOurs) {
  const Imported read =
      import("body A /first/\nbody A /second/\nbody OWN /x/\n", "rule OWN\n score 1\n when body ~ /own/\n");
  EXPECT_EQ(read.skipped.size(), 1U);
  EXPECT_THAT(names_of(findings_of(*read.set, {{"body", "second own"}})), ElementsAre("OWN", "A"));
  EXPECT_THAT(names_of(findings_of(*read.set, {{"body", "first x"}})), ElementsAre());
}

}  // namespace
}  // namespace postern::filters::rules
