// What becomes of a message: from the final dot to the mailbox and the reply.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "filters/message/analysis.h"
#include "tests/unit/gateway/pipeline/house.h"
#include "tests/unit/storage/sync_gate.h"

namespace postern::pipeline {
namespace {

using namespace std::string_view_literals;

/// Split, so that no scanner takes this file for what it tests.
const std::string kGtube =
    std::string("XJS*C4JDBQADN1.NSBN3*2IDNEN*") + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";

struct Delivery {
  std::string sender = "sender@client.example";
  std::vector<std::string> recipients = {"alice@test.example"};
  std::string message;
  std::string parameters;
  ClientOptions client;
};

reactor::Task<void> deliver_once(House& house, const Delivery& delivery, std::string* reply) {
  Client client(house, delivery.client);
  std::string hello(kHello);
  if (delivery.client.listener == 1) hello.replace(0, 4, "LHLO");
  (void)co_await client.say(hello);
  *reply =
      co_await client.deliver(delivery.sender, delivery.recipients, delivery.message, delivery.parameters);
}

std::string deliver(House& house, const Delivery& delivery) {
  std::string reply;
  test::run(deliver_once(house, delivery, &reply));
  return reply;
}

std::string id_of(std::string_view reply) {
  const std::size_t at = reply.rfind("(id ");
  return at == std::string_view::npos ? std::string()
                                      : std::string(reply.substr(at + 4, storage::MessageId::kTextLength));
}

std::string field(const std::string& stored, std::string_view name) {
  const filters::Analysis analysis = filters::Analysis::of(stored);
  const filters::HeaderField* found = analysis.find(name);
  return found == nullptr ? "" : filters::Analysis::unfolded(found->value);
}

TEST(Acceptance, TheMessageIsInTheMailboxBehindTheTraceFields) {
  House house;
  const std::string message = message_text("dots and octets", "..\r\n.\r\n\0\x80\xff\r\nlast\r\n"sv);
  const std::string reply = deliver(house, {.message = message});
  ASSERT_TRUE(reply.starts_with("250 2.0.0 Message accepted (id ")) << reply;
  ASSERT_TRUE(reply.ends_with(")\r\n"));
  const auto stored = house.messages("alice@test.example");
  ASSERT_EQ(stored.size(), 1U);
  ASSERT_TRUE(stored[0].ends_with(message));
  EXPECT_TRUE(stored[0].starts_with("Return-Path: <sender@client.example>\r\n"));
  const std::string received = field(stored[0], "Received");
  EXPECT_TRUE(
      received.starts_with("from client.example ([192.0.2.1]) by mx.test.example (Postern) with ESMTP id " +
                           id_of(reply) + " for <alice@test.example>; "))
      << received;
  EXPECT_EQ(field(stored[0], "X-Spam-Status"), "No, score=1.0 required=5.0 tests=NUL_OCTET");
  EXPECT_EQ(field(stored[0], "X-Spam-Flag"), "");
  EXPECT_TRUE(house.store().verify()->problems.empty());
  EXPECT_TRUE(house.has_metric("postern_messages_received_total 1"));
  EXPECT_TRUE(house.has_metric(R"(postern_messages_total{action="accept"} 1)"));
  EXPECT_TRUE(house.has_metric(R"(postern_stage_duration_seconds_count{stage="store"} 1)"));
}

TEST(Acceptance, WithoutDnsAMessageComesInAndItsResultsSaySo) {
  House house({.manifest = std::string(kManifest) + "[filter.authentication]\nenabled = true\n"});
  for (const std::size_t octets : {std::size_t{10}, std::size_t{400'000}}) {  // here and on a worker
    std::string body;
    while (body.size() < octets) body += "line\r\n";
    const std::string reply = deliver(house, {.message = message_text("who", body)});
    ASSERT_TRUE(reply.starts_with("250 2.0.0")) << reply;
    const auto stored = house.messages("alice@test.example");
    std::string results = field(stored.back(), "Authentication-Results");
    std::ranges::replace(results, '\t', ' ');  // folded with tabs
    EXPECT_EQ(results,
              "mx.test.example; iprev=temperror reason=\"reverse name: refused\" policy.iprev=192.0.2.1; "
              "spf=temperror reason=\"TXT client.example: refused (section 4.4)\" "
              "smtp.mailfrom=sender@client.example; "
              "dkim=none; dmarc=temperror reason=\"TXT _dmarc.client.example: refused\" "
              "header.from=client.example; arc=none");
    EXPECT_EQ(field(stored.back(), "X-Spam-Status"), "No, score=0.0 required=5.0 tests=none");
  }
}

TEST(Acceptance, TheBodyMemoryIsGivenBack) {
  House house;
  (void)deliver(house, {.message = message_text("x", std::string(100'000, 'x') + "\r\n")});
  house.store().close();
  EXPECT_EQ(house.budget().used(), 0U);
}

TEST(Acceptance, TwoAddressesOfOneMailboxAreOneDelivery) {
  House house;
  const std::string reply = deliver(house, {.recipients = {"alice@test.example", "info@test.example",
                                                           "ALICE@test.example", "bob@test.example"},
                                            .message = message_text("x")});
  EXPECT_TRUE(reply.starts_with("250 ")) << reply;
  EXPECT_EQ(house.messages("alice@test.example").size(), 1U);
  EXPECT_EQ(house.messages("bob@test.example").size(), 1U);
  EXPECT_EQ(field(house.messages("bob@test.example")[0], "Received").find("for <"), std::string::npos);
}

TEST(Acceptance, WhatIsForgedIsTakenOut) {
  House house;
  const std::string rest = message_text("forged");
  (void)deliver(house, {.message = "Return-Path: <bank@bank.example>\r\nX-Spam-Flag: NO\r\n" + rest});
  const auto stored = house.messages("alice@test.example");
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_TRUE(stored[0].ends_with(rest));
  EXPECT_EQ(stored[0].find("bank.example"), std::string::npos);
  EXPECT_EQ(stored[0].find("X-Spam-Flag"), std::string::npos);
}

struct ActionRow {
  std::string_view name;
  double score;
  std::string_view code, folder, action;
};

TEST(Acceptance, TheScoreDecides) {
  const ActionRow rows[] = {
      {"below all", 4.9, "250 2.0.0", "INBOX", "accept"},
      {"tagged", 5.0, "250 2.0.0", "INBOX", "tag"},
      {"just tagged", 9.9, "250 2.0.0", "INBOX", "tag"},
      {"quarantined", 10.0, "250 2.0.0", "Junk", "quarantine"},
  };
  for (const ActionRow& row : rows) {
    SCOPED_TRACE(row.name);
    House house({.manifest = std::string(kManifest) +
                             "[filter]\nblock_score = " + fmt::format("{:.1f}", row.score) +
                             "\n[filter.block]\nsenders = [\"@client.example\"]\n"});
    const std::string reply = deliver(house, {.message = message_text("scored")});
    EXPECT_TRUE(reply.starts_with(row.code)) << reply;
    const auto stored = house.messages("alice@test.example", row.folder);
    ASSERT_EQ(stored.size(), 1U);
    const bool spam = row.action != "accept";
    EXPECT_EQ(field(stored[0], "X-Spam-Flag"), spam ? "YES" : "");
    EXPECT_TRUE(field(stored[0], "X-Spam-Status").starts_with(spam ? "Yes, score=" : "No, score="));
    EXPECT_TRUE(house.has_metric(fmt::format("postern_messages_total{{action=\"{}\"}} 1", row.action)));
    EXPECT_TRUE(house.has_metric(R"(postern_rule_hits_total{rule="LOCAL_BLOCK_SENDER"} 1)"));
    EXPECT_EQ(house.events("message").at(0)["action"], row.action);
  }
}

/// alice marks at 5; bob keeps at 5; small refuses at 5; any.example throws away at 5. Known before the data is `score`; a NUL in the
/// message adds one point.
std::string with_profiles(double score) {
  return std::string(kManifest) + fmt::format("[filter]\nblock_score = {}\nreject_score = 20\n", score) +
         R"([filter.block]
senders = ["@client.example"]
[[filter.profile]]
name = "marks"
recipients = ["alice@test.example"]
quarantine_score = 15
subject_tag = "[SPAM]"
[[filter.profile]]
name = "keeps"
recipients = ["bob@test.example"]
quarantine_score = 5
quarantine = "store"
[[filter.profile]]
name = "refuses"
recipients = ["@.test.example", "small@test.example"]
quarantine_score = 5
reject_score = 5
[[filter.profile]]
name = "throws away"
recipients = ["@any.example"]
discard_score = 5
)";
}

constexpr std::string_view kNul = "a\0b\r\n"sv;

std::vector<storage::QuarantineEntry> quarantined(const House& house) {
  std::vector<storage::QuarantineEntry> entries;
  const auto rows = house.store().quarantine_rows({}, 100);
  EXPECT_TRUE(rows);
  if (rows)
    for (const storage::QuarantineRow& row : *rows) entries.push_back(row.entry.value());
  return entries;
}

TEST(Acceptance, EachRecipientGetsWhatHisProfileSays) {
  House house({.manifest = with_profiles(4.5)});
  const std::string message = message_text("offer", kNul);
  const std::string reply = deliver(
      house, {.recipients = {"small@test.example", "alice@test.example", "bob@test.example", "x@any.example"},
              .message = message});
  EXPECT_TRUE(reply.starts_with("250 2.0.0")) << reply;
  const auto stored = house.messages("alice@test.example");
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(field(stored[0], "Subject"), "[SPAM] offer");
  EXPECT_EQ(field(stored[0], "X-Spam-Flag"), "YES");
  EXPECT_TRUE(house.messages("bob@test.example").empty());
  EXPECT_TRUE(house.messages("x@any.example").empty());
  const auto kept = quarantined(house);
  ASSERT_EQ(kept.size(), 2U) << "bob's, and what cannot be refused for small alone";
  EXPECT_EQ(kept[0].recipient, "small@test.example");
  EXPECT_EQ(kept[1].recipient, "bob@test.example");
  EXPECT_EQ(kept[0].subject, "offer");
  EXPECT_EQ(kept[0].score_millionths, 5'500'000);
  const auto rows = house.store().quarantine_rows({}, 1);
  const auto octets = house.store().message(rows->at(0).key.id);
  ASSERT_TRUE(octets);
  EXPECT_TRUE(octets->ends_with(message)) << "untouched";
  EXPECT_EQ(field(*octets, "X-Spam-Flag"), "");
  EXPECT_TRUE(field(*octets, "X-Spam-Status").starts_with("No, score=5.5"));
  const storage::Ledger ledger = house.store().ledger();
  EXPECT_EQ(ledger.opened, 4U);
  EXPECT_EQ(ledger.delivered, 1U);
  EXPECT_EQ(ledger.quarantined, 2U);
  EXPECT_EQ(ledger.discarded, 1U);
  EXPECT_EQ(house.store().verify()->problems, std::vector<std::string>());
  EXPECT_EQ(house.events("message").at(0)["action"], "discard");
  const auto record =
      nlohmann::json::parse(house.store().record(*storage::MessageId::parse(id_of(reply))).value());
  ASSERT_EQ(record["dispositions"].size(), 4U);
  EXPECT_EQ(record["dispositions"][0]["action"], "reject");
  EXPECT_EQ(record["dispositions"][1]["profile"], "marks");
}

TEST(Acceptance, WhatEverybodyRefusesIsRefused) {
  House house({.manifest = with_profiles(4.5)});
  const std::string reply = deliver(
      house, {.recipients = {"small@test.example", "x@any.example"}, .message = message_text("offer", kNul)});
  EXPECT_TRUE(reply.starts_with("554 5.7.1")) << reply;
  EXPECT_TRUE(quarantined(house).empty());
  EXPECT_EQ(house.store().ledger().opened, 0U);
}

TEST(Acceptance, WhatNobodyGetsIsInTheLedgerAndSaysWhy) {
  House house({.manifest = with_profiles(4.5)});
  const std::string reply =
      deliver(house, {.recipients = {"x@any.example"}, .message = message_text("offer", kNul)});
  EXPECT_TRUE(reply.starts_with("250 2.0.0")) << reply;
  EXPECT_EQ(house.store().ledger().discarded, 1U);
  EXPECT_TRUE(house.store().record(*storage::MessageId::parse(id_of(reply))));
  EXPECT_TRUE(house.has_metric(R"(postern_messages_total{action="discard"} 1)"));
  EXPECT_EQ(house.store().verify()->problems, std::vector<std::string>());
}

TEST(Acceptance, BelowTheirThresholdsProfilesChangeNothing) {
  House house({.manifest = with_profiles(3.5)});
  const std::string reply = deliver(
      house, {.recipients = {"small@test.example", "alice@test.example", "bob@test.example", "x@any.example"},
              .message = message_text("offer", kNul)});
  EXPECT_TRUE(reply.starts_with("250 2.0.0")) << reply;
  for (const std::string_view mailbox :
       {"small@test.example", "alice@test.example", "bob@test.example", "x@any.example"}) {
    const auto stored = house.messages(mailbox);
    ASSERT_EQ(stored.size(), 1U) << mailbox;
    EXPECT_EQ(field(stored[0], "Subject"), "offer");
  }
}

TEST(Acceptance, TheMilderWordHoldsForTwoAddressesOfOneMailbox) {
  House house({.manifest = std::string(kManifest) + R"([filter]
block_score = 6
[filter.block]
senders = ["@client.example"]
[[filter.profile]]
name = "keeps"
recipients = ["info@test.example"]
quarantine_score = 5
quarantine = "store"
)"});
  (void)deliver(house,
                {.recipients = {"info@test.example", "alice@test.example"}, .message = message_text("x")});
  EXPECT_EQ(house.messages("alice@test.example").size(), 1U);
  EXPECT_TRUE(quarantined(house).empty());
  EXPECT_EQ(house.store().ledger().opened, 1U);
}

TEST(Acceptance, InLmtpWhoRefusesSaysSoForHimself) {
  House house({.manifest = with_profiles(4.5)});
  const std::string reply = deliver(house, {.recipients = {"alice@test.example", "small@test.example"},
                                            .message = message_text("x", kNul),
                                            .client = {.listener = 1}});
  EXPECT_TRUE(reply.starts_with("250 2.0.0")) << reply;
  EXPECT_NE(reply.find("\r\n554 5.7.1 "), std::string::npos) << reply;
  EXPECT_EQ(house.messages("alice@test.example").size(), 1U);
  EXPECT_TRUE(quarantined(house).empty());
}

TEST(Acceptance, GtubeIsRefused) {
  House house;
  const std::string reply = deliver(house, {.message = message_text("gtube", kGtube)});
  EXPECT_TRUE(reply.starts_with("550 5.7.1 ") || reply.starts_with("554 5.7.1 ")) << reply;
  EXPECT_EQ(id_of(reply).size(), storage::MessageId::kTextLength);
  EXPECT_TRUE(house.messages("alice@test.example").empty());
  EXPECT_TRUE(house.has_metric(R"(postern_messages_total{action="reject"} 1)"));
  const auto events = house.events("message");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0]["action"], "reject");
  EXPECT_EQ(events[0]["mid"], id_of(reply));
}

TEST(Acceptance, ALoopIsBroken) {
  House house({.manifest = std::string(kManifest) + "[filter]\nenabled = false\n"});
  const std::string hop = "Received: from a.example by b.example; Tue, 24 Nov 2026 12:00:00 +0000\r\n";
  std::string hops;
  for (int i = 0; i < 100; ++i) hops += hop;
  const std::string at_the_limit = deliver(house, {.message = hops + message_text("loop")});
  EXPECT_TRUE(at_the_limit.starts_with("250 ")) << at_the_limit;
  const std::string beyond = deliver(house, {.message = hops + hop + message_text("loop")});
  EXPECT_TRUE(beyond.starts_with("554 5.4.6 ")) << beyond;
  const auto stored = house.messages("alice@test.example");
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].find("X-Spam"), std::string::npos);  // nothing was judged
}

TEST(Acceptance, AFullMailboxTakesNoMore) {
  House house;
  const Delivery filling{.recipients = {"small@test.example"},
                         .message = message_text("x", std::string(1500, 'x') + "\r\n")};
  EXPECT_TRUE(deliver(house, filling).starts_with("250 "));
  EXPECT_TRUE(deliver(house, filling).starts_with("250 "));  // not full before it
  const std::string reply = deliver(house, filling);
  EXPECT_NE(reply.find("452 4.2.2 The mailbox is full"), std::string::npos) << reply;
  EXPECT_EQ(house.messages("small@test.example").size(), 2U);
}

TEST(Acceptance, AFullMailboxIsRefusedForGoodWhereTheManifestSaysSo) {
  House house({.manifest = "over_quota = \"refuse\"\n" + std::string(kManifest)});
  Delivery delivery{
      .recipients = {"small@test.example"}, .message = message_text("x"), .parameters = " SIZE=2001"};
  EXPECT_NE(deliver(house, delivery).find("552 5.2.2 "), std::string::npos);
  delivery.parameters = " SIZE=2000";
  EXPECT_TRUE(deliver(house, delivery).starts_with("250 "));
}

reactor::Task<void> two_at_once(House& house, std::size_t listener, std::vector<std::string> recipients,
                                std::string* reply) {
  Client client(house, {.listener = listener});
  Client other(house);
  std::string commands = listener == 1 ? "LHLO c.example\r\n" : "EHLO c.example\r\n";
  commands += "MAIL FROM:<a@c.example>\r\n";
  for (const std::string& recipient : recipients) commands += "RCPT TO:<" + recipient + ">\r\n";
  (void)co_await client.say(commands + "DATA\r\n");
  (void)co_await other.say(std::string(kHello));
  const std::string filled = co_await other.deliver("b@c.example", {"small@test.example"},
                                                    message_text("x", std::string(3000, 'x') + "\r\n"));
  EXPECT_TRUE(filled.starts_with("250 ")) << filled;
  *reply = co_await client.say(message_text("y") + ".\r\n");
}

TEST(Acceptance, AMailboxThatFilledUpMeanwhile) {
  const std::vector<std::string> both = {"small@test.example", "bob@test.example"};
  std::string reply;
  {
    House house;  // LMTP: each recipient has its own reply
    test::run(two_at_once(house, 1, both, &reply));
    EXPECT_TRUE(reply.starts_with("452 4.2.2 ")) << reply;
    EXPECT_NE(reply.find("\r\n250 2.0.0 Message accepted (id "), std::string::npos) << reply;
    EXPECT_EQ(house.messages("small@test.example").size(), 1U);
    EXPECT_EQ(house.messages("bob@test.example").size(), 1U);
  }
  {
    House house;  // SMTP: one reply for all, so the promise of RCPT is kept
    test::run(two_at_once(house, 0, both, &reply));
    EXPECT_TRUE(reply.starts_with("250 ")) << reply;
    EXPECT_EQ(house.messages("small@test.example").size(), 2U);
  }
  {
    House house;
    test::run(two_at_once(house, 0, {"small@test.example"}, &reply));
    EXPECT_TRUE(reply.starts_with("452 4.2.2 ")) << reply;
    EXPECT_EQ(house.messages("small@test.example").size(), 1U);
  }
}

TEST(Acceptance, LmtpAnswersForEachRecipient) {
  House house;
  const std::string reply =
      deliver(house, {.recipients = {"alice@test.example", "bob@test.example", "info@test.example"},
                      .message = message_text("lmtp"),
                      .client = {.listener = 1}});
  std::size_t lines = 0;
  for (std::size_t at = reply.find("250 2.0.0 Message accepted (id "); at != std::string::npos;
       at = reply.find("250 2.0.0 Message accepted (id ", at + 1))
    ++lines;
  EXPECT_EQ(lines, 3U) << reply;
  EXPECT_EQ(house.messages("alice@test.example").size(), 1U);
  EXPECT_NE(field(house.messages("bob@test.example").at(0), "Received").find(" with LMTP id "),
            std::string::npos);
}

TEST(Acceptance, ALargeMessageIsAnalysedOnAWorker) {
  const std::string large = message_text("large", std::string(400'000, 'x') + "\r\n" + kGtube);
  House house;
  EXPECT_TRUE(deliver(house, {.message = large}).starts_with("55"));
  const std::string harmless = message_text("large", std::string(400'000, 'y') + "\r\n");
  EXPECT_TRUE(deliver(house, {.message = harmless}).starts_with("250 "));
  EXPECT_TRUE(house.messages("alice@test.example").at(0).ends_with(harmless));
}

TEST(Acceptance, WorkersThatAreBusyPutOffOnlyWhatNeedsThem) {
  House house({.manifest = std::string(kManifest) + "[limits]\nanalysis_inline_octets_max = 1000\n",
               .worker_queue_max = 0});
  const std::string head = message_text("x", "");
  const std::string small = head + std::string(1000 - 2 - head.size(), 'x') + "\r\n";
  ASSERT_EQ(small.size(), 1000U);
  EXPECT_TRUE(deliver(house, {.message = small}).starts_with("250 "));
  const std::string reply = deliver(house, {.message = small + "\r\n"});
  EXPECT_TRUE(reply.starts_with("451 4.3.2 ")) << reply;
  EXPECT_EQ(id_of(reply).size(), storage::MessageId::kTextLength);
  EXPECT_TRUE(house.has_metric(R"(postern_stage_degraded_total{stage="analysis",cause="queue_full"} 1)"));
  EXPECT_TRUE(house.has_metric(R"(postern_messages_total{action="defer"} 1)"));
}

TEST(Acceptance, AStoreThatTakesNothingIsOurTrouble) {
  House house;
  const auto visit = [](House& h) -> reactor::Task<void> {
    Client client(h);
    (void)co_await client.say(std::string(kHello) +
                              "MAIL FROM:<a@c.example>\r\nRCPT TO:<bob@test.example>\r\nDATA\r\n");
    h.store().close();
    const std::string reply = co_await client.say(message_text("late") + ".\r\n");
    EXPECT_TRUE(reply.starts_with("452 4.3.1 ")) << reply;
    EXPECT_EQ(id_of(reply).size(), storage::MessageId::kTextLength);
  };
  test::run(visit(house));
  EXPECT_TRUE(house.has_metric(R"(postern_messages_total{action="defer"} 1)"));
  EXPECT_EQ(house.events("message").at(0)["action"], "defer");
}

struct FailureRow {
  std::string_view name;
  int error;
  std::string_view reply;
};

TEST(Acceptance, ACommitThatFailsIsNeverAcknowledged) {
  for (const FailureRow& row :
       {FailureRow{"disk full", ENOSPC, "452 4.3.1 "}, FailureRow{"disk broken", EIO, "451 4.3.0 "}}) {
    SCOPED_TRACE(row.name);
    House house;
    storage::test::SyncGate::fail(row.error, 1);
    const std::string reply = deliver(house, {.message = message_text("perhaps")});
    EXPECT_TRUE(reply.starts_with(row.reply)) << reply;
    EXPECT_EQ(id_of(reply).size(), storage::MessageId::kTextLength);
    EXPECT_TRUE(house.has_metric(R"(postern_messages_total{action="defer"} 1)"));
    EXPECT_TRUE(house.has_metric(R"(postern_messages_total{action="accept"} 0)"));
    EXPECT_EQ(house.events("message").at(0)["action"], "defer");
    EXPECT_EQ(house.events("store_failed").size(), 1U);
  }
}

TEST(Acceptance, TheReplyWaitsForTheSync) {
  House house;
  const auto visit = [](House& h) -> reactor::Task<void> {
    std::string reply;
    reactor::Scope scope;
    storage::test::SyncGate::hold();
    const Delivery delivery{.message = message_text("durable")};
    scope.spawn(deliver_once(h, delivery, &reply));
    EXPECT_TRUE(storage::test::SyncGate::wait_until_held());
    const auto later = reactor::Clock::now() + std::chrono::milliseconds(50);
    (void)co_await reactor::Reactor::current().sleep_until(later);
    EXPECT_EQ(reply, "");
    storage::test::SyncGate::release();
    co_await scope.join();
    EXPECT_TRUE(reply.starts_with("250 ")) << reply;
  };
  test::run(visit(house));
}

TEST(Acceptance, AReloadTouchesTheNextTransaction) {
  House house;
  const auto changed =
      house.snapshot(std::string(kManifest) + "[[account]]\naddress = \"new@test.example\"\n");
  const auto visit = [](House& h, std::shared_ptr<const Snapshot> next) -> reactor::Task<void> {
    Client client(h);
    (void)co_await client.say(std::string(kHello) + "MAIL FROM:<a@c.example>\r\n");
    h.snapshots().set(std::move(next));
    const std::string before = co_await client.say("RCPT TO:<new@test.example>\r\n");
    EXPECT_TRUE(before.starts_with("550 5.1.1 ")) << before;  // the transaction keeps what it began with
    (void)co_await client.say("RSET\r\n");
    const std::string after =
        co_await client.deliver("a@c.example", {"new@test.example"}, message_text("new"));
    EXPECT_TRUE(after.starts_with("250 ")) << after;
  };
  test::run(visit(house, changed));
  EXPECT_EQ(house.messages("new@test.example").size(), 1U);
}

TEST(Acceptance, ManyTransactionsInOneSession) {
  House house;
  const auto visit = [](House& h) -> reactor::Task<void> {
    Client client(h);
    (void)co_await client.say(std::string(kHello));
    for (int i = 0; i < 20; ++i) {
      const std::string reply =
          co_await client.deliver("a@c.example", {"bob@test.example"}, message_text(std::to_string(i)));
      EXPECT_TRUE(reply.starts_with("250 ")) << reply;
    }
  };
  test::run(visit(house));
  const auto stored = house.messages("bob@test.example");
  ASSERT_EQ(stored.size(), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(field(stored[i], "Subject"), std::to_string(i));
}

}  // namespace
}  // namespace postern::pipeline
