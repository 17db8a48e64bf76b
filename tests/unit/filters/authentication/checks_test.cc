#include "filters/authentication/checks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "filters/judge.h"
#include "filters/reputation/local_lists.h"
#include "tests/support/zone.h"
#include "tests/unit/filters/authentication/sealing.h"

namespace postern::filters {
namespace {

using nlohmann::json;

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'790'000'000)};
constexpr std::string_view kMessage =
    "From: Ann <ann@a.test>\r\nSubject: hello\r\nDate: Fri, 31 May 2024 10:00:00 +0000\r\n"
    "Message-ID: <1@a.test>\r\n\r\nhello\r\n";

/// What a.test and the others publish; `policy` is a.test's DMARC record.
json zone_with(std::string_view policy) {
  const std::string key = dkim::key_record(*test_key(crypto::KeyType::ed25519));
  json zone = {
      {"1.2.0.192.in-addr.arpa", {{{"PTR", "mx.a.test"}}}},
      {"mx.a.test", {{{"A", "192.0.2.1"}}, {{"TXT", "v=spf1 a -all"}}}},
      {"a.test", {{{"TXT", "v=spf1 ip4:192.0.2.1 -all"}}}},
      {"soft.test", {{{"TXT", "v=spf1 ~all"}}}},
      {"broken.test", {{{"TXT", "v=spf1 ip4:x -all"}}}},
      {"slow.test", {"TIMEOUT"}},
      {"slow.a.test", {"TIMEOUT"}},
      {"k._domainkey.a.test", {{{"TXT", key}}}},
      {"slow._domainkey.a.test", {"TIMEOUT"}},
      {"slow._domainkey.other.test", {"TIMEOUT"}},
      {"arc._domainkey.list.test", {{{"TXT", key}}}},
      {"arc._domainkey.relay.test", {{{"TXT", key}}}},
      {"arc._domainkey.slow-list.test", {"TIMEOUT"}},
  };
  if (!policy.empty()) zone["_dmarc.a.test"] = {{{"TXT", policy}}};
  return zone;
}

std::string with_signature(std::string_view selector, std::string_view domain = "a.test") {
  dkim::SigningRules rules;
  rules.domain = domain;
  rules.selector = selector;
  return signed_message(kMessage, rules, test_key(crypto::KeyType::ed25519), kNow);
}

std::string changed(std::string message) {
  return message.insert(message.size() - 2, "!");
}

constexpr std::string_view kVouch = "list.test; dmarc=pass header.from=a.test";

Policy enabled() {
  Policy policy;
  policy.authentication.enabled = true;
  policy.authentication.trusted_sealers = {"list.test", "slow-list.test"};
  return policy;
}

Envelope envelope() {
  Envelope envelope;
  envelope.receiving_host = "mx.test";
  envelope.client_ip = *Ip::parse("192.0.2.1");
  envelope.helo = "mx.a.test";
  envelope.protocol = "ESMTP";
  envelope.mail_from = "ann@a.test";
  envelope.recipients = {"bob@b.test"};
  envelope.received_at = kNow;
  return envelope;
}

/// Answers `at_once` questions a round, shuffled, with or without a memo.
Verdict judged(const Envelope& of, const std::string& message, const json& zone_json, const Policy& policy,
               std::size_t at_once = 1000, bool with_memo = true, unsigned seed = 1) {
  const support::Zone zone(zone_json);
  const Analysis analysis = Analysis::of(message);
  std::mt19937 random(seed);
  Facts facts;
  Memo memo;
  for (int round = 0; round < 1000; ++round) {
    auto judgement = judge(Stage::data, of, &analysis, facts, policy, with_memo ? &memo : nullptr);
    if (judgement.verdict) return *std::move(judgement.verdict);
    std::vector<Question> open = facts.questions();
    std::ranges::shuffle(open, random);
    open.resize(std::min(open.size(), at_once));
    for (const Question& question : open) facts.answer(question, zone.answer(question));
  }
  ADD_FAILURE() << "no verdict";
  return {};
}

std::string names_of(const Verdict& verdict) {
  std::string names;
  for (const Finding& finding : verdict.findings) names += (names.empty() ? "" : " ") + finding.name;
  return names;
}

std::string methods_of(const Verdict& verdict) {
  std::string text;
  for (const auto& method : verdict.authentication)
    text += (text.empty() ? "" : " ") + method.method + '=' + method.result;
  return text;
}

std::string lines_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

struct CheckRow {
  std::string_view name;
  std::string message;
  std::string_view policy;  ///< the DMARC record of a.test
  std::string ip, mail_from;
  std::string findings, methods, incomplete;
  Action action = Action::accept;
  std::string enhanced = {};
};

std::vector<CheckRow> rows() {
  const std::string plain(kMessage), good = with_signature("k"), bad = changed(good);
  const std::string vouched = sealed_message(plain, 1, "list.test", kVouch, "none");
  return {
      {"all is well", good, "v=DMARC1; p=reject", "192.0.2.1", "ann@a.test", "SPF_PASS DKIM_VALID DMARC_PASS",
       "iprev=pass spf=pass dkim=pass dmarc=pass arc=none", ""},
      {"SPF alone", plain, "v=DMARC1; p=reject", "192.0.2.1", "ann@a.test", "SPF_PASS DMARC_PASS",
       "iprev=pass spf=pass dkim=none dmarc=pass arc=none", ""},
      {"the signature alone", good, "v=DMARC1; p=reject", "192.0.2.9", "ann@a.test",
       "NO_REVERSE_NAME SPF_FAIL DKIM_VALID DMARC_PASS",
       "iprev=permerror spf=fail dkim=pass dmarc=pass arc=none", ""},
      {"nothing under p=reject", bad, "v=DMARC1; p=reject", "192.0.2.9", "ann@a.test",
       "NO_REVERSE_NAME SPF_FAIL DKIM_INVALID DMARC_FAIL_REJECT",
       "iprev=permerror spf=fail dkim=fail dmarc=fail arc=none", "", Action::reject, "5.7.26"},
      {"nothing under p=reject, testing", plain, "v=DMARC1; p=reject; t=y", "192.0.2.9", "ann@a.test",
       "NO_REVERSE_NAME SPF_FAIL DMARC_FAIL_QUARANTINE",
       "iprev=permerror spf=fail dkim=none dmarc=fail arc=none", "", Action::quarantine},
      {"nothing under p=quarantine", plain, "v=DMARC1; p=quarantine", "192.0.2.9", "x@soft.test",
       "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_QUARANTINE",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=none", "", Action::quarantine},
      {"nothing under p=none", plain, "v=DMARC1; p=none", "192.0.2.9", "x@soft.test",
       "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_NONE",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=none", ""},
      {"no policy", plain, "", "192.0.2.9", "x@broken.test", "NO_REVERSE_NAME SPF_PERMERROR",
       "iprev=permerror spf=permerror dkim=none dmarc=none arc=none", ""},
      {"the null sender is who HELO says", plain, "v=DMARC1; p=reject", "192.0.2.1", "",
       "SPF_PASS DMARC_PASS", "iprev=pass spf=pass dkim=none dmarc=pass arc=none", ""},
      {"SPF in doubt could have been aligned", plain, "v=DMARC1; p=reject", "192.0.2.1", "ann@slow.a.test",
       "", "iprev=pass spf=temperror dkim=none dmarc=temperror arc=none",
       "spf: TXT slow.a.test: timed_out (§4.4)\ndmarc: a.test: SPF or DKIM could not be evaluated\n"},
      {"SPF in doubt could not", plain, "v=DMARC1; p=reject", "192.0.2.1", "ann@slow.test",
       "DMARC_FAIL_REJECT", "iprev=pass spf=temperror dkim=none dmarc=fail arc=none",
       "spf: TXT slow.test: timed_out (§4.4)\n", Action::reject, "5.7.26"},
      {"a key in doubt could have been aligned", with_signature("slow"), "v=DMARC1; p=reject", "192.0.2.9",
       "x@soft.test", "NO_REVERSE_NAME SPF_SOFTFAIL",
       "iprev=permerror spf=softfail dkim=temperror dmarc=temperror arc=none",
       "dkim: a.test: key: timed_out\ndmarc: a.test: SPF or DKIM could not be evaluated\n"},
      {"a stranger's key in doubt", with_signature("slow", "other.test"), "v=DMARC1; p=reject", "192.0.2.9",
       "x@soft.test", "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_REJECT",
       "iprev=permerror spf=softfail dkim=temperror dmarc=fail arc=none",
       "dkim: other.test: key: timed_out\n", Action::reject, "5.7.26"},
      {"two From fields", "From: x@b.test\r\n" + plain, "v=DMARC1; p=reject", "192.0.2.9", "x@soft.test",
       "NO_REVERSE_NAME SPF_SOFTFAIL MULTIPLE_FROM DUPLICATE_FROM",
       "iprev=permerror spf=softfail dkim=none dmarc=none arc=none", "", Action::tag},
      {"authors of two domains", "From: a@a.test, b@b.test\r\n" + plain.substr(plain.find("Subject")),
       "v=DMARC1; p=reject", "192.0.2.1", "x@nowhere.test", "MULTIPLE_FROM",
       "iprev=pass spf=none dkim=none dmarc=none arc=none", ""},
      {"a trusted sealer rescues", vouched, "v=DMARC1; p=reject", "192.0.2.9", "x@soft.test",
       "NO_REVERSE_NAME SPF_SOFTFAIL ARC_RESCUED ARC_VALID",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=pass", ""},
      {"a stranger behind the trusted sealer does not",
       sealed_message(vouched, 2, "relay.test", kVouch, "pass"), "v=DMARC1; p=reject", "192.0.2.9",
       "x@soft.test", "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_REJECT ARC_VALID",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=pass", "", Action::reject, "5.7.26"},
      {"the trusted sealer saw it fail",
       sealed_message(plain, 1, "list.test", "list.test; dmarc=fail header.from=a.test", "none"),
       "v=DMARC1; p=reject", "192.0.2.9", "x@soft.test",
       "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_REJECT ARC_VALID",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=pass", "", Action::reject, "5.7.26"},
      {"the trusted sealer vouches for another author",
       sealed_message(plain, 1, "list.test", "list.test; dmarc=pass header.from=b.test", "none"),
       "v=DMARC1; p=reject", "192.0.2.9", "x@soft.test",
       "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_REJECT ARC_VALID",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=pass", "", Action::reject, "5.7.26"},
      {"changed behind the seal", changed(vouched), "v=DMARC1; p=reject", "192.0.2.9", "x@soft.test",
       "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_REJECT ARC_INVALID",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=fail", "", Action::reject, "5.7.26"},
      {"a trusted seal in doubt defers", sealed_message(plain, 1, "slow-list.test", kVouch, "none"),
       "v=DMARC1; p=reject", "192.0.2.9", "x@soft.test", "NO_REVERSE_NAME SPF_SOFTFAIL DMARC_FAIL_REJECT",
       "iprev=permerror spf=softfail dkim=none dmarc=fail arc=fail",
       "arc: the seal of a trusted sealer could not be verified\narc: key of the message signature: "
       "timed_out\n",
       Action::defer, "4.7.1"},
  };
}

TEST(Authentication, RowsInAnyOrderOfAnswers) {
  for (const CheckRow& row : rows()) {
    SCOPED_TRACE(row.name);
    Envelope of = envelope();
    of.client_ip = *Ip::parse(row.ip);
    of.mail_from = row.mail_from;
    const json zone = zone_with(row.policy);
    const Verdict verdict = judged(of, row.message, zone, enabled());
    EXPECT_EQ(names_of(verdict), row.findings);
    EXPECT_EQ(methods_of(verdict), row.methods);
    EXPECT_EQ(lines_of(verdict.incomplete), row.incomplete);
    EXPECT_EQ(verdict.action, row.action) << verdict.reason;
    EXPECT_EQ(verdict.refusal.enhanced, row.enhanced);
    for (unsigned seed = 1; seed <= 5; ++seed) {
      EXPECT_EQ(to_json(judged(of, row.message, zone, enabled(), 1, true, seed)), to_json(verdict));
      EXPECT_EQ(to_json(judged(of, row.message, zone, enabled(), 3, false, seed)), to_json(verdict));
    }
  }
}

TEST(Authentication, AsksWhatItCanNameInOneRound) {
  const std::string message = with_signature("k");
  const Analysis analysis = Analysis::of(message);
  Facts facts;
  EXPECT_FALSE(judge(Stage::data, envelope(), &analysis, facts, enabled()).verdict);
  std::string asked;
  for (const Question& question : facts.questions()) asked += question.name + ' ';
  EXPECT_EQ(asked, "1.2.0.192.in-addr.arpa a.test k._domainkey.a.test _dmarc.a.test _dmarc.test ");
}

TEST(Authentication, WithoutDnsNothingIsCountedAndNothingDeferred) {
  Policy off = enabled();
  off.authentication.enabled = false;
  const json nothing = json::object();
  for (const std::string& message :
       {std::string(kMessage), with_signature("k"), "X: 1\r\n" + std::string(kMessage)}) {
    const Analysis analysis = Analysis::of(message);
    Facts facts;
    std::optional<Verdict> verdict;
    while (!verdict) {
      verdict = judge(Stage::data, envelope(), &analysis, facts, enabled()).verdict;
      const std::vector<Question> open = facts.questions();
      for (const Question& question : open) facts.answer(question, {.status = AnswerStatus::refused});
    }
    const Verdict without = judged(envelope(), message, nothing, off);
    EXPECT_EQ(verdict->findings, without.findings);
    EXPECT_EQ(verdict->action, without.action);
    EXPECT_EQ(verdict->score, without.score);
    EXPECT_FALSE(verdict->incomplete.empty());
    EXPECT_TRUE(without.authentication.empty());
  }
}

TEST(Authentication, TroubleDoesNotSoftenWhatIsRefusedAnyway) {
  const std::string gtube =
      std::string(kMessage) + "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
  Envelope of = envelope();
  of.mail_from = "x@slow.test";
  EXPECT_EQ(judged(of, gtube, zone_with(""), enabled()).action, Action::reject);
  Policy close = enabled();
  close.authentication.spf_pass_score = -2000;  // what is not known might have let it in
  EXPECT_EQ(judged(of, gtube, zone_with(""), close).action, Action::defer);
}

TEST(Authentication, TheSwitchesOfDmarc) {
  Envelope of = envelope();
  of.client_ip = *Ip::parse("192.0.2.9");
  const json zone = zone_with("v=DMARC1; p=reject");
  Policy policy = enabled();
  policy.authentication.dmarc_reject = false;
  EXPECT_EQ(judged(of, std::string(kMessage), zone, policy).action, Action::quarantine);
  policy.authentication.dmarc_quarantine = false;
  EXPECT_EQ(judged(of, std::string(kMessage), zone, policy).action, Action::tag);
}

TEST(Authentication, TheManifestOverridesADomainsPolicy) {
  using enum DmarcOverride::Disposition;
  struct Row {
    std::string_view name, policy;
    std::vector<DmarcOverride> overrides;
    Action action;
    std::string_view finding, disposition, reason;
    bool dmarc_reject = true;
  };
  const std::string_view reject_record = "v=DMARC1; p=reject", none_record = "v=DMARC1; p=none";
  const Row rows[] = {
      {"none of ours",
       reject_record,
       {{"b.test", accept, "x"}},
       Action::reject,
       "DMARC_FAIL_REJECT",
       "reject",
       ""},
      {"accept",
       reject_record,
       {{"a.test", accept, "their list"}},
       Action::accept,
       "DMARC_OVERRIDDEN",
       "none",
       "local_policy: their list"},
      {"none",
       reject_record,
       {{"a.test", none, "x"}},
       Action::accept,
       "DMARC_FAIL_NONE",
       "none",
       "local_policy: x"},
      {"quarantine",
       reject_record,
       {{"a.test", quarantine, "x"}},
       Action::quarantine,
       "DMARC_FAIL_QUARANTINE",
       "quarantine",
       "local_policy: x"},
      {"reject where the owner does not",
       none_record,
       {{"a.test", reject, "x"}},
       Action::reject,
       "DMARC_FAIL_REJECT",
       "reject",
       "local_policy: x"},
      {"reject although refusing is off",
       none_record,
       {{"a.test", reject, "x"}},
       Action::reject,
       "DMARC_FAIL_REJECT",
       "reject",
       "local_policy: x",
       false},
      {"a domain above",
       reject_record,
       {{"test", none, "x"}},
       Action::accept,
       "DMARC_FAIL_NONE",
       "none",
       "local_policy: x"},
      {"the nearest counts",
       reject_record,
       {{"a.test", accept, "near"}, {"test", reject, "far"}},
       Action::accept,
       "DMARC_OVERRIDDEN",
       "none",
       "local_policy: near"},
      {"a name that only ends like it",
       reject_record,
       {{".test", accept, "x"}, {"st", accept, "x"}},
       Action::reject,
       "DMARC_FAIL_REJECT",
       "reject",
       ""},
      {"testing",
       "v=DMARC1; p=quarantine; t=y",
       {},
       Action::accept,
       "DMARC_FAIL_NONE",
       "none",
       "policy_test_mode: t=y"},
      {"refusing is off",
       reject_record,
       {},
       Action::quarantine,
       "DMARC_FAIL_REJECT",
       "quarantine",
       "local_policy: refusing is switched off",
       false},
  };
  Envelope of = envelope();
  of.client_ip = *Ip::parse("192.0.2.9");
  of.mail_from = "x@soft.test";
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Policy policy = enabled();
    policy.authentication.overrides = row.overrides;
    policy.authentication.dmarc_reject = row.dmarc_reject;
    policy.tag_score = 100;  // only what is demanded shows
    const Verdict verdict = judged(of, std::string(kMessage), zone_with(row.policy), policy);
    EXPECT_EQ(verdict.action, row.action) << verdict.reason;
    EXPECT_NE(names_of(verdict).find(row.finding), std::string::npos) << names_of(verdict);
    ASSERT_TRUE(verdict.aggregate);
    EXPECT_EQ(verdict.aggregate->disposition, row.disposition);
    std::string reasons;
    for (const auto& [type, comment] : verdict.aggregate->reasons) reasons += type + ": " + comment;
    EXPECT_EQ(reasons, row.reason);
  }
}

TEST(Authentication, ATrustedForwardersResultsRescue) {
  const std::string passed = "Authentication-Results: mx.forwarder.test; dmarc=pass header.from=a.test\r\n";
  const std::string failed = "Authentication-Results: mx.forwarder.test; dmarc=fail header.from=a.test\r\n";
  struct Row {
    std::string_view name, ip;
    std::string fields;
    Action action;
  };
  const Row rows[] = {
      {"its word", "192.0.2.9", passed, Action::accept},
      {"from elsewhere", "192.0.2.200", passed, Action::reject},
      {"another author", "192.0.2.9",
       "Authentication-Results: mx.forwarder.test; dmarc=pass header.from=b.test\r\n", Action::reject},
      {"another's field", "192.0.2.9",
       "Authentication-Results: other.test; dmarc=pass header.from=a.test\r\n", Action::reject},
      {"the newest counts", "192.0.2.9", failed + passed, Action::reject},
      {"an older one does not spoil it", "192.0.2.9", passed + failed, Action::accept},
      {"a broken one", "192.0.2.9", "Authentication-Results: mx.forwarder.test; dmarc=\"pass\r\n" + passed,
       Action::reject},
      {"none", "192.0.2.9", "", Action::reject},
  };
  Policy policy = enabled();
  policy.tag_score = 100;
  policy.authentication.forwarders = {{"mx.forwarder.test", {*Network::parse("192.0.2.0/25")}}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Envelope of = envelope();
    of.client_ip = *Ip::parse(row.ip);
    of.mail_from = "x@soft.test";
    const Verdict verdict =
        judged(of, row.fields + std::string(kMessage), zone_with("v=DMARC1; p=reject"), policy);
    EXPECT_EQ(verdict.action, row.action) << verdict.reason;
    EXPECT_EQ(names_of(verdict).find("FORWARDER_RESCUED") != std::string::npos, row.action == Action::accept);
  }
}

TEST(Authentication, TheRowOfAnAggregateReport) {
  const json zone = zone_with("v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:x@a.test");
  const Verdict passed = judged(envelope(), with_signature("k"), zone, enabled());
  ASSERT_TRUE(passed.aggregate);
  const AggregateRow wanted{.policy_domain = "a.test",
                            .header_from = "a.test",
                            .envelope_from = "a.test",
                            .disposition = "pass",
                            .dkim_aligned = true,
                            .spf_aligned = true,
                            .reasons = {},
                            .spf_domain = "a.test",
                            .spf_scope = "mfrom",
                            .spf_result = "pass",
                            .dkim = {{.domain = "a.test", .selector = "k", .result = "pass"}},
                            .policy = "reject",
                            .subdomain_policy = "none",
                            .nonexistent_policy = {},
                            .dkim_strict = true};
  EXPECT_EQ(*passed.aggregate, wanted);

  Envelope of = envelope();
  of.client_ip = *Ip::parse("192.0.2.9");
  of.mail_from = "x@soft.test";
  const Verdict rescued =
      judged(of, sealed_message(kMessage, 1, "list.test", kVouch, "none"), zone, enabled());
  ASSERT_TRUE(rescued.aggregate);
  EXPECT_EQ(rescued.aggregate->disposition, "none");
  ASSERT_EQ(rescued.aggregate->reasons.size(), 1U);
  EXPECT_EQ(rescued.aggregate->reasons[0].first, "trusted_forwarder");
  EXPECT_EQ(rescued.aggregate->reasons[0].second, "arc=pass, sealed by list.test");

  EXPECT_FALSE(
      judged(of, std::string(kMessage), zone_with(""), enabled()).aggregate);  // no policy, nobody to tell
  of.mail_from = "x@slow.a.test";
  EXPECT_FALSE(
      judged(of, std::string(kMessage), zone, enabled()).aggregate);  // temperror: it did not come to an end
}

TEST(Authentication, AnAllowedClientIsNotRefusedAnAllowedSenderIs) {
  Envelope of = envelope();
  of.client_ip = *Ip::parse("192.0.2.9");
  Policy policy = enabled();
  policy.has_client_list = policy.has_sender_list = true;
  const support::Zone zone(zone_with("v=DMARC1; p=reject"));
  const Analysis analysis = Analysis::of(kMessage);
  for (const QuestionKind allowed : {QuestionKind::client_list, QuestionKind::sender_list}) {
    Facts facts;
    std::optional<Verdict> verdict;
    while (!verdict) {
      verdict = judge(Stage::data, of, &analysis, facts, policy).verdict;
      const std::vector<Question> open = facts.questions();
      for (const Question& question : open) {
        const bool list =
            question.kind == QuestionKind::client_list || question.kind == QuestionKind::sender_list;
        Answer answer = list ? Answer{.status = AnswerStatus::no_data} : zone.answer(question);
        if (question.kind == allowed) answer = {.status = AnswerStatus::data, .records = {"allow:x"}};
        facts.answer(question, std::move(answer));
      }
    }
    EXPECT_EQ(verdict->action, allowed == QuestionKind::client_list ? Action::accept : Action::reject);
  }
}

TEST(Authentication, InLmtpTheClientSaysNothingOfTheSender) {
  Envelope of = envelope();
  of.client_ip = *Ip::parse("192.0.2.9");
  of.protocol = "LMTP";
  const json zone = zone_with("v=DMARC1; p=reject");
  const Verdict verdict = judged(of, std::string(kMessage), zone, enabled());
  EXPECT_EQ(methods_of(verdict), "dkim=none dmarc=none arc=none");
  EXPECT_EQ(verdict.action, Action::accept);
  EXPECT_EQ(methods_of(judged(of, with_signature("k"), zone, enabled())), "dkim=pass dmarc=pass arc=none");
}

TEST(Authentication, FiftySignaturesAreTwelveResultsAndTwelveQuestions) {
  std::string message(kMessage);
  for (int i = 0; i < 50; ++i)
    message = "DKIM-Signature: v=1; a=rsa-sha256; d=d" + std::to_string(i) +
              ".test; s=s; h=from; bh=eA==; b=eA==\r\n" + message;
  const Analysis analysis = Analysis::of(message);
  Facts facts;
  (void)judge(Stage::data, envelope(), &analysis, facts, enabled());
  EXPECT_EQ(
      std::ranges::count_if(facts.questions(),
                            [](const Question& q) { return q.name.find("_domainkey") != std::string::npos; }),
      12);
  const Verdict verdict = judged(envelope(), message, zone_with(""), enabled());
  EXPECT_EQ(std::ranges::count(verdict.authentication, "dkim", &results::MethodResult::method), 12);
}

TEST(Authentication, LongValuesOfStrangersAreCut) {
  Envelope of = envelope();
  of.mail_from = std::string(5000, 'x') + "@a.test";
  const Verdict verdict = judged(of, std::string(kMessage), zone_with(""), enabled());
  for (const auto& method : verdict.authentication)
    for (const auto& [name, value] : method.properties) EXPECT_LE(value.size(), 320U) << name;
}

TEST(Authentication, TheHeaderStaysAsciiWhereTheMessageIs) {
  Envelope of = envelope();
  of.mail_from = "grün@slow.test";
  const auto mail_from = [&] {
    const Verdict verdict = judged(of, std::string(kMessage), zone_with(""), enabled());
    const results::MethodResult& spf = verdict.authentication.at(1);
    EXPECT_EQ(spf.reason, "TXT slow.test: timed_out (section 4.4)");
    return spf.properties.at(0).second;
  };
  EXPECT_EQ(mail_from(), "gr??n@slow.test");
  of.smtputf8 = true;
  EXPECT_EQ(mail_from(), "grün@slow.test");
}

TEST(Authentication, APreparedMemoChangesNothing) {
  const std::string message = sealed_message(with_signature("k"), 1, "list.test", kVouch, "none");
  const support::Zone zone(zone_with("v=DMARC1; p=reject"));
  const Analysis analysis = Analysis::of(message);
  Memo memo;
  memo.authentication.prepare(analysis);
  Facts facts;
  std::optional<Verdict> verdict;
  while (!verdict) {
    verdict = judge(Stage::data, envelope(), &analysis, facts, enabled(), &memo).verdict;
    zone.answer_all(facts);
  }
  EXPECT_EQ(to_json(*verdict),
            to_json(judged(envelope(), message, zone_with("v=DMARC1; p=reject"), enabled())));
  EXPECT_EQ(methods_of(*verdict), "iprev=pass spf=pass dkim=pass dmarc=pass arc=pass");
}

TEST(Authentication, BeforeTheDataNothingIsAsked) {
  for (const Stage stage : {Stage::connect, Stage::mail, Stage::rcpt}) {
    Facts facts;
    EXPECT_TRUE(judge(stage, envelope(), nullptr, facts, enabled()).verdict);
    EXPECT_TRUE(facts.questions().empty());
  }
}

Verdict at_rcpt(const Envelope& of, const Policy& policy, std::string_view zone_text) {
  const support::Zone zone(nlohmann::json::parse(zone_text));
  Facts facts;
  for (int round = 0; round < 10; ++round) {
    if (auto judgement = judge(Stage::rcpt, of, nullptr, facts, policy); judgement.verdict)
      return *judgement.verdict;
    zone.answer_all(facts);
  }
  ADD_FAILURE() << "pending";
  return {};
}

TEST(Authentication, RefusesAtRcptWhereThePolicySaysSo) {
  constexpr std::string_view kZone = R"({
    "hard.test": [{"TXT": "v=spf1 exp=why.hard.test -all"}], "why.hard.test": [{"TXT": "ask us"}],
    "soft.test": [{"TXT": "v=spf1 ~all"}], "broken.test": ["SERVFAIL"],
    "9.2.0.192.in-addr.arpa": [{"PTR": "named.test"}], "named.test": [{"A": "192.0.2.9"}],
    "8.2.0.192.in-addr.arpa": ["SERVFAIL"]})";
  struct Row {
    std::string_view name, ip, sender, recipient, enhanced, text;
  };
  const Row rows[] = {
      {"SPF fails", "192.0.2.9", "a@hard.test", "you@test.example", "5.7.23",
       "SPF of hard.test does not allow 192.0.2.9; the domain says: ask us"},
      {"SPF fails softly", "192.0.2.9", "a@soft.test", "you@test.example", "", ""},
      {"SPF is in trouble", "192.0.2.9", "a@broken.test", "you@test.example", "", ""},
      {"no reverse name", "192.0.2.7", "a@soft.test", "you@test.example", "5.7.25",
       "192.0.2.7 has no reverse name that leads back to it"},
      {"the reverse name is in trouble", "192.0.2.8", "a@soft.test", "you@test.example", "", ""},
      {"the postmaster", "192.0.2.7", "a@hard.test", "Postmaster@test.example", "", ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Policy policy = enabled();
    Envelope of = envelope();
    of.client_ip = *Ip::parse(row.ip);
    of.mail_from = row.sender;
    of.recipients = {std::string(row.recipient)};
    EXPECT_EQ(at_rcpt(of, policy, kZone).action, Action::accept) << "by default it is counted only";
    policy.authentication.spf_fail_refused = policy.authentication.no_reverse_name_refused = true;
    const Verdict verdict = at_rcpt(of, policy, kZone);
    EXPECT_EQ(verdict.refusal.enhanced, row.enhanced);
    EXPECT_EQ(verdict.refusal.text, row.text);
    EXPECT_EQ(verdict.refusal.code, row.enhanced.empty() ? 0 : 550);
    of.protocol = "LMTP";
    EXPECT_EQ(at_rcpt(of, policy, kZone).action, Action::accept) << "a server of our own house";
  }
}

TEST(Authentication, AnticipatesTheReverseNameAtConnectAndSpfAtMail) {
  Envelope of = envelope();
  Facts facts;
  authentication::anticipate(Stage::connect, of, enabled(), facts);
  ASSERT_EQ(facts.questions().size(), 1U);
  EXPECT_EQ(facts.questions()[0].kind, QuestionKind::dns_ptr);
  authentication::anticipate(Stage::mail, of, enabled(), facts);
  EXPECT_EQ(facts.questions().size(), 2U);
  of.protocol = "LMTP";
  Facts none;
  authentication::anticipate(Stage::mail, of, enabled(), none);
  authentication::anticipate(Stage::mail, envelope(), Policy(), none);
  EXPECT_TRUE(none.questions().empty());
}

TEST(Authentication, AnAllowedSenderCountsOnlyWhenItIsHim) {
  struct Row {
    std::string_view name, method, result, property, value;
    bool forced;
    double score;
    std::size_t incomplete;
  };
  const Row rows[] = {
      {"nothing shows it", "spf", "fail", "smtp.mailfrom", "s@a.test", false, 0, 0},
      {"SPF", "spf", "pass", "smtp.mailfrom", "s@a.test", false, -100, 0},
      {"a signature of the domain above", "dkim", "pass", "header.d", "test", false, -100, 0},
      {"a signature of somebody else", "dkim", "pass", "header.d", "b.test", false, 0, 0},
      {"DMARC", "dmarc", "pass", "header.from", "A.test", false, -100, 0},
      {"in doubt", "spf", "temperror", "smtp.mailfrom", "s@a.test", false, 0, 1},
      {"the postmaster does not ask", "spf", "fail", "smtp.mailfrom", "s@a.test", true, -100, 0},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Policy policy = enabled();
    policy.allow_unauthenticated = row.forced;
    Envelope of = envelope();
    of.mail_from = "s@a.test";
    Findings findings;
    findings.found.push_back({.name = "LOCAL_ALLOW_SENDER", .score = -100, .evidence = "sender"});
    results::MethodResult result{.method = std::string(row.method), .result = std::string(row.result)};
    result.properties.emplace_back(row.property, row.value);
    findings.authentication.push_back(result);
    confirm_allowed_sender(of, policy, findings);
    EXPECT_EQ(findings.found[0].score, row.score);
    EXPECT_EQ(findings.incomplete.size(), row.incomplete);
  }
}

}  // namespace
}  // namespace postern::filters
