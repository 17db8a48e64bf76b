// Before the dialogue: PROXY header, admission, implicit TLS, early talkers, and the kinds of listeners.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>

#include "tests/unit/gateway/smtp_server/fixture.h"

namespace postern::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_view_literals;

class Arrival : public SmtpServerTest {};

/// FIN or RST, whichever the octets left unread bring about.
bool closed_without_a_word(Client& client) {
  const std::string heard = client.rest();
  return heard.empty() || heard == "RESET";
}

// PROXY.

constexpr std::string_view kVersion2 =
    "\r\n\r\n\0\r\nQUIT\n"
    "\x21\x11\x00\x0c"
    "\xc6\x33\x64\x07\xc0\x00\x02\x01\x30\x39\x00\x19"sv;
constexpr std::string_view kVersion2Local =
    "\r\n\r\n\0\r\nQUIT\n"
    "\x20\x00\x00\x00"sv;
constexpr std::string_view kVersion2Datagram =
    "\r\n\r\n\0\r\nQUIT\n"
    "\x21\x12\x00\x0c"
    "\xc6\x33\x64\x07\xc0\x00\x02\x01\x30\x39\x00\x19"sv;

struct ProxyCase {
  std::string_view name, header, visit;  ///< no visit: closed without a word
};

constexpr ProxyCase kProxyCases[] = {
    {"version 1, TCP4", "PROXY TCP4 198.51.100.7 192.0.2.1 12345 25\r\n", "visit 198.51.100.7 at 192.0.2.1"},
    {"version 1, TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 25\r\n",
     "visit 2001:db8::7 at 2001:db8::1"},
    {"version 1, unknown keeps the peer's address", "PROXY UNKNOWN\r\n", "visit 127.0.0.1 at 127.0.0.1"},
    {"version 2, TCP4", kVersion2, "visit 198.51.100.7 at 192.0.2.1"},
    {"version 2, LOCAL keeps the peer's address", kVersion2Local, "visit 127.0.0.1 at 127.0.0.1"},
    {"a datagram protocol", kVersion2Datagram, ""},
    {"no header but SMTP", "EHLO client.example\r\n", ""},
    {"a header with a mistake", "PROXY TCP4 198.51.100.777 192.0.2.1 12345 25\r\n", ""},
    {"garbage", "\x16\x03\x01\x02\x00", ""},
};

TEST_F(Arrival, TakesTheClientFromTheProxyHeaderOrClosesWithoutAWord) {
  house.expects_proxy = [](const filters::Ip& peer) { return peer.is_loopback(); };
  start();
  for (const ProxyCase& c : kProxyCases) {
    SCOPED_TRACE(c.name);
    const std::size_t before = house.times(c.visit);
    Client client = connect();
    client.send(c.header);
    if (c.visit.empty()) {
      EXPECT_TRUE(closed_without_a_word(client));
      continue;
    }
    EXPECT_EQ(client.reply(), "220 mx.test.example ESMTP Postern");
    EXPECT_EQ(house.times(c.visit), before + 1);
    EXPECT_EQ(client.say("QUIT").substr(0, 3), "221");
  }
  ASSERT_TRUE(connections_become(0));
  EXPECT_TRUE(figures_say("postern_smtp_sessions_total{listener=\"mx test\",result=\"proxy\"} 4"));
}

TEST_F(Arrival, TakesAProxyHeaderOctetByOctetAndTheRestIsSmtp) {
  house.expects_proxy = [](const filters::Ip&) { return true; };
  start();
  for (const std::string_view header : {"PROXY TCP4 198.51.100.7 192.0.2.1 12345 25\r\n"sv, kVersion2}) {
    Client client = connect();
    for (const char octet : header.substr(0, header.size() - 1)) {
      client.send({&octet, 1});
      std::this_thread::sleep_for(1ms);
    }
    client.send(std::string(header.substr(header.size() - 1)) + "EHLO early.example\r\nQUIT\r\n");
    EXPECT_EQ(client.codes(3), "220 250 221");
  }
  // What came along with the header was not waited for.
  EXPECT_EQ(house.times("connect 198.51.100.7 early"), 2U);
}

TEST_F(Arrival, ClosesWhenNoProxyHeaderComesInTime) {
  house.expects_proxy = [](const filters::Ip&) { return true; };
  start();
  const auto begin = std::chrono::steady_clock::now();
  Client silent = connect(), slow = connect(), gone = connect();
  gone.close();
  slow.send("PROXY TCP4 198.51.100.7 ");
  std::this_thread::sleep_for(3s);
  slow.send("192.0.2.1 ");  // the deadline is for all of it
  EXPECT_EQ(silent.rest(), "");
  EXPECT_EQ(slow.rest(), "");
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 4900ms);
  EXPECT_LT(took, 8s);
  EXPECT_EQ(house.log().size(), 0U);
  EXPECT_TRUE(log_says("no PROXY header in time"));
  EXPECT_TRUE(log_says("\"level\":\"debug\"")) << "a probe that says nothing is no news";
}

