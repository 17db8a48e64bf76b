#include "filters/policy/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

#include "filters/policy/profile.h"

namespace postern::filters {
namespace {

struct DecisionCase {
  std::string_view name;
  Stage stage;
  std::vector<Finding> findings;
  std::vector<std::string> incomplete;
  Action action;
  double score;
  int code;
  std::string_view enhanced, reason;
};

const std::string kLists = "local_lists: sender a@b: timed_out";

const DecisionCase kCases[] = {
    {"nothing", Stage::data, {}, {}, Action::accept, 0, 0, "", "score 0 is below tag_score 5"},
    {"below tag",
     Stage::data,
     {{"A", 4.9, ""}},
     {},
     Action::accept,
     4.9,
     0,
     "",
     "score 4.9 is below tag_score 5"},
    {"tag",
     Stage::data,
     {{"A", 2, ""}, {"B", 3, ""}},
     {},
     Action::tag,
     5,
     0,
     "",
     "score 5 reaches tag_score 5, most by B (3)"},
    {"below quarantine",
     Stage::data,
     {{"A", 9.999, ""}},
     {},
     Action::tag,
     9.999,
     0,
     "",
     "score 9.999 reaches tag_score 5, most by A (9.999)"},
    {"quarantine",
     Stage::data,
     {{"A", 10, ""}},
     {},
     Action::quarantine,
     10,
     0,
     "",
     "score 10 reaches quarantine_score 10, most by A (10)"},
    {"below reject",
     Stage::data,
     {{"A", 14.999999, ""}},
     {},
     Action::quarantine,
     14.999999,
     0,
     "",
     "score 14.999999 reaches quarantine_score 10, most by A (14.999999)"},
    {"reject",
     Stage::data,
     {{"A", 15, ""}},
     {},
     Action::reject,
     15,
     554,
     "5.7.1",
     "score 15 reaches reject_score 15, most by A (15)"},
    {"binary noise does not decide",
     Stage::data,
     std::vector<Finding>(50, {"A", 0.1, ""}),
     {},
     Action::tag,
     5,
     0,
     "",
     "score 5 reaches tag_score 5, most by A (0.1)"},
    {"allowed",
     Stage::data,
     {{"LOCAL_ALLOW_SENDER", -100, ""}, {"A", 20, ""}},
     {},
     Action::accept,
     -80,
     0,
     "",
     "score -80 is below tag_score 5"},
    {"the first of equals",
     Stage::data,
     {{"A", 10, ""}, {"B", 10, ""}},
     {},
     Action::reject,
     20,
     554,
     "5.7.1",
     "score 20 reaches reject_score 15, most by A (10)"},
    {"loop",
     Stage::data,
     {{"MAIL_LOOP", 0, "101"}},
     {},
     Action::reject,
     0,
     554,
     "5.4.6",
     "MAIL_LOOP alone: 101"},
    {"an allow entry is no way round a loop",
     Stage::data,
     {{"MAIL_LOOP", 0, "101"}, {"LOCAL_ALLOW_CLIENT", -100, ""}},
     {},
     Action::reject,
     -100,
     554,
     "5.4.6",
     "MAIL_LOOP alone: 101"},
    {"nor for a virus",
     Stage::data,
     {{"LOCAL_ALLOW_CLIENT", -1000, ""}, {"EICAR", 1000, "e"}},
     {},
     Action::reject,
     0,
     554,
     "5.7.1",
     "EICAR alone: e"},
    {"a loop is one though something is incomplete",
     Stage::data,
     {{"MAIL_LOOP", 0, "101"}},
     {kLists},
     Action::reject,
     0,
     554,
     "5.4.6",
     "MAIL_LOOP alone: 101"},
    {"nothing at connect", Stage::connect, {}, {}, Action::accept, 0, 0, "", "nothing found before the data"},
    {"quarantine is for the data",
     Stage::rcpt,
     {{"A", 10, ""}},
     {},
     Action::accept,
     10,
     0,
     "",
     "score 10 is below reject_score 15"},
    {"blocked at connect",
     Stage::connect,
     {{"LOCAL_BLOCK_CLIENT", 100, ""}},
     {},
     Action::reject,
     100,
     554,
     "5.7.1",
     "score 100 reaches reject_score 15, most by LOCAL_BLOCK_CLIENT (100)"},
    {"incomplete lets in",
     Stage::data,
     {},
     {kLists},
     Action::accept,
     0,
     0,
     "",
     "score 0 is below tag_score 5"},
    {"incomplete does not refuse",
     Stage::data,
     {{"A", 15, ""}},
     {kLists},
     Action::defer,
     15,
     451,
     "4.7.1",
     "incomplete (local_lists: sender a@b: timed_out); score 15 reaches reject_score 15, most by A (15)"},
};

TEST(Decide, DrawsTheConclusion) {
  for (const DecisionCase& c : kCases) {
    SCOPED_TRACE(c.name);
    const Verdict verdict = decide(c.stage, {.found = c.findings, .incomplete = c.incomplete}, {});
    EXPECT_EQ(verdict.action, c.action);
    EXPECT_EQ(verdict.score, c.score);
    EXPECT_EQ(verdict.required, 5);
    EXPECT_EQ(verdict.refusal.code, c.code);
    EXPECT_EQ(verdict.refusal.enhanced, c.enhanced);
    EXPECT_EQ(verdict.refusal.text.empty(), c.code == 0);
    EXPECT_EQ(verdict.reason, c.reason);
    EXPECT_EQ(verdict.findings, c.findings);
    EXPECT_EQ(verdict.incomplete, c.incomplete);
  }
}

TEST(Decide, SaysWhoIsBlocked) {
  const auto text = [](std::string_view name) {
    return decide(Stage::rcpt, {.found = {{std::string(name), 100, ""}}}, {}).refusal.text;
  };
  EXPECT_EQ(text("LOCAL_BLOCK_CLIENT"), "client address refused by local policy");
  EXPECT_EQ(text("LOCAL_BLOCK_SENDER"), "sender refused by local policy");
  EXPECT_EQ(text("LOCAL_BLOCK_RECIPIENT"), "recipient refused by local policy");
}

TEST(Decide, DefersWhatIsIncompleteWherePolicySaysSo) {
  const Policy policy{.defer_incomplete = true};
  for (const double score : {0.0, 5.0, 10.0, 15.0}) {
    const Verdict verdict =
        decide(Stage::data, {.found = {{"A", score, ""}}, .incomplete = {kLists}}, policy);
    EXPECT_EQ(verdict.action, Action::defer) << score;
    EXPECT_EQ(verdict.refusal.code, 451) << score;
  }
  EXPECT_EQ(decide(Stage::mail, {.incomplete = {kLists}}, policy).action, Action::defer);
  EXPECT_EQ(decide(Stage::data, {}, policy).action, Action::accept);
}

TEST(Decide, WhatIsIncompleteIsWeighedByCheck) {
  struct Row {
    std::string_view name;
    std::vector<std::string> unknown;
    bool defer_incomplete;
    double score;
    Action expected;
  };
  const Row rows[] = {
      {"ignored", {"spf: servfail"}, false, 0, Action::accept},
      {"ignored by name, whatever the rest says", {"spf: servfail"}, true, 0, Action::accept},
      {"tagged", {"dkim: a.test: timed_out"}, false, 0, Action::tag},
      {"put off", {"blocklist bl.test: 192.0.2.1: servfail"}, false, 0, Action::defer},
      {"not named, so as the rest", {"arc: no key"}, true, 0, Action::defer},
      {"not named, so ignored", {"arc: no key"}, false, 0, Action::accept},
      {"the worst of several", {"spf: x", "dkim: x", "blocklist bl.test: x"}, false, 0, Action::defer},
      {"a tag does not outweigh quarantine", {"dkim: x"}, false, 10, Action::quarantine},
      {"putting off does", {"blocklist bl.test: x"}, false, 10, Action::defer},
      {"what is refused all the same stays refused", {"dkim: x"}, false, 15, Action::reject},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Policy policy{.defer_incomplete = row.defer_incomplete};
    policy.incomplete = {{"spf", Action::accept}, {"dkim", Action::tag}, {"blocklist", Action::defer}};
    const Verdict verdict =
        decide(Stage::data, {.found = {{"A", row.score, ""}}, .unknown = row.unknown}, policy);
    EXPECT_EQ(to_string(verdict.action), to_string(row.expected));
    EXPECT_EQ(verdict.refusal.code, row.expected == Action::defer    ? 451
                                    : row.expected == Action::reject ? 554
                                                                     : 0);
  }
  Policy policy;
  policy.incomplete = {{"local_lists", Action::tag}};
  EXPECT_EQ(decide(Stage::mail, {.incomplete = {kLists}}, policy).action, Action::accept)
      << "before the data there is nothing to tag";
}

TEST(Decide, ANegativeThresholdWaitsForWhoIsAllowed) {
  const Policy policy{.reject_score = -50, .quarantine_score = -50, .tag_score = -50};
  EXPECT_EQ(decide(Stage::connect, {}, policy).action, Action::accept);
  EXPECT_EQ(decide(Stage::data, {}, policy).action, Action::reject);
  EXPECT_EQ(decide(Stage::data, {.found = {{"LOCAL_ALLOW_SENDER", -100, ""}}}, policy).action,
            Action::accept);
}

TEST(Decide, SwitchedOffOnlyProtectsTheSystem) {
  const Policy off{.enabled = false, .reject_score = -1};
  EXPECT_EQ(decide(Stage::data, {}, off).action, Action::accept);
  EXPECT_EQ(decide(Stage::data, {}, off).reason, "filtering is off");
  EXPECT_EQ(decide(Stage::data, {.found = {{"MAIL_LOOP", 0, "101"}}}, off).action, Action::reject);
}

/// Findings with a demand.
Findings demanding(Action action, double score) {
  Findings findings;
  findings.found = {{"A", score, ""}};
  findings.demand = Demand{
      .action = action, .refusal = {.code = 550, .enhanced = "5.7.26", .text = "no"}, .reason = "DMARC"};
  return findings;
}

TEST(Decide, TheMoreSevereOfSumAndDemandHolds) {
  const struct {
    Action demand;
    double score;
    Action action;
    std::string_view enhanced;
  } rows[] = {{Action::reject, 0, Action::reject, "5.7.26"},
              {Action::reject, 20, Action::reject, "5.7.26"},
              {Action::quarantine, 0, Action::quarantine, ""},
              {Action::quarantine, 20, Action::reject, "5.7.1"}};
  for (const auto& row : rows) {
    const Verdict verdict = decide(Stage::data, demanding(row.demand, row.score), {});
    EXPECT_EQ(verdict.action, row.action);
    if (row.action == Action::reject) EXPECT_EQ(verdict.refusal.enhanced, row.enhanced);
  }
}

TEST(Decide, WhatIsUnknownSoftensOnlyWhatItCouldHaveAverted) {
  const struct {
    double score, relief;
    bool unknown;
    Action action;
  } rows[] = {{20, 0, true, Action::reject},
              {20, 5, true, Action::reject},
              {20, 5.1, true, Action::defer},
              {20, 5.1, false, Action::reject},
              {4, 100, true, Action::accept}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.relief);
    Findings findings;
    findings.found = {{"A", row.score, ""}};
    findings.relief = row.relief;
    if (row.unknown) findings.unknown = {"spf: timed_out"};
    const Verdict verdict = decide(Stage::data, std::move(findings), {});
    EXPECT_EQ(verdict.action, row.action);
    EXPECT_EQ(verdict.incomplete.size(), row.unknown ? 1U : 0U);
  }
}

TEST(Decide, ADemandIsSoftenedByWhatCouldSpeakForTheMessageOnly) {
  Findings certain = demanding(Action::reject, 0);
  certain.unknown = {"iprev: timed_out"};
  certain.relief = 100;
  EXPECT_EQ(decide(Stage::data, std::move(certain), {}).action, Action::reject);
  Findings doubtful = demanding(Action::reject, 0);
  doubtful.incomplete = {"arc: timed_out"};
  const Verdict verdict = decide(Stage::data, std::move(doubtful), {});
  EXPECT_EQ(verdict.action, Action::defer);
  EXPECT_EQ(verdict.refusal.code, 451);
}

TEST(Decide, ABlocklistIsNamedInTheReply) {
  Findings findings;
  findings.found = {{"DNSBL_BL_TEST", 20, "192.0.2.1 is listed by bl.test (127.0.0.2)"}};
  EXPECT_EQ(decide(Stage::data, std::move(findings), {}).refusal.text,
            "message refused: 192.0.2.1 is listed by bl.test (127.0.0.2)");
}

/// tagged, kept, refused and thrown away from 5 on; the policy's own: 5, 10, 15.
Policy with_profiles() {
  Policy policy;
  policy.profiles = {{.name = "tags", .reject_score = 50, .quarantine_score = 40},
                     {.name = "keeps", .quarantine_score = 5},
                     {.name = "refuses", .reject_score = 5, .quarantine_score = 5},
                     {.name = "discards", .discard_score = 5}};
  policy.profile_of = {{"tag@a.example", 0}, {"@keep.example", 1}, {"@.a.example", 2}, {"@b.a.example", 3}};
  return policy;
}

struct ProfileCase {
  std::string_view recipient, profile;
};

TEST(Decide, TheMostSpecificEntryNamesTheProfile) {
  const Policy policy = with_profiles();
  const ProfileCase rows[] = {{"tag@a.example", "tags"},
                              {"TAG@A.Example", "tags"},
                              {"other@a.example", ""},
                              {"x@keep.example", "keeps"},
                              {"x@sub.keep.example", ""},
                              {"x@sub.a.example", "refuses"},
                              {"x@deep.sub.a.example", "refuses"},
                              {"x@b.a.example", "discards"},
                              {"x@c.b.a.example", "refuses"},
                              {"x@[192.0.2.1]", ""},
                              {"nobody", ""}};
  for (const ProfileCase& row : rows) {
    const Profile* profile = profile_of(row.recipient, policy);
    EXPECT_EQ(profile == nullptr ? "" : profile->name, row.profile) << row.recipient;
  }
  EXPECT_EQ(profile_key("A@M\u00fcller.example"), "a@xn--mller-kva.example");
  EXPECT_EQ(profile_key("@.Below.example"), "@.below.example");
}

struct TogetherCase {
  std::string_view name;
  std::vector<std::string> recipients;
  double score;
  std::vector<std::string> incomplete;
  Action action;
  std::vector<Action> each;
};

TEST(Decide, RecipientsWithPoliciesOfTheirOwn) {
  using enum Action;
  const std::string tags = "tag@a.example", keeps = "x@keep.example", refuses = "x@sub.a.example",
                    discards = "x@b.a.example", plain = "x@plain.example";
  const TogetherCase rows[] = {
      {"below all",
       {tags, keeps, refuses, discards, plain},
       4,
       {},
       accept,
       {accept, accept, accept, accept, accept}},
      {"each his own",
       {tags, keeps, refuses, discards, plain},
       6,
       {},
       discard,
       {tag, quarantine, reject, discard, tag}},
      {"a refusal that cannot be said is a quarantine", {tags, refuses}, 6, {}, quarantine, {tag, reject}},
      {"all refuse", {refuses, refuses}, 6, {}, reject, {reject, reject}},
      {"who is refused need not be thrown away", {refuses, discards}, 6, {}, reject, {reject, discard}},
      {"all throw away", {discards}, 6, {}, discard, {discard}},
      {"thrown away before refused", {discards}, 20, {}, discard, {discard}},
      {"the strictest common reject", {refuses, plain, keeps}, 15, {}, reject, {reject, reject, reject}},
      {"one lets it in", {refuses, plain, tags}, 15, {}, quarantine, {reject, reject, tag}},
      {"what might have been averted is put off",
       {refuses, discards},
       6,
       {"arc: timed_out"},
       defer,
       {defer, defer}},
      {"not where somebody gets it", {refuses, plain}, 6, {"arc: timed_out"}, quarantine, {defer, tag}},
  };
  const Policy policy = with_profiles();
  for (const TogetherCase& row : rows) {
    SCOPED_TRACE(row.name);
    Findings findings;
    findings.found = {{"A", row.score, ""}};
    findings.incomplete = row.incomplete;
    const Verdict verdict = decide(Stage::data, std::move(findings), policy, row.recipients);
    EXPECT_EQ(verdict.action, row.action) << to_string(verdict.action);
    EXPECT_EQ(verdict.refusal.code != 0, row.action == reject || row.action == defer);
    ASSERT_EQ(verdict.dispositions.size(), row.recipients.size());
    for (std::size_t i = 0; i < row.each.size(); ++i) {
      EXPECT_EQ(verdict.dispositions[i].recipient, row.recipients[i]);
      EXPECT_EQ(to_string(verdict.dispositions[i].action), to_string(row.each[i])) << row.recipients[i];
    }
  }
}

TEST(Decide, BeforeTheDataNobodyIsRefusedForARecipientHeDoesNotName) {
  const Policy policy = with_profiles();
  const std::vector<std::string> tags = {"x@plain.example", "tag@a.example"},
                                 refuses = {"tag@a.example", "x@sub.a.example"};
  const auto at = [&](Stage stage, double score, const std::vector<std::string>& recipients) {
    Findings findings;
    findings.found = {{"A", score, ""}};
    return decide(stage, std::move(findings), policy, recipients).action;
  };
  EXPECT_EQ(at(Stage::connect, 49, {}), Action::accept);
  EXPECT_EQ(at(Stage::mail, 50, {}), Action::reject);
  EXPECT_EQ(at(Stage::rcpt, 49, tags), Action::accept) << "the last one counts";
  EXPECT_EQ(at(Stage::rcpt, 6, refuses), Action::reject);
}

TEST(Decide, DiscardIsNothingThatHappensByItself) {
  for (const double score : {15.0, 100.0, 1000.0}) {
    Findings findings;
    findings.found = {{"A", score, ""}};
    EXPECT_EQ(decide(Stage::data, std::move(findings), {}).action, Action::reject);
  }
  Policy policy;
  policy.discard_score = 12;
  Findings demanded = demanding(Action::reject, 13);
  EXPECT_EQ(decide(Stage::data, std::move(demanded), policy).action, Action::reject)
      << "the sender's domain wants it known";
  Findings loop;
  loop.found = {{"MAIL_LOOP", 0, "101"}, {"A", 100, ""}};
  EXPECT_EQ(decide(Stage::data, std::move(loop), policy).action, Action::reject);
  Findings early;
  early.found = {{"A", 13, ""}};
  EXPECT_EQ(decide(Stage::rcpt, std::move(early), policy).action, Action::accept);
}

TEST(Verdict, DispositionsStandBehindTheRestOfTheJson) {
  Verdict verdict;
  verdict.action = Action::quarantine;
  const std::string before = to_json(verdict);
  verdict.dispositions = {{.recipient = "a@b.example",
                           .profile = "p",
                           .action = Action::discard,
                           .required = 5,
                           .reason = "r",
                           .refusal = {}}};
  EXPECT_EQ(
      to_json(verdict),
      before.substr(0, before.size() - 1) +
          R"(,"dispositions":[{"recipient":"a@b.example","profile":"p","action":"discard","required":5,"reason":"r"}]})");
}

}  // namespace
}  // namespace postern::filters
