#include "filters/greylist/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/zone.h"

namespace postern::filters::greylist {
namespace {

constexpr std::string_view kGood = R"("1.2.0.192.in-addr.arpa": [{"PTR": "mail.good.test"}],
  "mail.good.test": [{"A": "192.0.2.1"}], "good.test": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
  "soft.test": [{"TXT": "v=spf1 ~all"}], "hard.test": [{"TXT": "v=spf1 -all"}])";

struct Row {
  std::string_view name, more, sender;
  std::string_view asked;  ///< the name of the question; "": nobody is asked to wait
  std::string_view recipient = "you@test.example";
};

const Row kRows[] = {
    {"nothing speaks against it", "", "a@good.test", ""},
    {"listed, but authorised by its domain", R"("1.2.0.192.bl.test": [{"A": "127.0.0.2"}])", "a@good.test",
     "good.test a@good.test you@test.example"},
    {"SPF fails softly", "", "a@soft.test", "192.0.2.0/24 a@soft.test you@test.example"},
    {"SPF fails", "", "a@hard.test", "192.0.2.0/24 a@hard.test you@test.example"},
    {"no SPF record is no trigger by default", "", "a@none.test", ""},
    {"the list cannot be asked", R"("1.2.0.192.bl.test": ["SERVFAIL"])", "a@good.test", ""},
    {"the postmaster", "", "a@soft.test", "", "postmaster@test.example"},
    {"blanks and percent signs", "", "a b%c@soft.test", "192.0.2.0/24 a%20b%25c@soft.test you@test.example"},
};

Policy policy() {
  Policy policy;
  policy.greylist.enabled = true;
  policy.blocklists = {{.zone = "bl.test", .kind = BlocklistKind::ip, .answers = {}, .score = 2}};
  return policy;
}

Envelope envelope(std::string_view sender, std::string_view recipient) {
  Envelope of;
  of.client_ip = *Ip::parse("192.0.2.1");
  of.helo = "mail.good.test";
  of.protocol = "ESMTP";
  of.mail_from = sender;
  of.recipients = {std::string(recipient)};
  return of;
}

/// What is found, with the question that was asked; the answer to that is "seconds".
Findings judged(const Envelope& of, const Policy& policy, std::string_view more, std::string& asked,
                Findings before = {}) {
  const std::string text = "{" + std::string(kGood) + (more.empty() ? "" : ",") + std::string(more) + "}";
  const support::Zone zone(nlohmann::json::parse(text));
  Facts facts;
  for (int round = 0; round < 6; ++round) {
    Findings findings = before;
    if (check_greylist(Stage::rcpt, of, policy, facts, findings) == Progress::done) return findings;
    const std::vector<Question> open = facts.questions();
    for (const Question& question : open) {
      if (question.kind != QuestionKind::greylist) {
        facts.answer(question, zone.answer(question));
        continue;
      }
      asked = question.name;
      facts.answer(question, {.status = AnswerStatus::data, .records = {"300"}});
    }
  }
  ADD_FAILURE() << "pending";
  return {};
}

TEST(Greylisting, Rows) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    std::string asked;
    const Findings findings = judged(envelope(row.sender, row.recipient), policy(), row.more, asked);
    EXPECT_EQ(asked, row.asked);
    ASSERT_EQ(findings.demand.has_value(), !row.asked.empty());
    if (row.asked.empty()) continue;
    EXPECT_EQ(findings.demand->action, Action::defer);
    EXPECT_EQ(findings.demand->refusal.code, 450);
    EXPECT_EQ(findings.demand->refusal.enhanced, "4.7.1");
    EXPECT_TRUE(findings.demand->refusal.text.starts_with("greylisted, try again in 300 seconds: "));
    const auto triplet = parse_name(asked);
    ASSERT_TRUE(triplet.has_value());
    EXPECT_EQ(triplet->sender, row.sender);
    EXPECT_EQ(triplet->recipient, row.recipient);
  }
}

TEST(Greylisting, IsOffByDefaultAndEachTriggerCanBe) {
  std::string asked;
  Policy off = policy();
  off.greylist.enabled = false;
  EXPECT_FALSE(judged(envelope("a@soft.test", "you@test.example"), off, "", asked).demand.has_value());
  EXPECT_FALSE(Policy().greylist.enabled);
  Policy none = policy();
  none.greylist.on_spf_softfail = false;
  EXPECT_FALSE(judged(envelope("a@soft.test", "you@test.example"), none, "", asked).demand.has_value());
  none.greylist.on_spf_none = true;
  EXPECT_TRUE(judged(envelope("a@none.test", "you@test.example"), none, "", asked).demand.has_value());
}

TEST(Greylisting, NoReverseName) {
  Envelope of = envelope("a@none.test", "you@test.example");
  of.client_ip = *Ip::parse("2001:db8:1:2:3::4");
  std::string asked;
  const Findings findings = judged(of, policy(), "", asked);
  EXPECT_TRUE(findings.demand.has_value());
  EXPECT_EQ(asked, "2001:db8:1:2::/64 a@none.test you@test.example");
}

TEST(Greylisting, NeitherWhoIsAllowedNorWhoIsRefusedHasToWait) {
  std::string asked;
  Findings allowed;
  allowed.found.push_back({.name = "LOCAL_ALLOW_SENDER", .score = -100, .evidence = {}});
  EXPECT_FALSE(judged(envelope("a@soft.test", "you@test.example"), policy(), "", asked, allowed).demand);
  Findings refused;
  refused.demand = {.action = Action::reject, .refusal = {}, .reason = {}};
  EXPECT_EQ(judged(envelope("a@soft.test", "you@test.example"), policy(), "", asked, refused).demand->action,
            Action::reject);
  EXPECT_EQ(asked, "");
  Envelope ours = envelope("a@soft.test", "you@test.example");
  ours.protocol = "LMTP";
  EXPECT_FALSE(judged(ours, policy(), "", asked).demand);
}

TEST(Greylisting, WhatIsNoNameIsRefused) {
  for (const char* odd : {"", "a", "a b", "a b c d", "a b%zz c", "a b% c"})
    EXPECT_FALSE(parse_name(odd).has_value()) << odd;
  EXPECT_TRUE(parse_name("a  c").has_value()) << "the null reverse-path";
}

}  // namespace
}  // namespace postern::filters::greylist
