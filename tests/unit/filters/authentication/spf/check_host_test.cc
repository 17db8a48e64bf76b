#include "filters/authentication/spf/check_host.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/zone.h"

namespace postern::filters::spf {
namespace {

/// One zone for the table; a row names the domain and says what must come out.
constexpr const char* kZone = R"({
  "plain.example": [{"TXT": "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"}],
  "mx.example": [{"TXT": "v=spf1 mx a:gone.example ~all"}, {"MX": [10, "m1.example"]}, {"MX": [20, "m2.example"]}],
  "m1.example": [{"A": "192.0.2.1"}],
  "m2.example": [{"A": "192.0.2.2"}, {"AAAA": "2001:db8::2"}],
  "include.example": [{"TXT": "v=spf1 include:plain.example include:soft.example ?all"}],
  "soft.example": [{"TXT": "v=spf1 a:m1.example ~all"}],
  "redirect.example": [{"TXT": "v=spf1 ip4:203.0.113.9 redirect=plain.example"}],
  "redirect-nowhere.example": [{"TXT": "v=spf1 redirect=nothing.example"}],
  "include-nowhere.example": [{"TXT": "v=spf1 include:nothing.example -all"}],
  "two.example": [{"TXT": "v=spf1 -all"}, {"TXT": "v=spf1 +all"}],
  "timeout.example": ["TIMEOUT"],
  "slow-a.example": [{"TXT": "v=spf1 a:timeout.example -all"}],
  "early-match.example": [{"TXT": "v=spf1 ip4:192.0.2.0/24 a:timeout.example -all"}],
  "void.example": [{"TXT": "v=spf1 a:v1.void.example a:v2.void.example a:v3.void.example -all"}],
  "void2.example": [{"TXT": "v=spf1 a:v1.void.example a:v2.void.example -all"}],
  "ten.example": [{"TXT": "v=spf1 a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example -all"}],
  "eleven.example": [{"TXT": "v=spf1 a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example a:m1.example -all"}],
  "loop.example": [{"TXT": "v=spf1 include:loop.example -all"}],
  "exp.example": [{"TXT": "v=spf1 -all exp=why.%{d}"}],
  "why.exp.example": [{"TXT": "%{i} is not ours, ask %{l}@%{o}"}],
  "broken-exp.example": [{"TXT": "v=spf1 -all exp=why.broken-exp.example"}],
  "why.broken-exp.example": [{"TXT": "100 % sure"}],
  "ptr.example": [{"TXT": "v=spf1 ptr -all"}],
  "1.2.0.192.in-addr.arpa": [{"PTR": "host.ptr.example"}, {"PTR": "liar.ptr.example"}],
  "host.ptr.example": [{"A": "192.0.2.1"}],
  "liar.ptr.example": [{"A": "198.51.100.1"}],
  "nullmx.example": [{"TXT": "v=spf1 mx -all"}, {"MX": [0, ""]}],
  "p.example": [{"TXT": "v=spf1 exists:%{p}.allowed.example -all"}],
  "host.ptr.example.allowed.example": [{"A": "127.0.0.2"}],
  "tree.example": [{"TXT": "v=spf1 include:t1.example include:t2.example include:t3.example -all"}],
  "t1.example": [{"TXT": "v=spf1 mx:mx.example ?all"}],
  "t2.example": [{"TXT": "v=spf1 ptr:elsewhere.example a:m2.example ?all"}],
  "t3.example": [{"TXT": "v=spf1 exists:%{ir}.yes.example -all"}],
  "1.2.0.198.yes.example": [{"A": "127.0.0.2"}]
})";

struct Case {
  std::string_view name, ip, domain;
  Result result;
  std::string_view problem = {}, explanation = {};
};

