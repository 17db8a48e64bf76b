#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "filters/authentication/dkim/verify.h"
#include "filters/dns.h"
#include "tests/support/zone.h"
#include "tests/unit/filters/authentication/sealing.h"

namespace postern::filters::dkim {
namespace {

using crypto::KeyType;
using std::chrono::seconds;

constexpr std::chrono::sys_seconds kNow{seconds(1'790'000'000)};
constexpr std::string_view kMessage =
    "From: Ann <ann@a.test>\r\nTo: bob@b.test\r\nSubject: a  long\r\n subject\r\n\r\nhello \t "
    "world\r\n\r\nbye\r\n\r\n";

std::vector<SignatureResult> verified(std::string_view message, const std::string& record,
                                      std::chrono::sys_seconds now = kNow) {
  const support::Zone zone(nlohmann::json{{"k._domainkey.a.test", {{{"TXT", record}}}}});
  const Analysis analysis = Analysis::of(message);
  Verifier verifier(analysis);
  Facts facts;
  for (int round = 0; round < 3; ++round) {
    if (auto results = verifier.verify(facts, now)) return *std::move(results);
    zone.answer_all(facts);
  }
  ADD_FAILURE() << "pending";
  return {};
}

SigningRules rules() {
  SigningRules rules;
  rules.domain = "a.test";
  rules.selector = "k";
  return rules;
}

std::string good() {
  return signed_message(kMessage, rules(), test_key(KeyType::ed25519), kNow);
}

std::string record() {
  return key_record(*test_key(KeyType::ed25519));
}

TEST(SignVerify, RoundTripOfEveryForm) {
  for (const KeyType type : {KeyType::rsa, KeyType::ed25519}) {
    for (const Canonical header : {Canonical::simple, Canonical::relaxed}) {
      for (const Canonical body : {Canonical::simple, Canonical::relaxed}) {
        SigningRules of = rules();
        of.header = header;
        of.body = body;
        const std::string message = signed_message(kMessage, of, test_key(type), kNow);
        SCOPED_TRACE(message);
        const auto results = verified(message, key_record(*test_key(type)));
        ASSERT_EQ(results.size(), 1U);
        EXPECT_EQ(results[0].result, Result::pass) << results[0].reason;
        EXPECT_EQ(results[0].domain, "a.test");
        if (type == KeyType::rsa) EXPECT_EQ(results[0].key_bits, 2048U);
      }
    }
  }
}

struct FaultRow {
  std::string_view name;
  std::function<std::string(std::string)> change;  ///< of the signed message
  Result result;
  std::string_view reason;
  std::string_view prefix = {};  ///< replaces the record's "v=DKIM1;"
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

const FaultRow kFaults[] = {
    {"as signed", [](std::string m) { return m; }, Result::pass, ""},
    {"blanks changed",
     [](std::string m) { return replaced(std::move(m), "hello \t world", "hello  world "); }, Result::pass,
     ""},
    {"body changed", [](std::string m) { return replaced(std::move(m), "bye", "buy"); }, Result::fail,
     "body hash did not verify"},
    {"subject changed", [](std::string m) { return replaced(std::move(m), "a  long", "a short"); },
     Result::fail, "signature did not verify"},
    {"a second Subject on top", [](std::string m) { return "Subject: x\r\n" + m; }, Result::fail,
     "signature did not verify"},
    {"a field that is not signed", [](std::string m) { return "X-Any: x\r\n" + m; }, Result::pass, ""},
    {"a second From", [](std::string m) { return "From: x@x.test\r\n" + m; }, Result::permerror,
     "the message has not one From field"},
    {"another algorithm",
     [](std::string m) { return replaced(std::move(m), "a=ed25519-sha256", "a=rsa-sha256"); },
     Result::permerror, "key type and algorithm differ"},
    {"testing key", [](std::string m) { return replaced(std::move(m), "bye", "buy"); }, Result::fail,
     "body hash did not verify", "v=DKIM1; t=y;"},
    {"strict key and the domain itself", [](std::string m) { return m; }, Result::pass, "", "v=DKIM1; t=s;"},
    {"key for other services", [](std::string m) { return m; }, Result::permerror, "", "v=DKIM1; s=tlsrpt;"},
    {"key of another version", [](std::string m) { return m; }, Result::permerror, "", "v=DKIM2;"},
    {"key without sha256", [](std::string m) { return m; }, Result::permerror, "", "v=DKIM1; h=sha1;"},
};

TEST(SignVerify, Faults) {
  for (const FaultRow& row : kFaults) {
    SCOPED_TRACE(row.name);
    std::string key = record();
    if (!row.prefix.empty()) key = replaced(key, "v=DKIM1;", row.prefix);
    const auto results = verified(row.change(good()), key);
    ASSERT_EQ(results.size(), 1U);
    EXPECT_EQ(results[0].result, row.result) << results[0].reason;
    if (!row.reason.empty() || row.result == Result::pass) EXPECT_EQ(results[0].reason, row.reason);
    EXPECT_EQ(results[0].testing, row.prefix.find("t=y") != std::string_view::npos);
  }
}

TEST(SignVerify, ExpiresAfterItsTime) {
  SigningRules of = rules();
  of.lifetime = seconds(100);
  const std::string message = signed_message(kMessage, of, test_key(KeyType::ed25519), kNow);
  EXPECT_EQ(verified(message, record(), kNow + seconds(100))[0].result, Result::pass);
  const auto late = verified(message, record(), kNow + seconds(101));
  EXPECT_EQ(late[0].result, Result::permerror);
  EXPECT_EQ(late[0].reason, "signature expired");
}

/// A signature with l=, made by hand: the signer has none.
std::string with_length(std::string_view body, std::uint64_t length) {
  const std::string message = "From: ann@a.test\r\n\r\n" + std::string(body);
  BodyHash hash(Canonical::simple, crypto::Algorithm::sha256, length);
  hash.update(body);
  const std::string field = fmt::format(
      "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/simple; d=a.test; s=k; l={}; h=from; bh={}; b=",
      length, crypto::encode_base64(hash.finish().digest));
  return finished(field, "from:ann@a.test\r\n", test_key(KeyType::ed25519)) + message;
}

TEST(SignVerify, LengthIsHonouredAndWhatIsBehindIsCounted) {
  struct Row {
    std::uint64_t length;
    Result result;
    std::uint64_t unsigned_octets;
  } rows[] = {{0, Result::pass, 7}, {5, Result::pass, 2}, {7, Result::pass, 0}, {8, Result::fail, 0}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.length);
    const auto results = verified(with_length("hello\r\n", row.length), record());
    ASSERT_EQ(results.size(), 1U);
    EXPECT_EQ(results[0].result, row.result) << results[0].reason;
    EXPECT_EQ(results[0].unsigned_octets, row.unsigned_octets);
  }
}

TEST(SignVerify, FiftySignatures) {
  std::string message(kMessage);
  for (int i = 0; i < 50; ++i) message = signed_message(message, rules(), test_key(KeyType::ed25519), kNow);
  const auto results = verified(message, record());
  ASSERT_EQ(results.size(), 50U);
  for (std::size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(results[i].result, i < kSignaturesMax ? Result::pass : Result::policy) << i;
}

TEST(SignVerify, AShortRsaKeyIsNotBelieved) {
  const auto key = crypto::PrivateKey::generate(KeyType::rsa, 512);
  if (!key) GTEST_SKIP() << "the library makes no such key";
  EXPECT_EQ(verified(signed_message(kMessage, rules(), *key, kNow), key_record(**key))[0].result,
            Result::permerror);
}

TEST(SignVerify, ThePublishedRecordComesBackFromPem) {
  for (const KeyType type : {KeyType::rsa, KeyType::ed25519}) {
    const auto again = crypto::PrivateKey::from_pem(test_key(type)->pem());
    ASSERT_TRUE(again);
    EXPECT_EQ(key_record(**again), key_record(*test_key(type)));
  }
}

TEST(SignVerify, TroubleWithTheKeyIsTemporaryItsAbsenceIsNot) {
  for (const auto& [status, result] : {std::pair(AnswerStatus::timed_out, Result::temperror),
                                       std::pair(AnswerStatus::bogus, Result::temperror),
                                       std::pair(AnswerStatus::no_such_name, Result::permerror),
                                       std::pair(AnswerStatus::no_data, Result::permerror)}) {
    const std::string message = good();
    const Analysis analysis = Analysis::of(message);
    Verifier verifier(analysis);
    Facts facts;
    EXPECT_FALSE(verifier.verify(facts, kNow));
    facts.answer(dns::txt("k._domainkey.a.test"), {.status = status});
    const auto results = verifier.verify(facts, kNow);
    ASSERT_TRUE(results);
    EXPECT_EQ(results->front().result, result);
  }
}

TEST(Sign, RefusesWhatHasNotOneFrom) {
  for (const std::string_view message : {"To: x@x.test\r\n\r\n", "From: a@a.test\r\nFrom: b@a.test\r\n\r\n"})
    EXPECT_FALSE(sign(Analysis::of(message), rules(), *test_key(KeyType::ed25519), kNow));
}

}  // namespace
}  // namespace postern::filters::dkim
