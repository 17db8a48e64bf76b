#include "filters/reputation/blocklist.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tests/support/zone.h"

namespace postern::filters {
namespace {

constexpr std::string_view kMessage = "From: Ann <ann@From.test>, b@b.test\r\n\r\n";

struct ListRow {
  std::string_view name, zone;
  BlocklistKind kind;
  std::string_view evidence;  ///< "" when nothing is found
  std::string_view unknown = {};
};

const ListRow kRows[] = {
    {"listed", R"({"1.2.0.192.bl.test": [{"A": "127.0.0.2"}]})", BlocklistKind::ip,
     "192.0.2.1 is listed by bl.test (127.0.0.2: spam)"},
    {"not listed", R"({"bl.test": [{"A": "127.0.0.2"}]})", BlocklistKind::ip, ""},
    {"a name without address", R"({"1.2.0.192.bl.test": [{"TXT": "x"}]})", BlocklistKind::ip, ""},
    {"the list refuses", R"({"1.2.0.192.bl.test": [{"A": "127.255.255.254"}]})", BlocklistKind::ip, "",
     "blocklist bl.test: 192.0.2.1: answers 127.255.255.254, which means nothing"},
    {"a rewritten NXDOMAIN", R"({"1.2.0.192.bl.test": [{"A": "203.0.113.80"}]})", BlocklistKind::ip, "",
     "blocklist bl.test: 192.0.2.1: answers 203.0.113.80, which means nothing"},
    {"one of several answers means something",
     R"({"1.2.0.192.bl.test": [{"A": "127.0.0.10"}, {"A": "127.0.0.4"}]})", BlocklistKind::ip,
     "192.0.2.1 is listed by bl.test (127.0.0.4)"},
    {"in trouble", R"({"1.2.0.192.bl.test": ["SERVFAIL"]})", BlocklistKind::ip, "",
     "blocklist bl.test: 192.0.2.1: servfail"},
    {"the domain of HELO", R"({"helo.test.bl.test": [{"A": "127.0.0.2"}]})", BlocklistKind::domain,
     "helo.test is listed by bl.test (127.0.0.2: spam)"},
    {"the domain of MAIL FROM", R"({"sender.test.bl.test": [{"A": "127.0.0.2"}]})", BlocklistKind::domain,
     "sender.test is listed by bl.test (127.0.0.2: spam)"},
    {"an author's domain", R"({"from.test.bl.test": [{"A": "127.0.0.2"}]})", BlocklistKind::domain,
     "from.test is listed by bl.test (127.0.0.2: spam)"},
    {"listed beside trouble", R"({"helo.test.bl.test": ["TIMEOUT"], "b.test.bl.test": [{"A": "127.0.0.2"}]})",
     BlocklistKind::domain, "b.test is listed by bl.test (127.0.0.2: spam)",
     "blocklist bl.test: helo.test: timed_out"},
    {"an address list says nothing of domains", R"({"helo.test.bl.test": [{"A": "127.0.0.2"}]})",
     BlocklistKind::ip, ""},
};

Envelope envelope() {
  Envelope envelope;
  envelope.client_ip = *Ip::parse("192.0.2.1");
  envelope.helo = "HELO.test";
  envelope.protocol = "ESMTP";
  envelope.mail_from = "x@sender.test";
  return envelope;
}

Policy policy_with(BlocklistKind kind, double score = 4) {
  Policy policy;
  policy.blocklists.push_back({.zone = "bl.test",
                               .kind = kind,
                               .answers = {{"127.0.0.2", "spam"}, {"127.0.0.4", ""}},
                               .score = score});
  return policy;
}

Findings found(const Envelope& of, const Policy& policy, std::string_view zone_text,
               std::string_view message = kMessage) {
  const support::Zone zone(nlohmann::json::parse(zone_text));
  const Analysis analysis = Analysis::of(message);
  Facts facts;
  for (int round = 0; round < 3; ++round) {
    Findings findings;
    if (check_blocklists(Stage::data, of, &analysis, policy, facts, findings) == Progress::done)
      return findings;
    zone.answer_all(facts);
  }
  ADD_FAILURE() << "pending";
  return {};
}

TEST(Blocklists, Rows) {
  for (const ListRow& row : kRows) {
    SCOPED_TRACE(row.name);
    const Findings findings = found(envelope(), policy_with(row.kind), row.zone);
    ASSERT_EQ(findings.found.size(), row.evidence.empty() ? 0U : 1U);
    if (!row.evidence.empty())
      EXPECT_EQ(findings.found.front(), (Finding{"DNSBL_BL_TEST", 4, std::string(row.evidence)}));
    ASSERT_EQ(findings.unknown.size(), row.unknown.empty() ? 0U : 1U);
    if (!row.unknown.empty()) EXPECT_EQ(findings.unknown.front(), row.unknown);
    EXPECT_TRUE(findings.incomplete.empty());
  }
}

TEST(Blocklists, WithoutAMapOnlyTheCustomaryAnswerMeansListed) {
  Policy policy = policy_with(BlocklistKind::ip);
  policy.blocklists[0].answers.clear();
  EXPECT_EQ(found(envelope(), policy, R"({"1.2.0.192.bl.test": [{"A": "127.0.0.2"}]})").found.size(), 1U);
  EXPECT_EQ(found(envelope(), policy, R"({"1.2.0.192.bl.test": [{"A": "127.0.0.3"}]})").unknown.size(), 1U);
}

TEST(Blocklists, IPv6IsAskedByNibbles) {
  Envelope of = envelope();
  of.client_ip = *Ip::parse("2001:db8::1");
  EXPECT_EQ(
      found(
          of, policy_with(BlocklistKind::ip),
          R"({"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test": [{"A": "127.0.0.2"}]})")
          .found.size(),
      1U);
}

TEST(Blocklists, AllListsAreAskedAtOnceAndOnlyAfterTheData) {
  Policy policy = policy_with(BlocklistKind::ip);
  policy.blocklists.push_back({.zone = "dom.test", .kind = BlocklistKind::domain, .answers = {}, .score = 1});
  const Analysis analysis = Analysis::of(kMessage);
  Facts facts;
  Findings findings;
  for (const Stage stage : {Stage::connect, Stage::mail, Stage::rcpt})
    EXPECT_EQ(check_blocklists(stage, envelope(), nullptr, policy, facts, findings), Progress::done);
  EXPECT_TRUE(facts.questions().empty());
  EXPECT_EQ(check_blocklists(Stage::data, envelope(), &analysis, policy, facts, findings), Progress::pending);
  EXPECT_EQ(facts.questions().size(), 6U);  // the client, four domains, and the client's reverse name
}

TEST(Blocklists, WhatIsNoDomainIsNotAskedAndThereIsABound) {
  Envelope of = envelope();
  of.client_ip = Ip();
  of.helo = "[192.0.2.1]";
  of.mail_from.clear();
  const Analysis odd = Analysis::of("From: x@[192.0.2.1], y@localhost, z@a..b, 1@192.0.2.1\r\n\r\n");
  Facts facts;
  Findings findings;
  EXPECT_EQ(check_blocklists(Stage::data, of, &odd, policy_with(BlocklistKind::domain), facts, findings),
            Progress::done);
  std::string message = "From: ";
  for (int i = 0; i < 50; ++i) message += "a@d" + std::to_string(i) + ".test, ";
  message += "a@end.test\r\n\r\n";
  const Analysis many = Analysis::of(message);
  EXPECT_EQ(check_blocklists(Stage::data, of, &many, policy_with(BlocklistKind::domain), facts, findings),
            Progress::pending);
  EXPECT_EQ(facts.questions().size(), kBlocklistDomainsMax);
}

struct RcptRow {
  std::string_view name, zone;
  double threshold = 10;
  std::string_view recipient = "you@test.example";
  std::string_view text = {};  ///< of the refusal; "": none
};

constexpr std::string_view kBothList =
    R"({"1.2.0.192.a.test": [{"A": "127.0.0.2"}], "1.2.0.192.b.test": [{"A": "127.0.0.2"}]})";

const RcptRow kRcptRows[] = {
    {"two lists together", kBothList, 10, "you@test.example",
     "refused: 192.0.2.1 is listed by a.test (127.0.0.2: listed); 192.0.2.1 is listed by b.test (127.0.0.2: "
     "listed)"},
    {"one list is not enough", R"({"1.2.0.192.a.test": [{"A": "127.0.0.2"}]})", 10},
    {"one list is enough", R"({"1.2.0.192.a.test": [{"A": "127.0.0.2"}]})", 5, "you@test.example",
     "refused: 192.0.2.1 is listed by a.test (127.0.0.2: listed)"},
    {"the lists cannot reach the threshold", kBothList, 13},
    {"the postmaster of a domain", kBothList, 10, "Postmaster@test.example"},
    {"the postmaster", kBothList, 10, "postmaster"},
    {"somebody like him", kBothList, 10, "postmaster.x@test.example",
     "refused: 192.0.2.1 is listed by a.test (127.0.0.2: listed); 192.0.2.1 is listed by b.test (127.0.0.2: "
     "listed)"},
    {"an allow list outweighs them",
     R"({"1.2.0.192.a.test": [{"A": "127.0.0.2"}], "1.2.0.192.b.test": [{"A": "127.0.0.2"}],
         "1.2.0.192.w.test": [{"A": "127.0.9.3"}]})"},
    {"an allow list in trouble might have",
     R"({"1.2.0.192.a.test": [{"A": "127.0.0.2"}], "1.2.0.192.b.test": [{"A": "127.0.0.2"}],
         "1.2.0.192.w.test": ["SERVFAIL"]})"},
    {"a block list in trouble lists nobody",
     R"({"1.2.0.192.a.test": [{"A": "127.0.0.2"}], "1.2.0.192.b.test": ["TIMEOUT"]})"},
    {"a domain", R"({"helo.test.d.test": [{"A": "127.0.0.2"}], "1.2.0.192.a.test": [{"A": "127.0.0.2"}]})", 7,
     "you@test.example",
     "refused: 192.0.2.1 is listed by a.test (127.0.0.2: listed); helo.test is listed by d.test (127.0.0.2: "
     "listed)"},
};