constexpr Case kCases[] = {
    {.name = "ip4", .ip = "192.0.2.77", .domain = "plain.example", .result = Result::pass},
    {.name = "ip4, outside", .ip = "192.0.3.1", .domain = "plain.example", .result = Result::fail},
    {.name = "ip6", .ip = "2001:db8::99", .domain = "plain.example", .result = Result::pass},
    {.name = "IPv4-mapped client",
     .ip = "::ffff:192.0.2.77",
     .domain = "plain.example",
     .result = Result::pass},
    {.name = "upper case", .ip = "192.0.2.77", .domain = "PLAIN.Example", .result = Result::pass},
    {.name = "second mx", .ip = "192.0.2.2", .domain = "mx.example", .result = Result::pass},
    {.name = "second mx over IPv6", .ip = "2001:db8::2", .domain = "mx.example", .result = Result::pass},
    {.name = "no mx", .ip = "192.0.2.3", .domain = "mx.example", .result = Result::softfail},
    {.name = "include passes", .ip = "192.0.2.3", .domain = "include.example", .result = Result::pass},
    {.name = "include fails: no match",
     .ip = "198.51.100.3",
     .domain = "include.example",
     .result = Result::neutral},
    {.name = "redirect", .ip = "192.0.2.3", .domain = "redirect.example", .result = Result::pass},
    {.name = "redirect to no record",
     .ip = "192.0.2.3",
     .domain = "redirect-nowhere.example",
     .result = Result::permerror,
     .problem = "§6.1"},
    {.name = "include of no record",
     .ip = "192.0.2.3",
     .domain = "include-nowhere.example",
     .result = Result::permerror,
     .problem = "§5.2"},
    {.name = "two records",
     .ip = "192.0.2.3",
     .domain = "two.example",
     .result = Result::permerror,
     .problem = "several"},
    {.name = "no record", .ip = "192.0.2.3", .domain = "nothing.example", .result = Result::none},
    {.name = "one label", .ip = "192.0.2.3", .domain = "localhost", .result = Result::none},
    {.name = "no name", .ip = "192.0.2.3", .domain = "[192.0.2.3]", .result = Result::none},
    {.name = "record timed out",
     .ip = "192.0.2.3",
     .domain = "timeout.example",
     .result = Result::temperror,
     .problem = "timed_out"},
    {.name = "mechanism timed out",
     .ip = "192.0.2.3",
     .domain = "slow-a.example",
     .result = Result::temperror,
     .problem = "timeout.example"},
    {.name = "a match before the trouble",
     .ip = "192.0.2.3",
     .domain = "early-match.example",
     .result = Result::pass},
    {.name = "two void lookups", .ip = "192.0.2.3", .domain = "void2.example", .result = Result::fail},
    {.name = "three void lookups",
     .ip = "192.0.2.3",
     .domain = "void.example",
     .result = Result::permerror,
     .problem = "§4.6.4"},
    {.name = "ten terms", .ip = "192.0.2.3", .domain = "ten.example", .result = Result::fail},
    {.name = "eleven terms",
     .ip = "192.0.2.3",
     .domain = "eleven.example",
     .result = Result::permerror,
     .problem = "§4.6.4"},
    {.name = "a loop ends at the limit",
     .ip = "192.0.2.3",
     .domain = "loop.example",
     .result = Result::permerror,
     .problem = "§4.6.4"},
    {.name = "explanation",
     .ip = "192.0.2.3",
     .domain = "exp.example",
     .result = Result::fail,
     .explanation = "192.0.2.3 is not ours, ask user@exp.example"},
    {.name = "broken explanation", .ip = "192.0.2.3", .domain = "broken-exp.example", .result = Result::fail},
    {.name = "ptr, validated", .ip = "192.0.2.1", .domain = "ptr.example", .result = Result::pass},
    {.name = "ptr, no reverse name", .ip = "192.0.2.9", .domain = "ptr.example", .result = Result::fail},
    {.name = "null MX", .ip = "192.0.2.9", .domain = "nullmx.example", .result = Result::fail},
    {.name = "%{p}", .ip = "192.0.2.1", .domain = "p.example", .result = Result::pass},
    {.name = "a tree, matched in the last branch",
     .ip = "198.0.2.1",
     .domain = "tree.example",
     .result = Result::pass},
};

Identity identity_of(const Case& c, const std::string& sender) {
  return {.ip = *Ip::parse(c.ip),
          .domain = c.domain,
          .sender = sender,
          .helo = "helo.example",
          .receiver = "mx.test.example",
          .now = {}};
}