// Admission.

TEST_F(Arrival, RefusesTheConnectionAboveTheTotalUntilOneLeaves) {
  house.terms_of_all.admission.connections_max = 2;
  start();
  Client first = greeted(), second = greeted();
  EXPECT_EQ(connect().rest(), "421 4.3.2 Too many connections, try again later\r\n");
  EXPECT_EQ(first.say("QUIT").substr(0, 3), "221");
  ASSERT_TRUE(connections_become(1));
  Client third = greeted();
  EXPECT_EQ(connect().rest(), "421 4.3.2 Too many connections, try again later\r\n");
  EXPECT_TRUE(
      figures_say("postern_smtp_rejects_total{stage=\"connect\",reason=\"connections\",code=\"421\"} 2"));
}

TEST_F(Arrival, RefusesTheConnectionAboveTheBoundOfItsNetwork) {
  house.expects_proxy = [](const filters::Ip&) { return true; };
  house.terms_of_all.admission = {.connections_max = 100, .connections_per_network_max = 1};
  start();
  Client first = connect();
  first.send("PROXY TCP6 2001:db8::1 2001:db8:ffff::1 1 25\r\n");
  EXPECT_EQ(first.reply().substr(0, 3), "220");
  Client neighbour = connect();
  neighbour.send("PROXY TCP6 2001:db8::2 2001:db8:ffff::1 1 25\r\n");
  EXPECT_EQ(neighbour.rest(), "421 4.7.0 Too many connections from your network\r\n");
  Client other = connect();
  other.send("PROXY TCP6 2001:db8:0:1::1 2001:db8:ffff::1 1 25\r\n");
  EXPECT_EQ(other.reply().substr(0, 3), "220");
  first.close();
  ASSERT_TRUE(connections_become(1));
  Client again = connect();
  again.send("PROXY TCP6 2001:db8::2 2001:db8:ffff::1 1 25\r\n");
  EXPECT_EQ(again.reply().substr(0, 3), "220");
}

TEST_F(Arrival, SaysNothingInPlaintextWhereTlsIsExpected) {
  house.terms_of_all.admission.connections_max = 0;
  house.terms_of_all.tls = plain_contexts();
  house.terms_of_all.implicit_tls = true;
  start();
  EXPECT_EQ(connect().rest(), "");
}

// Implicit TLS.

