// What strangers do to make a judge work: each row has a bound on what is asked, on the rounds, and the result that the standard wants.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "filters/authentication/dkim/key_record.h"
#include "filters/authentication/dkim/verify.h"
#include "filters/authentication/spf/check_host.h"
#include "filters/judge.h"
#include "tests/support/zone.h"
#include "tests/unit/filters/authentication/sealing.h"

namespace postern::filters {
namespace {

using nlohmann::json;

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'790'000'000)};
constexpr std::string_view kMessage =
    "From: Ann <ann@a.test>\r\nSubject: hello\r\nDate: Fri, 31 May 2024 10:00:00 +0000\r\n"
    "Message-ID: <1@a.test>\r\n\r\nhello\r\n";

struct Row {
  std::string name, message;
  json zone;
  std::string method, result;  ///< of Authentication-Results, the first of that method
  std::size_t questions_max, rounds_max;
};

std::string repeated(std::size_t count, const std::function<std::string(std::size_t)>& one) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += one(i);
  return text;
}

std::string signature(std::string_view tags) {
  return fmt::format("DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=k; bh=eA==; b=eA==; {}\r\n", tags);
}

/// What every message asks: the reverse name, SPF's record, two names of the DMARC walk.
constexpr std::size_t kBasics = 4;

json spf_of(std::string record) {
  return {{"a.test", {{{"TXT", std::move(record)}}}}};
}

json include_chain(std::size_t length) {
  json zone;
  for (std::size_t i = 0; i < length; ++i)
    zone[i == 0 ? "a.test" : fmt::format("n{}.test", i)] = {
        {{"TXT", fmt::format("v=spf1 include:n{}.test -all", i + 1)}}};
  return zone;
}

std::string sealed(unsigned sets) {
  std::string message(kMessage);
  for (unsigned i = 1; i <= sets; ++i)
    message = sealed_message(message, i, "list.test", "list.test; dmarc=pass header.from=a.test",
                             i == 1 ? "none" : "pass");
  return message;
}

std::vector<Row> rows() {
  const std::string plain(kMessage);
  const json arc_key = {
      {"arc._domainkey.list.test", {{{"TXT", dkim::key_record(*test_key(crypto::KeyType::ed25519))}}}}};
  const auto key = [](std::size_t octets) {
    return json{{"k._domainkey.a.test", {{{"TXT", "v=DKIM1; p=" + std::string(octets - 11, 'A')}}}}};
  };
  return {
      {"50 signatures",
       repeated(50,
                [](std::size_t i) {
                  return fmt::format(
                      "DKIM-Signature: v=1; a=rsa-sha256; d=d{}.test; s=s; h=from; bh=eA==; b=eA==\r\n", i);
                }) +
           plain,
       json::object(), "dkim", "permerror", kBasics + dkim::kSignaturesMax, 2},
      {"10,000 signatures", repeated(9'990, [](std::size_t) { return signature("h=from"); }) + plain,
       json::object(), "dkim", "permerror", kBasics + 1, 2},
      {"10,000 signed names",
       signature("h=from" + repeated(10'000, [](std::size_t i) { return fmt::format(":n{}", i); })) + plain,
       json::object(), "dkim", "permerror", kBasics + 1, 2},
      {"10,000 tags",
       signature(repeated(10'000, [](std::size_t i) { return fmt::format("t{}=x; ", i); })) + plain,
       json::object(), "dkim", "permerror", kBasics, 2},
      {"a megabyte of base64 in b=", signature("h=from; z=" + std::string(900'000, 'A')) + plain,
       json::object(), "dkim", "permerror", kBasics + 1, 2},
      {"a key record of 64 KiB", signature("h=from") + plain, key(65'536), "dkim", "permerror", kBasics + 1,
       2},
      {"10,000 terms of SPF", plain,
       spf_of("v=spf1" + repeated(10'000, [](std::size_t i) { return fmt::format(" a:h{}.test", i); }) +
              " -all"),
       "spf", "permerror", kBasics + spf::kTermsMax + 1, 4},
      {"10,000 networks", plain,
       spf_of("v=spf1" +
              repeated(10'000,
                       [](std::size_t i) { return fmt::format(" ip4:10.{}.{}.0/24", i / 256, i % 256); }) +
              " -all"),
       "spf", "fail", kBasics, 2},
      {"a chain of 10,000 includes", plain, include_chain(10'000), "spf", "permerror",
       kBasics + spf::kTermsMax + 1, 13},
      {"an include of itself", plain, spf_of("v=spf1 include:a.test include:a.test -all"), "spf", "permerror",
       kBasics, 2},
      {"ten mx with a hundred hosts each", plain,
       [] {
         json zone = {{"a.test", {{{"TXT", "v=spf1" + repeated(10, [](std::size_t i) {
                                             return fmt::format(" mx:m{}.test", i);
                                           }) + " -all"}}}}};
         for (int i = 0; i < 10; ++i) {
           json hosts = json::array();
           for (int k = 0; k < 100; ++k) hosts.push_back({{"MX", {k, fmt::format("h{}-{}.test", i, k)}}});
           zone[fmt::format("m{}.test", i)] = hosts;
         }
         return zone;
       }(),
       "spf", "permerror", kBasics + 10 + 10 * spf::kNamesMax, 25},
      {"macros that grow", plain,
       spf_of("v=spf1" +
              repeated(10,
                       [](std::size_t) {
                         return " exists:" + repeated(60, [](std::size_t) { return "%{s}"; }) + ".test";
                       }) +
              " -all"),
       "spf", "permerror", kBasics + spf::kTermsMax, 15},
      {"an ARC chain of 50", sealed(50), arc_key, "arc", "pass", kBasics + 1, 2},
      {"an ARC chain of 51", sealed(51), arc_key, "arc", "fail", kBasics, 2},
      {"9,000 ARC fields of one instance",
       repeated(9'000, [](std::size_t) { return "ARC-Seal: i=1; cv=none\r\n"; }) + plain, json::object(),
       "arc", "fail", kBasics, 2},
      {"10,000 authors",
       "From: " + repeated(10'000, [](std::size_t i) { return fmt::format("a@d{}.test,\r\n ", i); }) +
           "b@a.test\r\n\r\nx\r\n",
       json::object(), "dmarc", "none", kBasics - 2, 2},
      {"an author a hundred labels deep",
       "From: a@" + repeated(100, [](std::size_t) { return "a."; }) + "test\r\n\r\nx\r\n", json::object(),
       "dmarc", "none", kBasics - 2 + 8, 2},
      {"a header of nothing but folds",
       "Subject:" + repeated(100'000, [](std::size_t) { return "\r\n \t"; }) + "x\r\n" + plain,
       json::object(), "dmarc", "none", kBasics, 2},
  };
}

TEST(Hostile, NothingAsksMoreThanItMay) {
  Policy policy;
  policy.authentication.enabled = true;
  Envelope of;
  of.receiving_host = "mx.test";
  of.client_ip = *Ip::parse("192.0.2.1");
  of.helo = "mx.a.test";
  of.protocol = "ESMTP";
  of.mail_from = "ann@a.test";
  of.recipients = {"bob@b.test"};
  of.received_at = kNow;
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    const support::Zone zone(row.zone);
    const Analysis analysis = Analysis::of(row.message);
    Memo memo;
    Facts facts;
    std::optional<Verdict> verdict;
    std::size_t rounds = 0;
    for (; rounds < 100 && !verdict; ++rounds) {
      verdict = judge(Stage::data, of, &analysis, facts, policy, &memo).verdict;
      zone.answer_all(facts);
    }
    ASSERT_TRUE(verdict);
    EXPECT_LE(rounds, row.rounds_max + 1);
    EXPECT_LE(facts.answers().size(), row.questions_max);
    const auto found = std::ranges::find(verdict->authentication, row.method, &results::MethodResult::method);
    ASSERT_NE(found, verdict->authentication.end());
    EXPECT_EQ(found->result, row.result) << found->reason;

    // The same facts once more, without what was remembered: the same verdict, octet for octet, and nothing is asked.
    for (int again = 0; again < 2; ++again) {
      const auto replayed = judge(Stage::data, of, &analysis, facts, policy);
      ASSERT_TRUE(replayed.verdict);
      EXPECT_EQ(to_json(*replayed.verdict), to_json(*verdict));
    }
    EXPECT_TRUE(facts.questions().empty());
  }
}

struct LimitRow {
  std::string_view name;
  std::size_t octets;
  bool taken;
};

constexpr LimitRow kKeyRecords[] = {
    {"the longest", dkim::kKeyRecordOctetsMax, true},
    {"one octet more", dkim::kKeyRecordOctetsMax + 1, false},
    {"64 KiB", 65'536, false},
};

TEST(Hostile, KeyRecordsHaveABound) {
  for (const LimitRow& row : kKeyRecords) {
    SCOPED_TRACE(row.name);
    std::string text = dkim::key_record(*test_key(crypto::KeyType::ed25519)) + "; n=";
    text.append(row.octets - text.size(), 'x');
    EXPECT_EQ(dkim::parse_key_record(text).has_value(), row.taken);
  }
}

}  // namespace
}  // namespace postern::filters
