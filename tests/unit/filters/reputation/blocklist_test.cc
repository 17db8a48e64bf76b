#include "filters/reputation/blocklist.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(facts.questions().size(), 5U);
}

TEST(Blocklists, WhatIsNoDomainIsNotAskedAndThereIsABound) {
  Envelope of = envelope();
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