TEST_F(Arrival, GreetsAfterTheHandshakeOnAnImplicitTlsListener) {
  house.terms_of_all.tls = plain_contexts();
  house.terms_of_all.session.tls_available = true;
  house.terms_of_all.implicit_tls = true;
  start();
  Client client = connect();
  ASSERT_TRUE(client.start_tls());
  EXPECT_EQ(client.reply(), "220 mx.test.example ESMTP Postern");
  EXPECT_EQ(client.say("EHLO client.example").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(client.say("QUIT").substr(0, 3), "221");
  EXPECT_EQ(client.rest(), "");
  EXPECT_EQ(house.times("connect 127.0.0.1 tls"), 1U);
  ASSERT_TRUE(connections_become(0));
  EXPECT_TRUE(log_says("\"tls\":\"TLSv1.3\""));
}

TEST_F(Arrival, PutsTheHandshakeBehindTheProxyHeader) {
  house.expects_proxy = [](const filters::Ip&) { return true; };
  house.terms_of_all.tls = plain_contexts();
  house.terms_of_all.implicit_tls = true;
  start();
  Client client = connect();
  client.send("PROXY TCP4 198.51.100.7 192.0.2.1 12345 25\r\n");
  ASSERT_TRUE(client.start_tls());
  EXPECT_EQ(client.reply().substr(0, 3), "220");
  EXPECT_EQ(house.times("connect 198.51.100.7 tls"), 1U) << "a ClientHello is no early talk";
}

TEST_F(Arrival, EndsWhenThePeerSpeaksNoTls) {
  house.terms_of_all.tls = plain_contexts();
  house.terms_of_all.implicit_tls = true;
  start();
  Client client = connect();
  client.send("EHLO client.example\r\n");
  const std::string heard = client.rest();
  EXPECT_EQ(heard.find("220"), std::string::npos);
  ASSERT_TRUE(connections_become(0));
  EXPECT_TRUE(log_says("\"cause\":\"tls_failed\""));
}

TEST_F(Arrival, OffersNoTlsWithoutACertificate) {
  house.terms_of_all.session.tls_available = true;
  start();
  Client client = greeted();
  EXPECT_EQ(client.say("EHLO client.example").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(client.say("STARTTLS").substr(0, 3), "502");
}

// Early talkers.

TEST_F(Arrival, NotesWhoSpeaksBeforeTheGreeting) {
  house.terms_of_all.greeting_delay = 300ms;
  start();
  const auto begin = std::chrono::steady_clock::now();
  Client polite = connect(), hasty = connect();
  hasty.send("EHLO hasty.example\r\nQUIT\r\n");
  EXPECT_EQ(hasty.codes(3), "220 250 221") << "noted, and served";
  EXPECT_EQ(polite.reply().substr(0, 3), "220");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 290ms);
  EXPECT_EQ(house.times("connect 127.0.0.1 early"), 1U);
  EXPECT_EQ(house.times("connect 127.0.0.1"), 1U);
  EXPECT_EQ(house.times("helo early"), 1U);
  EXPECT_TRUE(log_says("\"early_talker\":true"));
}

TEST_F(Arrival, RefusesWhoSpeaksBeforeTheGreetingWhereThatIsAsked) {
  house.terms_of_all.greeting_delay = 300ms;
  house.terms_of_all.early_talker_refused = true;
  start();
  Client hasty = connect();
  hasty.send("EHLO hasty.example\r\nMAIL FROM:<a@client.example>\r\n");
  EXPECT_EQ(hasty.rest(), "554 5.5.0 You spoke before the greeting\r\n");
  Client polite = greeted();
  EXPECT_EQ(polite.say("QUIT").substr(0, 3), "221");
  EXPECT_EQ(house.times("connect 127.0.0.1 early"), 0U) << "nobody needs to be asked";
  ASSERT_TRUE(connections_become(0));
  EXPECT_TRUE(figures_say("postern_smtp_sessions_total{listener=\"mx test\",result=\"early_talker\"} 1"));
}

TEST_F(Arrival, NoticesEarlyTalkWhileTheHouseThinks) {
  house.terms_of_all.early_talker_refused = true;
  house.hold(smtp::Stage::connect);
  start();
  Client hasty = connect();
  ASSERT_TRUE(house.wait_until_held());
  hasty.send("EHLO hasty.example\r\n");
  std::this_thread::sleep_for(50ms);
  release();
  EXPECT_EQ(hasty.reply(), "554 5.5.0 You spoke before the greeting");
}

TEST_F(Arrival, EndsWhenTheClientLeavesBeforeTheGreeting) {
  house.terms_of_all.greeting_delay = 10s;
  start();
  Client client = connect();
  ASSERT_TRUE(connections_become(1));
  client.close();
  EXPECT_TRUE(connections_become(0));
  EXPECT_EQ(house.log().size(), 0U);
}

// Refused by the house.

TEST_F(Arrival, ServesARefusedClientNothingButQuit) {
  house.decide = [](smtp::Stage stage, const smtp::VisitFacts&) -> std::optional<smtp::Decision> {
    if (stage != smtp::Stage::connect) return std::nullopt;
    return smtp::Decision{.reply = {554, "5.7.1", "Not you"}};
  };
  start();
  Client client = connect();
  EXPECT_EQ(client.reply(), "554 5.7.1 Not you");
  EXPECT_EQ(client.say("EHLO client.example").substr(0, 3), "503");
  EXPECT_EQ(client.say("QUIT").substr(0, 3), "221");
  EXPECT_EQ(client.rest(), "");
  EXPECT_TRUE(figures_say("postern_smtp_rejects_total{stage=\"connect\",reason=\"policy\",code=\"554\"} 1"));
}

// A Unix socket.

TEST_F(Arrival, ServesLmtpOnAUnixSocket) {
  house.terms_of_all.session.protocol = smtp::Protocol::lmtp;
  house.decide_message = [](const smtp::Transaction&) {
    return std::vector<smtp::Decision>{{.reply = {250, "2.0.0", "Kept"}}, {.reply = {452, "4.2.2", "Full"}}};
  };
  start({.path = (folder_.path() / "lmtp.sock").string()});
  Client client = connect();
  EXPECT_EQ(client.reply(), "220 mx.test.example LMTP Postern");
  EXPECT_EQ(client.say("EHLO client.example").substr(0, 3), "500");
  EXPECT_EQ(client.say("LHLO client.example").substr(0, 3), "250");
  client.send(
      "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\nRCPT TO:<c@test.example>\r\nDATA\r\n");
  EXPECT_EQ(client.codes(4), "250 250 250 354");
  client.send("Subject: one\r\n\r\nText\r\n.\r\n");
  EXPECT_EQ(client.reply(), "250 2.0.0 Kept");
  EXPECT_EQ(client.reply(), "452 4.2.2 Full");
  EXPECT_EQ(client.say("QUIT").substr(0, 3), "221");
  EXPECT_EQ(house.times("visit  at "), 1U) << "such a client has no address";
}

}  // namespace
}  // namespace postern::test