void expect_outcome(const Case& c, const Outcome& outcome) {
  EXPECT_EQ(to_string(outcome.result), to_string(c.result)) << outcome.problem;
  EXPECT_NE(outcome.problem.find(c.problem), std::string::npos) << outcome.problem;
  EXPECT_EQ(outcome.explanation, c.explanation);
  EXPECT_LE(outcome.void_lookups, kVoidLookupsMax + 1);
}

TEST(SpfCheckHost, AnswersGivenTogether) {
  const support::Zone zone(nlohmann::json::parse(kZone));
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const std::string sender = "user@" + std::string(c.domain);
    Facts facts;
    std::optional<Outcome> outcome;
    for (int round = 0; round < 20 && !outcome; ++round) {
      outcome = check_host(identity_of(c, sender), facts);
      if (!outcome) ASSERT_GT(zone.answer_all(facts), 0U) << "pending without a question";
    }
    ASSERT_TRUE(outcome);
    expect_outcome(c, *outcome);
  }
}

TEST(SpfCheckHost, AnswersOneByOneInAnyOrder) {
  const support::Zone zone(nlohmann::json::parse(kZone));
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const std::string sender = "user@" + std::string(c.domain);
    for (int order = 0; order < 20; ++order) {
      Facts facts;
      std::optional<Outcome> outcome;
      for (int round = 0; round < 500 && !outcome; ++round) {
        outcome = check_host(identity_of(c, sender), facts);
        if (!outcome) ASSERT_TRUE(zone.answer_one(facts, random())) << "pending without a question";
      }
      ASSERT_TRUE(outcome);
      expect_outcome(c, *outcome);
    }
  }
}

TEST(SpfCheckHost, AsksInFewRounds) {
  const support::Zone zone(nlohmann::json::parse(kZone));
  const Case c{.name = "tree", .ip = "198.0.2.1", .domain = "tree.example", .result = Result::pass};
  Facts facts;
  int rounds = 0;
  while (!check_host(identity_of(c, "user@tree.example"), facts) && rounds < 50) {
    zone.answer_all(facts);
    ++rounds;
  }
  EXPECT_LE(rounds, 6);
}

TEST(SpfCheckHost, AskingIsBoundedWhateverTheRecordHolds) {
  std::string text = "v=spf1";
  for (int i = 0; i < 10'000; ++i) text += " include:n" + std::to_string(i) + ".example";
  nlohmann::json zone;
  zone["bomb.example"] = nlohmann::json::array({nlohmann::json{{"TXT", text}}});
  for (int i = 0; i < 20; ++i)
    zone["n" + std::to_string(i) + ".example"] =
        nlohmann::json::array({nlohmann::json{{"TXT", "v=spf1 ?all"}}});
  const support::Zone answers(zone);
  const Case c{.name = "bomb", .ip = "192.0.2.1", .domain = "bomb.example", .result = Result::permerror};
  Facts facts;
  std::optional<Outcome> outcome;
  while (!(outcome = check_host(identity_of(c, "user@bomb.example"), facts))) answers.answer_all(facts);
  EXPECT_EQ(outcome->result, Result::permerror);
  EXPECT_LE(facts.answers().size(), 12U);
}

TEST(SpfCheckHost, ShowsItsSteps) {
  const support::Zone zone(nlohmann::json::parse(kZone));
  const Case c{.name = "include", .ip = "192.0.2.3", .domain = "include.example", .result = Result::pass};
  Facts facts;
  std::vector<Step> steps;
  while (!check_host(identity_of(c, "user@include.example"), facts, &steps)) zone.answer_all(facts);
  ASSERT_GE(steps.size(), 4U);
  EXPECT_EQ(steps[0].domain, "include.example");
  EXPECT_EQ(steps[1].depth, 1U);
  EXPECT_EQ(steps[1].domain, "plain.example");
  EXPECT_EQ(steps.back().what, "match");
}

}  // namespace
}  // namespace postern::filters::spf
