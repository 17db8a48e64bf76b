#include "gateway/check/message.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gateway/check/arc.h"
#include "gateway/check/dkim.h"
#include "gateway/check/dmarc.h"
#include "tests/unit/filters/authentication/sealing.h"
#include "tests/unit/gateway/check/settled.h"

namespace postern::check {
namespace {

using filters::Analysis;
using filters::crypto::KeyType;

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'790'000'000)};
constexpr std::string_view kMessage =
    "From: Ann <ann@a.test>\r\nTo: bob@b.test\r\nSubject: x\r\n\r\nhello\r\n";

std::string message_signed_by(const std::string& domain) {
  filters::dkim::SigningRules rules;
  rules.domain = domain;
  rules.selector = "k";
  return filters::signed_message(kMessage, rules, filters::test_key(KeyType::ed25519), kNow);
}

nlohmann::json zone() {
  const std::string key = filters::dkim::key_record(*filters::test_key(KeyType::ed25519));
  return {{"k._domainkey.a.test", {{{"TXT", key}}}},
          {"k._domainkey.other.test", {{{"TXT", key}}}},
          {"arc._domainkey.lists.test", {{{"TXT", key}}}},
          {"k._domainkey.slow.test", {"TIMEOUT"}},
          {"_dmarc.a.test", {{{"TXT", "v=DMARC1; p=reject"}}}},
          {"a.test", {{{"TXT", "v=spf1 ip4:192.0.2.1 -all"}}}}};
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  text.replace(text.rfind(from), from.size(), to);
  return text;
}

struct Case {
  std::string name, message, result, line, advice;
  bool temporary = false;
};

TEST(CheckDkim, TellsKeyHashesAndWhoBrokeIt) {
  const std::string good = message_signed_by("a.test");
  const Case cases[] = {
      {"pass", good, "pass", "Ed25519, 256 bits", ""},
      {"none", std::string(kMessage), "none", "0 signatures", "no DKIM signature"},
      {"body changed", replaced(good, "hello", "hullo"), "fail", "hashes to", "a mailing list, a disclaimer"},
      {"subject changed", replaced(good, "Subject: x", "Subject: y"), "fail", ": the same",
       "a signed field was changed"},
      {"no key", message_signed_by("nokey.test"), "permerror", "no such name", "Publish the TXT record"},
      {"silent name server", message_signed_by("slow.test"), "temperror", "no answer in time",
       "no name server answered", true},
      {"no signature at all in it", "DKIM-Signature: nonsense\r\n" + std::string(kMessage), "permerror",
       "permerror", ""},
      {"two From", "From: <x@b.test>\r\n" + good, "permerror", "", "2 From fields"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Analysis analysis = Analysis::of(c.message);
    const Report report =
        settled(zone(), [&](filters::Facts& facts) { return check_dkim(analysis, facts, kNow); });
    EXPECT_EQ(report.json["result"], c.result);
    EXPECT_EQ(report.temporary, c.temporary);
    EXPECT_TRUE(says(report.lines, c.line)) << fmt::format("{}", fmt::join(report.lines, "\n"));
    EXPECT_TRUE(says(report.advice, c.advice)) << fmt::format("{}", fmt::join(report.advice, "\n"));
  }
}

TEST(CheckDkim, ShowsNoMoreSignaturesThanAreLookedAt) {
  std::string message(kMessage);
  for (int i = 0; i < 50; ++i) message.insert(0, "DKIM-Signature: v=1; d=a.test; s=k\r\n");
  const Analysis analysis = Analysis::of(message);
  const Report report =
      settled(zone(), [&](filters::Facts& facts) { return check_dkim(analysis, facts, kNow); });
  EXPECT_EQ(report.json["signatures"].size(), filters::dkim::kSignaturesMax);
  EXPECT_TRUE(says(report.lines, "38 more signatures"));
}

TEST(CheckArc, NamesEachSealer) {
  std::string message =
      filters::sealed_message(kMessage, 1, "lists.test", "lists.test; dmarc=pass header.from=a.test", "none");
  for (const bool broken : {false, true}) {
    if (broken) message = replaced(message, "hello", "hullo");
    const Analysis analysis = Analysis::of(message);
    const Report report =
        settled(zone(), [&](filters::Facts& facts) { return check_arc(analysis, facts, kNow); });
    EXPECT_EQ(report.json["result"], broken ? "fail" : "pass");
    ASSERT_EQ(report.json["seals"].size(), 1U);
    EXPECT_EQ(report.json["seals"][0]["d"], "lists.test");
    EXPECT_TRUE(says(report.lines, "dmarc=pass"));
    EXPECT_TRUE(says(report.advice, broken ? "broken for good" : "trusts each sealer"));
  }
}

TEST(CheckDmarc, TellsWhoIsAlignedAndWhyNot) {
  struct Row {
    std::string name;
    DmarcRequest request;
    std::string result, line, advice;
  };
  const Row rows[] = {
      {"dkim alone",
       {.author_domain = "a.test", .dkim = {{"pass", "a.test"}}, .multiple = {}},
       "pass",
       "dkim        pass for a.test: aligned",
       ""},
      {"spf alone",
       {.author_domain = "a.test", .spf_result = "pass", .spf_domain = "a.test", .dkim = {}, .multiple = {}},
       "pass",
       "aligned (relaxed)",
       "Only SPF is aligned"},
      {"somebody else's signature",
       {.author_domain = "a.test", .dkim = {{"pass", "other.test"}}, .multiple = {}},
       "fail",
       "not aligned",
       "another organization"},
      {"a broken one of our own",
       {.author_domain = "a.test", .dkim = {{"fail", "a.test"}}, .multiple = {}},
       "fail",
       "Policy      reject",
       "would be aligned"},
      {"nothing",
       {.author_domain = "a.test", .dkim = {}, .multiple = {}},
       "fail",
       "TXT _dmarc.a.test",
       "Neither SPF nor DKIM"},
      {"no record",
       {.author_domain = "b.test", .dkim = {}, .multiple = {}},
       "none",
       "no DMARC record",
       "p=none; rua="},
      {"two authors",
       {.author_domain = "a.test", .dkim = {}, .multiple = "From names authors of several domains"},
       "none",
       "",
       "exactly one author"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const Report report =
        settled(zone(), [&](filters::Facts& facts) { return check_dmarc(row.request, facts); });
    EXPECT_EQ(report.json["result"], row.result);
    EXPECT_TRUE(says(report.lines, row.line)) << fmt::format("{}", fmt::join(report.lines, "\n"));
    EXPECT_TRUE(says(report.advice, row.advice)) << fmt::format("{}", fmt::join(report.advice, "\n"));
  }
}

TEST(CheckMessage, PutsAllThreeTogether) {
  const std::string message = message_signed_by("other.test");
  const Analysis analysis = Analysis::of(message);
  for (const bool known : {true, false}) {
    std::optional<SpfRequest> spf;
    if (known)
      spf = {.ip = *filters::Ip::parse("192.0.2.1"),
             .helo = {},
             .mail_from = "ann@a.test",
             .receiver = {},
             .now = kNow};
    const Report report =
        settled(zone(), [&](filters::Facts& facts) { return check_message(analysis, spf, facts, kNow); });
    EXPECT_EQ(report.json["result"], known ? "pass" : "fail");
    EXPECT_EQ(report.json.contains("spf"), known);
    EXPECT_EQ(report.json["dkim"]["result"], "pass");
    EXPECT_EQ(report.json["identifiers"].size(), known ? 2U : 1U);
  }
}

TEST(CheckMessage, AsksForEverythingInOneRound) {
  const std::string message = message_signed_by("a.test");
  const Analysis analysis = Analysis::of(message);
  const SpfRequest spf{.ip = *filters::Ip::parse("192.0.2.1"),
                       .helo = {},
                       .mail_from = "ann@a.test",
                       .receiver = {},
                       .now = kNow};
  filters::Facts facts;
  ASSERT_FALSE(check_message(analysis, spf, facts, kNow));
  EXPECT_EQ(facts.questions().size(), 4U);  // SPF's record, the key, _dmarc.a.test, _dmarc.test
}

}  // namespace
}  // namespace postern::check