Policy policy_of_many(double threshold) {
  Policy policy;
  const std::map<std::string, std::string> high = {{"127.0.*.3", "high"}};
  policy.blocklists = {{.zone = "a.test", .kind = BlocklistKind::ip, .answers = {}, .score = 5},
                       {.zone = "b.test", .kind = BlocklistKind::ip, .answers = {}, .score = 5},
                       {.zone = "d.test", .kind = BlocklistKind::domain, .answers = {}, .score = 2},
                       {.zone = "w.test", .kind = BlocklistKind::ip, .answers = high, .score = -3}};
  policy.blocklist_reject_score = threshold;
  return policy;
}

Findings found_at_rcpt(const Envelope& of, const Policy& policy, std::string_view zone_text) {
  const support::Zone zone(nlohmann::json::parse(zone_text));
  Facts facts;
  for (int round = 0; round < 4; ++round) {
    Findings findings;
    if (check_blocklists(Stage::rcpt, of, nullptr, policy, facts, findings) == Progress::done)
      return findings;
    zone.answer_all(facts);
  }
  ADD_FAILURE() << "pending";
  return {};
}

TEST(Blocklists, RefuseAtRcptTogether) {
  for (const RcptRow& row : kRcptRows) {
    SCOPED_TRACE(row.name);
    Envelope of = envelope();
    of.recipients = {"first@test.example", std::string(row.recipient)};
    const Findings findings = found_at_rcpt(of, policy_of_many(row.threshold), row.zone);
    ASSERT_EQ(findings.demand.has_value(), !row.text.empty());
    EXPECT_TRUE(findings.unknown.empty());
    if (row.text.empty()) {
      EXPECT_TRUE(findings.found.empty());
      continue;
    }
    EXPECT_EQ(findings.demand->action, Action::reject);
    EXPECT_EQ(findings.demand->refusal.text, row.text);
    EXPECT_EQ(findings.demand->refusal.code, 554);
    EXPECT_EQ(findings.demand->refusal.enhanced, "5.7.1");
    EXPECT_TRUE(findings.demand->refusal.verbatim);
  }
}

