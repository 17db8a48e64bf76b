// The dialogue: groups, pieces, transactions, TLS, XCLIENT.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/unit/gateway/smtp_server/fixture.h"

namespace postern::test {
namespace {

using namespace std::chrono_literals;

class Dialogue : public SmtpServerTest {};

constexpr std::string_view kMail = "MAIL FROM:<a@client.example>\r\n";
constexpr std::string_view kRcpt = "RCPT TO:<b@test.example>\r\n";

TEST_F(Dialogue, AnswersAPipelinedGroupInOneSegment) {
  start();
  Client client = greeted();
  EXPECT_EQ(client.say("EHLO client.example").substr(0, 3), "250");
  const unsigned before = client.data_segments();
  std::string group(kMail);
  for (int i = 0; i < 20; ++i) group += kRcpt;
  client.send(group + "DATA\r\n");
  EXPECT_EQ(client.codes(22).substr(80), "250 354");
  EXPECT_EQ(client.data_segments(), before + 1);
  client.send("Subject: one\r\n\r\nText\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n");
  EXPECT_EQ(
      client.rest(),
      "250 2.0.0 Ok (id test)\r\n250 2.0.0 Reset\r\n250 2.0.0 Ok\r\n221 2.0.0 mx.test.example closing\r\n");
  EXPECT_EQ(client.data_segments(), before + 2);
  EXPECT_EQ(house.times("rcpt b@test.example"), 20U);
  EXPECT_EQ(house.times("message Subject: one\r\n\r\nText\r\n"), 1U);
}

TEST_F(Dialogue, SendsRepliesOnTheWayWhenAGroupBringsVeryMany) {
  house.decide = [](smtp::Stage stage, const smtp::VisitFacts&) -> std::optional<smtp::Decision> {
    if (stage != smtp::Stage::rcpt) return std::nullopt;
    return smtp::Decision{.reply = {450, "4.2.1", std::string(400, 'x')}};
  };
  start();
  Client client = greeted();
  EXPECT_EQ(client.say("EHLO client.example").substr(0, 3), "250");
  std::string group(kMail);
  constexpr std::size_t kRecipients = 500;  // 200 KiB of replies to 13 KiB of commands
  for (std::size_t i = 0; i < kRecipients; ++i) group += kRcpt;
  client.send(group + "QUIT\r\n");
  EXPECT_EQ(client.codes(1), "250");
  for (std::size_t i = 0; i < kRecipients; ++i) EXPECT_EQ(client.codes(1), "450") << i;
  EXPECT_EQ(client.codes(1), "221");
  EXPECT_EQ(house.times("rcpt b@test.example"), kRecipients);
}

constexpr std::string_view kWholeVisit =
    "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\n"
    "Subject: one\r\n\r\n..dot\r\nText\r\n.\r\n"
    "MAIL FROM:<c@client.example>\r\nRCPT TO:<d@test.example>\r\nBDAT 5\r\nTwo\r\nBDAT 0 LAST\r\nQUIT\r\n";

TEST_F(Dialogue, AnswersTheSameHoweverTheInputIsCut) {
  start();
  Client whole = greeted();
  whole.send(kWholeVisit);
  const std::string expected = whole.rest();
  EXPECT_NE(expected.find("221 2.0.0"), std::string::npos) << expected;

  std::vector<Client> clients;
  for (std::size_t cut = 1; cut < kWholeVisit.size(); ++cut) clients.push_back(greeted());
  for (std::size_t cut = 1; cut < kWholeVisit.size(); ++cut)
    clients[cut - 1].send(kWholeVisit.substr(0, cut));
  std::this_thread::sleep_for(50ms);
  for (std::size_t cut = 1; cut < kWholeVisit.size(); ++cut) clients[cut - 1].send(kWholeVisit.substr(cut));
  for (std::size_t cut = 1; cut < kWholeVisit.size(); ++cut)
    EXPECT_EQ(clients[cut - 1].rest(), expected) << "cut at " << cut;

  Client octets = greeted();
  for (const char octet : kWholeVisit) {
    octets.send({&octet, 1});
    std::this_thread::sleep_for(200us);
  }
  EXPECT_EQ(octets.rest(), expected);
  const std::size_t visits = kWholeVisit.size() + 1;
  EXPECT_EQ(house.times("message Subject: one\r\n\r\n.dot\r\nText\r\n"), visits);
  EXPECT_EQ(house.times("message Two\r\n"), visits);
}

TEST_F(Dialogue, SaysNothingAboutAMessageBeforeTheHouseHasIt) {
  house.hold(smtp::Stage::message);
  start();
  Client client = greeted();
  client.send("EHLO c.example\r\n" + std::string(kMail) + std::string(kRcpt) + "DATA\r\n");
  EXPECT_EQ(client.codes(4), "250 250 250 354");
  client.send("Subject: one\r\n\r\n.\r\nNOOP\r\n");
  ASSERT_TRUE(house.wait_until_held());
  EXPECT_TRUE(client.hears_nothing(200ms));
  release();
  EXPECT_EQ(client.codes(2), "250 250");
}

TEST_F(Dialogue, ServesOthersWhileTheHouseThinks) {
  house.hold(smtp::Stage::mail);
  start();
  Client waiting = greeted();
  EXPECT_EQ(waiting.say("EHLO c.example").substr(0, 3), "250");
  waiting.send(kMail);
  ASSERT_TRUE(house.wait_until_held());
  Client other = greeted();
  EXPECT_EQ(other.say("EHLO c.example").substr(0, 3), "250");
  EXPECT_EQ(other.say("NOOP").substr(0, 3), "250");
  release();
  EXPECT_EQ(waiting.reply().substr(0, 3), "250");
}

struct ForgetCase {
  std::string_view name, talk;
  std::size_t resets;
};

constexpr ForgetCase kForgetCases[] = {
    {"RSET", "RSET\r\n", 1},
    {"RSET twice", "RSET\r\nRSET\r\n", 1},
    {"EHLO", "EHLO again.example\r\n", 1},
    {"RSET and MAIL in one group", "RSET\r\nMAIL FROM:<c@client.example>\r\n", 1},
    {"RSET between three transactions",
     "RSET\r\nMAIL FROM:<c@client.example>\r\nRSET\r\nMAIL FROM:<d@client.example>\r\n", 2},
    {"data with a bare LF", "RCPT TO:<b@test.example>\r\nDATA\r\nText\nmore\r\n.\r\n", 1},
    {"a refused last chunk", "BDAT 2 LAST\r\nab", 1},
    {"a message that the house took", "RCPT TO:<b@test.example>\r\nDATA\r\nText\r\n.\r\n", 0},
    {"nothing", "NOOP\r\n", 0},
};

TEST_F(Dialogue, TellsTheHouseWhenATransactionIsForgotten) {
  start();
  for (const ForgetCase& c : kForgetCases) {
    SCOPED_TRACE(c.name);
    const std::size_t before = house.times("reset");
    Client client = greeted();
    client.send("EHLO c.example\r\n" + std::string(kMail) + std::string(c.talk) + "QUIT\r\n");
    EXPECT_NE(client.rest().find("221 "), std::string::npos);
    EXPECT_EQ(house.times("reset") - before, c.resets);
  }
}

TEST_F(Dialogue, RefusesAndHangsUpAsTheHouseSays) {
  house.decide = [](smtp::Stage stage, const smtp::VisitFacts& facts) -> std::optional<smtp::Decision> {
    if (stage == smtp::Stage::helo && facts.session.recipients() == 0) return std::nullopt;
    if (stage != smtp::Stage::rcpt) return std::nullopt;
    const std::string& local = facts.session.pending_rcpt().path.mailbox.local;
    if (local == "unknown") return smtp::Decision{.reply = {550, "5.1.1", "No such address"}};
    if (local == "enough") return smtp::Decision{.reply = {450, "4.7.1", "Enough"}, .close = true};
    return std::nullopt;
  };
  start();
  Client client = greeted();
  client.send(
      "EHLO c.example\r\n" + std::string(kMail) +
      "RCPT TO:<unknown@test.example>\r\nRCPT TO:<b@test.example>\r\nRCPT TO:<enough@test.example>\r\n"
      "NOOP\r\n");
  EXPECT_EQ(client.codes(5), "250 250 550 250 450");
  EXPECT_EQ(client.rest(), "");
}

struct MessageCase {
  std::string_view name;
  smtp::Protocol protocol;
  std::vector<smtp::Decision> decisions;
  std::string_view replies;
  bool closed;
};

TEST_F(Dialogue, AnswersAMessageAsTheHouseSays) {
  const smtp::Reply yes{250, "2.0.0", "Kept"}, full{452, "4.2.2", "Full"}, no{554, "5.7.1", "Spam"};
  const MessageCase cases[] = {
      {"one yes", smtp::Protocol::smtp, {{yes}}, "250", false},
      {"one no", smtp::Protocol::smtp, {{no}}, "554", false},
      {"one no and goodbye", smtp::Protocol::smtp, {{no, true}}, "554", true},
      {"no decision is our mistake", smtp::Protocol::smtp, {}, "451", false},
      {"LMTP: one for each", smtp::Protocol::lmtp, {{yes}, {full}}, "250 452", false},
      {"LMTP: one for all", smtp::Protocol::lmtp, {{no}}, "554 554", false},
      {"LMTP: goodbye", smtp::Protocol::lmtp, {{yes}, {full, true}}, "250 452", true},
  };
  std::vector<smtp::Decision> current;
  bool lmtp = false;
  house.decide_message = [&](const smtp::Transaction&) { return current; };
  house.adjust_terms = [&](const filters::Ip&, smtp::Terms& terms) {
    terms.session.protocol = lmtp ? smtp::Protocol::lmtp : smtp::Protocol::smtp;
  };
  start();
  for (const MessageCase& c : cases) {
    SCOPED_TRACE(c.name);
    on_core([&] {
      current = c.decisions;
      lmtp = c.protocol == smtp::Protocol::lmtp;
    });
    Client client = greeted();
    client.send((lmtp ? "LHLO c.example\r\n" : "EHLO c.example\r\n") + std::string(kMail) +
                std::string(kRcpt) + std::string(kRcpt) + "DATA\r\nText\r\n.\r\n");
    EXPECT_EQ(client.codes(5), "250 250 250 250 354");
    EXPECT_EQ(client.codes(lmtp ? 2 : 1), c.replies);
    if (c.closed) {
      EXPECT_EQ(client.rest(), "");
    } else {
      EXPECT_EQ(client.say("NOOP").substr(0, 3), "250");
    }
  }
}

// STARTTLS.

class DialogueTls : public SmtpServerTest {
 protected:
  void SetUp() override {
    house.terms_of_all.tls = plain_contexts();
    house.terms_of_all.session.tls_available = true;
    start();
  }
};

TEST_F(DialogueTls, BeginsAnewAfterStartTls) {
  Client client = greeted();
  EXPECT_NE(client.say("EHLO client.example").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(client.say("MAIL FROM:<a@client.example>").substr(0, 3), "250");
  EXPECT_EQ(client.say("STARTTLS").substr(0, 3), "220");
  ASSERT_TRUE(client.start_tls());
  EXPECT_EQ(client.say("MAIL FROM:<a@client.example>").substr(0, 3), "503") << "no hello yet";
  EXPECT_EQ(client.say("EHLO client.example").find("STARTTLS"), std::string::npos);
  client.send(std::string(kMail) + std::string(kRcpt) + "DATA\r\n");
  EXPECT_EQ(client.codes(3), "250 250 354");
  client.send("Secret\r\n.\r\nQUIT\r\n");
  EXPECT_EQ(client.codes(2), "250 221");
  EXPECT_EQ(client.rest(), "");
  EXPECT_EQ(house.times("reset"), 1U);
  EXPECT_EQ(house.times("mail a@client.example"), 1U);
  EXPECT_EQ(house.times("mail a@client.example tls"), 1U);
  EXPECT_EQ(house.times("message Secret\r\n"), 1U);
}

TEST_F(DialogueTls, NeverExecutesWhatStandsBehindStartTls) {
  Client client = greeted();
  client.send("EHLO c.example\r\nSTARTTLS\r\nEHLO injected.example\r\n" + std::string(kMail) +
              std::string(kRcpt));
  EXPECT_EQ(client.codes(2), "250 220");
  const std::string heard = client.rest();
  EXPECT_EQ(heard.find("250"), std::string::npos) << "those octets are no TLS, so the handshake fails";
  ASSERT_TRUE(connections_become(0));
  EXPECT_EQ(house.times("helo"), 1U);
  EXPECT_EQ(house.times("mail a@client.example"), 0U);
}

TEST_F(DialogueTls, TakesAClientHelloThatCameTogetherWithTheCommand) {
  Client client = greeted();
  EXPECT_EQ(client.say("EHLO c.example").substr(0, 3), "250");
  TlsClient tls;
  (void)tls.handshake();
  client.send("STARTTLS\r\n" + tls.take_output());
  EXPECT_EQ(client.reply().substr(0, 3), "220");
  EXPECT_FALSE(client.hears_nothing(5s)) << "the ServerHello follows";
}

TEST_F(DialogueTls, CarriesLargeMessagesOverTls) {
  Client client = greeted();
  EXPECT_EQ(client.say("STARTTLS").substr(0, 3), "220");
  ASSERT_TRUE(client.start_tls());
  client.send("EHLO c.example\r\n" + std::string(kMail) + std::string(kRcpt) + "DATA\r\n");
  EXPECT_EQ(client.codes(4), "250 250 250 354");
  std::string text;
  while (text.size() < 500'000) text += "A line of an ordinary length, again and again\r\n";
  client.send(text + ".\r\n");
  EXPECT_EQ(client.codes(1), "250");
  EXPECT_EQ(house.times("message " + text), 1U);
}

// XCLIENT.

TEST_F(Dialogue, AsksTheHouseAnewForTheClientThatXclientNames) {
  house.terms_of_all.session.xclient_allowed = true;
  start();
  Client client = greeted();
  EXPECT_EQ(client.say("EHLO proxy.example").substr(0, 3), "250");
  EXPECT_EQ(client.say("XCLIENT ADDR=198.51.100.9 PORT=99 NAME=sender.example").substr(0, 3), "220");
  EXPECT_EQ(client.say("EHLO sender.example").substr(0, 3), "250");
  EXPECT_EQ(client.say("XCLIENT ADDR=IPV6:2001:db8::9").substr(0, 3), "220");
  EXPECT_EQ(client.say("QUIT").substr(0, 3), "221");
  EXPECT_EQ(client.rest(), "");
  ASSERT_TRUE(connections_become(0));
  const std::vector<std::string> expected = {
      "visit 127.0.0.1 at 127.0.0.1",    "connect 127.0.0.1",    "helo", "gone",
      "visit 198.51.100.9 at 127.0.0.1", "connect 198.51.100.9", "helo", "gone",
      "visit 2001:db8::9 at 127.0.0.1",  "connect 2001:db8::9",  "gone"};
  EXPECT_EQ(house.log(), expected);
  EXPECT_TRUE(log_says("\"ip\":\"2001:db8::9\""));
}

// Abuse.

TEST_F(Dialogue, HangsUpOnOtherProtocols) {
  start();
  Client browser = greeted();
  browser.send("GET / HTTP/1.1\r\nHost: mx.test.example\r\n\r\n");
  EXPECT_TRUE(browser.rest().starts_with("421 "));
  Client tls = greeted();
  tls.send("\x16\x03\x01\x02");
  EXPECT_EQ(tls.rest(), "RESET");
}

TEST_F(Dialogue, EndsAfterTooManyErrors) {
  house.terms_of_all.session.limits.errors_max = 3;
  start();
  Client client = greeted();
  EXPECT_EQ(client.say("EHLO c.example").substr(0, 3), "250");
  client.send("NONSENSE\r\nNONSENSE\r\nNONSENSE\r\nNOOP\r\n");
  EXPECT_EQ(client.codes(4), "500 500 500 421");
  EXPECT_EQ(client.rest(), "");
}

}  // namespace
}  // namespace postern::test
