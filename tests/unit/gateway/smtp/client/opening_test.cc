#include "gateway/smtp/client/opening.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::smtp::client {
namespace {

ServerReply reply(int code, std::vector<std::string> lines = {"text"}) {
  return {.code = code, .lines = std::move(lines)};
}

/// What was said, in short, and how it ended.
struct Log {
  std::string said;
  std::optional<RecipientResult> failure;
  bool ready = false;
};

Log run(OpeningTerms terms, const std::vector<ServerReply>& replies) {
  terms.hello_name = "me.example";
  Opening opening(std::move(terms));
  Log log;
  OpeningStep step = opening.begin();
  std::size_t next = 0;
  for (;;) {
    if (const auto* say = std::get_if<Say>(&step)) {
      log.said += say->line.substr(0, say->line.find('\r'));
      log.said += '|';
      if (next == replies.size()) return log;
      step = opening.replied(replies[next++]);
    } else if (std::holds_alternative<BeginTls>(step)) {
      log.said += "(tls)|";
      step = opening.tls_established();
    } else if (const auto* give_up = std::get_if<GiveUp>(&step)) {
      log.failure = give_up->result;
      return log;
    } else {
      log.ready = true;
      return log;
    }
  }
}

const ServerReply kGreeting = reply(220, {"mx.example"});
const ServerReply kPlainHello = reply(250, {"mx.example", "PIPELINING"});
const ServerReply kTlsHello = reply(250, {"mx.example", "STARTTLS", "AUTH PLAIN LOGIN"});
const ServerReply kAuthHello = reply(250, {"mx.example", "AUTH PLAIN LOGIN"});
const ServerReply kLoginHello = reply(250, {"mx.example", "AUTH LOGIN"});

TEST(Opening, Plain) {
  const Log log = run({}, {kGreeting, kPlainHello});
  EXPECT_EQ(log.said, "|EHLO me.example|");
  EXPECT_TRUE(log.ready);
}

TEST(Opening, FallsBackToHelo) {
  const Log log = run({}, {kGreeting, reply(502), reply(250)});
  EXPECT_EQ(log.said, "|EHLO me.example|HELO me.example|");
  EXPECT_TRUE(log.ready);
}

TEST(Opening, LmtpHasNoWayBack) {
  const Log log = run({.lmtp = true}, {kGreeting, reply(502)});
  EXPECT_EQ(log.said, "|LHLO me.example|");
  ASSERT_TRUE(log.failure);
  EXPECT_EQ(log.failure->stage, AttemptStage::hello);
}

TEST(Opening, StartsTlsAndForgetsWhatWasSaidBefore) {
  const Log log = run({}, {kGreeting, kTlsHello, reply(220), kPlainHello});
  EXPECT_EQ(log.said, "|EHLO me.example|STARTTLS|(tls)|EHLO me.example|");
  EXPECT_TRUE(log.ready);
}

TEST(Opening, DoesNotStartTlsTwice) {
  const Log log = run({}, {kGreeting, kTlsHello, reply(220), kTlsHello});
  EXPECT_TRUE(log.ready);
}

TEST(Opening, RefusedStarttls) {
  EXPECT_TRUE(run({}, {kGreeting, kTlsHello, reply(454)}).ready);  // opportunistic: in the clear
  const Log log = run({.tls_required = true}, {kGreeting, kTlsHello, reply(554)});
  ASSERT_TRUE(log.failure);
  EXPECT_EQ(log.failure->kind, RecipientResult::Kind::temporary);
  EXPECT_EQ(log.failure->stage, AttemptStage::tls);
}

TEST(Opening, RequiredTlsThatIsNotOffered) {
  const Log log = run({.tls_required = true}, {kGreeting, kPlainHello});
  ASSERT_TRUE(log.failure);
  EXPECT_EQ(log.failure->kind, RecipientResult::Kind::temporary);
  EXPECT_EQ(log.failure->code, 0);
  EXPECT_EQ(log.failure->enhanced, "4.7.4");
}

TEST(Opening, NoTlsWanted) {
  EXPECT_EQ(run({.use_starttls = false}, {kGreeting, kTlsHello}).said, "|EHLO me.example|");
}

TEST(Opening, AuthPlain) {  // RFC 4616 §4: the first example's shape
  const Log log = run({.tls_active = true, .user = "tim", .password = "tanstaaftanstaaf"},
                      {kGreeting, kAuthHello, reply(235)});
  EXPECT_EQ(log.said, "|EHLO me.example|AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm|");
  EXPECT_TRUE(log.ready);
}

TEST(Opening, AuthLogin) {
  const Log log = run({.tls_active = true, .user = "u", .password = "p"},
                      {kGreeting, kLoginHello, reply(334), reply(334), reply(235)});
  EXPECT_EQ(log.said, "|EHLO me.example|AUTH LOGIN|dQ==|cA==|");
  EXPECT_TRUE(log.ready);
}

TEST(Opening, NoCredentialsInTheClear) {
  const Log log = run({.user = "u", .password = "secret"}, {kGreeting, kAuthHello});
  EXPECT_EQ(log.said, "|EHLO me.example|");
  ASSERT_TRUE(log.failure);
  EXPECT_EQ(log.failure->stage, AttemptStage::auth);
}

struct Failing {
  std::string_view name;
  OpeningTerms terms;
  std::vector<ServerReply> replies;
  AttemptStage stage;
  RecipientResult::Kind kind;
};
TEST(Opening, Failures) {
  using enum RecipientResult::Kind;
  const OpeningTerms auth{.tls_active = true, .user = "u", .password = "p"};
  const Failing cases[] = {
      {"greeting 4yz", {}, {reply(421)}, AttemptStage::greeting, temporary},
      {"greeting 5yz may be this host only", {}, {reply(554)}, AttemptStage::greeting, temporary},
      {"greeting 3yz", {}, {reply(354)}, AttemptStage::greeting, temporary},
      {"EHLO 4yz", {}, {kGreeting, reply(450)}, AttemptStage::hello, temporary},
      {"HELO 5yz", {}, {kGreeting, reply(550), reply(550)}, AttemptStage::hello, permanent},
      {"HELO 4yz", {}, {kGreeting, reply(550), reply(450)}, AttemptStage::hello, temporary},
      {"wrong password", auth, {kGreeting, kAuthHello, reply(535)}, AttemptStage::auth, temporary},
      {"a challenge to PLAIN", auth, {kGreeting, kAuthHello, reply(334)}, AttemptStage::auth, temporary},
      {"LOGIN that never ends",
       auth,
       {kGreeting, kLoginHello, reply(334), reply(334), reply(334)},
       AttemptStage::auth,
       temporary},
      {"no mechanism", auth, {kGreeting, kPlainHello}, AttemptStage::auth, temporary},
      {"421 at STARTTLS", {}, {kGreeting, kTlsHello, reply(421)}, AttemptStage::tls, temporary},
  };
  for (const Failing& c : cases) {
    SCOPED_TRACE(c.name);
    const Log log = run(c.terms, c.replies);
    ASSERT_TRUE(log.failure);
    EXPECT_EQ(log.failure->stage, c.stage);
    EXPECT_EQ(log.failure->kind, c.kind);
    const char expected_class = c.kind == permanent ? '5' : '4';
    EXPECT_EQ(log.failure->enhanced.front(), expected_class);
  }
}

}  // namespace
}  // namespace postern::smtp::client