TEST(Blocklists, WhomALocalListAllowsTheyDoNotRefuse) {
  Envelope of = envelope();
  of.recipients = {"you@test.example"};
  const support::Zone zone(nlohmann::json::parse(kBothList));
  Facts facts;
  Findings findings;
  findings.found.push_back({.name = "LOCAL_ALLOW_CLIENT", .score = -100, .evidence = {}});
  while (check_blocklists(Stage::rcpt, of, nullptr, policy_of_many(10), facts, findings) == Progress::pending)
    zone.answer_all(facts);
  EXPECT_FALSE(findings.demand.has_value());
}

TEST(Blocklists, ForThePostmasterAloneTheyWeighNothing) {
  Envelope of = envelope();
  of.recipients = {"postmaster@test.example"};
  const Findings findings =
      found(of, policy_with(BlocklistKind::ip, 20), R"({"1.2.0.192.bl.test": [{"A": "127.0.0.2"}]})");
  ASSERT_EQ(findings.found.size(), 1U);
  EXPECT_EQ(findings.found[0].score, 0);
  EXPECT_FALSE(findings.demand.has_value());
  of.recipients.emplace_back("you@test.example");
  EXPECT_EQ(found(of, policy_with(BlocklistKind::ip, 20), R"({"1.2.0.192.bl.test": [{"A": "127.0.0.2"}]})")
                .found.at(0)
                .score,
            20);
}

