#include "filters/authentication/arc/chain.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "filters/dns.h"
#include "tests/support/zone.h"
#include "tests/unit/filters/authentication/sealing.h"

namespace postern::filters::arc {
namespace {

constexpr std::string_view kMessage = "From: ann@a.test\r\nSubject: hello\r\n\r\nhello\r\n";

ChainResult verified(std::string_view message, std::string_view record = {}) {
  const std::string key =
      record.empty() ? dkim::key_record(*test_key(crypto::KeyType::ed25519)) : std::string(record);
  const support::Zone zone(nlohmann::json{{"arc._domainkey.one.test", {{{"TXT", key}}}},
                                          {"arc._domainkey.two.test", {{{"TXT", key}}}},
                                          {"arc._domainkey.slow.test", {"TIMEOUT"}}});
  const Analysis analysis = Analysis::of(message);
  dkim::BodyHashes hashes(analysis.body());
  Chain chain(analysis, hashes);
  Facts facts;
  for (int round = 0; round < 3; ++round) {
    if (auto result = chain.verify(facts, {})) return *std::move(result);
    zone.answer_all(facts);
  }
  ADD_FAILURE() << "pending";
  return {};
}

std::string chain_of(unsigned length) {
  std::string message(kMessage);
  for (unsigned i = 1; i <= length; ++i)
    message = sealed_message(message, i, i % 2 == 1 ? "one.test" : "two.test", "r.test; spf=pass",
                             i == 1 ? "none" : "pass");
  return message;
}

TEST(Chain, NoneWithoutSets) {
  EXPECT_EQ(verified(kMessage).status, Status::none);
}

TEST(Chain, PassesUpToFiftyAndNamesTheSealers) {
  for (const unsigned length : {1U, 2U, 3U, kInstancesMax}) {
    const ChainResult result = verified(chain_of(length));
    EXPECT_EQ(result.status, Status::pass) << length << result.reason;
    ASSERT_EQ(result.sealers.size(), length);
    EXPECT_EQ(result.sealers.front().domain, "one.test");
    EXPECT_EQ(result.sealers.front().results, "r.test; spf=pass");
    EXPECT_EQ(result.sealers.back().instance, length);
  }
  EXPECT_EQ(verified(chain_of(kInstancesMax + 1)).status, Status::fail);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Chain, Faults) {
  const struct {
    std::string_view name;
    std::string message;
    std::string_view reason;
    bool temporary = false;
  } rows[] = {
      {"body changed", chain_of(2) + "x", "body hash did not verify"},
      {"subject changed", replaced(chain_of(2), "Subject: hello", "Subject: hallo"),
       "message signature did not verify"},
      {"results of the first changed",
       replaced(chain_of(2), "i=1; r.test; spf=pass", "i=1; r.test; spf=fail"), "seal 2 did not verify"},
      {"the newest seal says fail", replaced(chain_of(2), "cv=pass", "cv=fail"), "instance 2 says cv=fail"},
      {"the first says pass", replaced(chain_of(1), "cv=none", "cv=pass"), "instance 1 says cv=pass"},
      {"a gap", replaced(chain_of(1), "ARC-Seal: i=1", "ARC-Seal: i=2"), "instance 1 is not complete"},
      {"a set twice", chain_of(1).substr(0, chain_of(1).find("ARC-Message")) + chain_of(1),
       "ARC-Seal twice for instance 1"},
      {"a key that does not come", sealed_message(kMessage, 1, "slow.test", "r.test; none", "none"),
       "key of the message signature: timed_out", true},
      {"a key that is not there", sealed_message(kMessage, 1, "nobody.test", "r.test; none", "none"),
       "no key for the message signature"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const ChainResult result = verified(row.message);
    EXPECT_EQ(result.status, Status::fail);
    EXPECT_EQ(result.reason, row.reason);
    EXPECT_EQ(result.temporary, row.temporary);
  }
}

TEST(Chain, AllKeysAreAskedInOneRound) {
  const std::string message = chain_of(3);
  const Analysis analysis = Analysis::of(message);
  dkim::BodyHashes hashes(analysis.body());
  Chain chain(analysis, hashes);
  Facts facts;
  EXPECT_FALSE(chain.verify(facts, {}));
  EXPECT_EQ(facts.questions().size(), 2U);
}

}  // namespace
}  // namespace postern::filters::arc