TEST(Blocklists, AnAllowListOfDomainsNeedsAnAuthenticatedOne) {
  struct Row {
    std::string_view name, method, result, property, value;
    bool forced;
    double score;
  };
  const Row rows[] = {
      {"nobody is authenticated", "spf", "fail", "smtp.mailfrom", "x@sender.test", false, 0},
      {"SPF", "spf", "pass", "smtp.mailfrom", "x@sender.test", false, -4},
      {"a parent's signature", "dkim", "pass", "header.d", "test", false, -4},
      {"somebody else's signature", "dkim", "pass", "header.d", "other.test", false, 0},
      {"forced", "spf", "none", "smtp.mailfrom", "x@sender.test", true, -4},
  };
  const support::Zone zone(nlohmann::json::parse(R"({"sender.test.bl.test": [{"A": "127.0.0.2"}]})"));
  const Analysis analysis = Analysis::of(kMessage);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Policy policy = policy_with(BlocklistKind::domain, -4);
    policy.blocklists[0].forced = row.forced;
    Facts facts;
    Findings findings;
    results::MethodResult result{.method = std::string(row.method), .result = std::string(row.result)};
    result.properties.emplace_back(row.property, row.value);
    findings.authentication.push_back(result);
    while (check_blocklists(Stage::data, envelope(), &analysis, policy, facts, findings) == Progress::pending)
      zone.answer_all(facts);
    ASSERT_EQ(findings.found.size(), 1U);
    EXPECT_EQ(findings.found[0].name, "DNSWL_BL_TEST");
    EXPECT_EQ(findings.found[0].score, row.score);
  }
}

TEST(Blocklists, AZoneMayStandThereOnceForEachOfItsAnswers) {
  Policy policy = policy_with(BlocklistKind::ip);
  policy.blocklists.push_back(policy.blocklists[0]);
  policy.blocklists[1].answers = {{"127.0.0.10", "worse"}};
  const Findings findings = found(envelope(), policy, R"({"1.2.0.192.bl.test": [{"A": "127.0.0.10"}]})");
  ASSERT_EQ(findings.found.size(), 1U);
  EXPECT_TRUE(findings.found[0].evidence.ends_with("(127.0.0.10: worse)"));
  EXPECT_TRUE(findings.unknown.empty());
}

TEST(Blocklists, AListInDoubtIsUnknownAndNotAsked) {
  Policy policy = policy_with(BlocklistKind::ip);
  policy.blocklists_probed = true;
  const Analysis analysis = Analysis::of(kMessage);
  Facts facts;
  facts.answer({.kind = QuestionKind::list_health, .name = "bl.test"},
               {.status = AnswerStatus::data, .records = {"it lists everything"}});
  Findings findings;
  EXPECT_EQ(check_blocklists(Stage::data, envelope(), &analysis, policy, facts, findings), Progress::done);
  EXPECT_EQ(findings.unknown.at(0), "blocklist bl.test: not asked: it lists everything");
  EXPECT_TRUE(facts.questions().empty());
}

TEST(Blocklists, AnswersMayHaveOctetsThatDoNotMatter) {
  EXPECT_TRUE(matches_answer("127.0.*.3", "127.0.15.3"));
  EXPECT_TRUE(matches_answer("127.0.0.2", "127.0.0.2"));
  EXPECT_TRUE(matches_answer("*.*.*.*", "1.2.3.4"));
  for (const char* other : {"127.0.0.2", "127.1.0.3", "127.0.3", "127.0.0.33", "127.0.0.3.1", ""})
    EXPECT_FALSE(matches_answer("127.0.*.3", other)) << other;
}

TEST(Blocklists, InLmtpTheClientIsOurs) {
  Envelope of = envelope();
  of.protocol = "LMTPS";
  EXPECT_TRUE(found(of, policy_with(BlocklistKind::ip), R"({"1.2.0.192.bl.test": [{"A": "127.0.0.2"}]})")
                  .found.empty());
}

TEST(Blocklists, AnUnreachableAllowListCouldHaveLoweredTheSum) {
  EXPECT_EQ(
      found(envelope(), policy_with(BlocklistKind::ip, -5), R"({"1.2.0.192.bl.test": ["TIMEOUT"]})").relief,
      5);
  EXPECT_EQ(
      found(envelope(), policy_with(BlocklistKind::ip, 5), R"({"1.2.0.192.bl.test": ["TIMEOUT"]})").relief,
      0);
}

}  // namespace
}  // namespace postern::filters
