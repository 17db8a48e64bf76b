// STARTTLS, XCLIENT, SMTPUTF8 and the names of protocols.
#include <gtest/gtest.h>

#include "tests/unit/gateway/smtp/dialogue.h"

namespace postern::smtp {
namespace {

using test::Dialogue;
using test::expect_dialogue;
using test::kEnvelope;
using test::kHello;
using test::small_options;
using test::visit;
using test::visit_pieces;

const Dialogue kStartTls[] = {
    {"the session starts again",
     kHello + "MAIL FROM:<>\r\nSTARTTLS\r\n",
     {"220", "250", "250", "220 2.0.0", "503 5.5.1", "503 5.5.1", "250", "250", "503 5.5.1"},
     {},
     {},
     "RCPT TO:<b@test.example>\r\nMAIL FROM:<>\r\n" + kHello + "MAIL FROM:<>\r\nSTARTTLS\r\n"},
    {"injected commands are never run",
     kHello + "STARTTLS\r\nMAIL FROM:<evil@client.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\nx\r\n.\r\n",
     {"220", "250", "220 2.0.0", "250", "503 5.5.1"},
     {},
     {},
     kHello + "RCPT TO:<b@test.example>\r\n"},
    {"half a command injected",
     kHello + "STARTTLS\r\nRSE",
     {"220", "250", "220 2.0.0", "500 5.5.1"},
     {},
     {},
     "T\r\n"},
    {"before EHLO", "STARTTLS\r\n", {"220", "220 2.0.0", "250"}, {}, {}, kHello},
    {"between chunks",
     kEnvelope + "BDAT 2\r\nabSTARTTLS\r\n",
     {"220", "250", "250", "250", "250", "220", "250", "503"},
     {},
     {},
     kHello + "BDAT 0 LAST\r\n"},
    {"with an argument", "STARTTLS now\r\nNOOP\r\n", {"220", "501 5.5.4", "250"}},
};

TEST(SessionExtensions, StartTls) {
  for (const Dialogue& dialogue : kStartTls) expect_dialogue(dialogue, small_options());
}

TEST(SessionExtensions, WhatIsInjectedIsHandedOutAndForgotten) {
  const test::Visit done = visit_pieces(small_options(), {kHello + "STARTTLS\r\nNOOP\r\nNO"}, "OP\r\n");
  EXPECT_EQ(done.injected, "NOOP\r\nNO");
  test::expect_replies(test::replies_in(done.output), {"220", "250", "220", "500 5.5.1"});
}

TEST(SessionExtensions, TlsIsNotOfferedTwiceNorWhereThereIsNone) {
  const test::Visit inside = visit_pieces(small_options(), {kHello + "STARTTLS\r\n"}, kHello);
  EXPECT_EQ(inside.output.find("250-STARTTLS", inside.output.find("220 2.0.0")), std::string::npos);
  SessionOptions options = small_options();
  options.tls_available = false;
  expect_dialogue({"none", "STARTTLS\r\n", {"220", "502 5.5.1"}}, options);
}

TEST(SessionExtensions, TlsFromTheFirstOctet) {
  Session session(small_options(), {}, nullptr);
  session.tls_established(true);
  EXPECT_TRUE(session.tls_active());
  session.next();
  session.decide({220, "", ""});
  session.feed(kHello);
  session.next();
  session.decide({250, "", ""});
  session.next();
  EXPECT_EQ(session.take_output().find("STARTTLS"), std::string::npos);
  EXPECT_EQ(session.protocol_name(), "ESMTPS");
}

TEST(SessionExtensions, TlsDemanded) {
  SessionOptions options = small_options();
  options.tls_required = true;
  expect_dialogue(
      {"530 for nearly all",
       kHello + "MAIL FROM:<>\r\nHELO a\r\nRSET\r\nBDAT 6\r\nQUIT\r\nNOOP\r\nSTARTTLS\r\n",
       {"220", "250", "530 5.7.0", "530 5.7.0", "530 5.7.0", "530 5.7.0", "250", "220", "250", "250"},
       {},
       {},
       kHello + "MAIL FROM:<>\r\n"},
      options);
}

SessionOptions trusting() {
  SessionOptions options = small_options();
  options.xclient_allowed = true;
  return options;
}

const Dialogue kXclient[] = {
    {"the visit begins anew",
     kHello + "XCLIENT ADDR=192.0.2.77 NAME=spike.example\r\nMAIL FROM:<>\r\n" + kHello + "MAIL FROM:<>\r\n",
     {"220", "250", "220 mx.test.example", "503", "250", "250"}},
    {"twice", "XCLIENT ADDR=192.0.2.77\r\nXCLIENT ADDR=192.0.2.78\r\n", {"220", "220", "220"}},
    {"bad attributes",
     "XCLIENT\r\nXCLIENT FLAVOUR=vanilla\r\nXCLIENT ADDR=no\r\nXCLIENT PORT=x\r\nXCLIENT PORT=65536\r\n",
     {"220", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}},
    {"within a transaction",
     kHello + "MAIL FROM:<>\r\nXCLIENT ADDR=192.0.2.77\r\n",
     {"220", "250", "250", "503 5.5.1"}},
};

TEST(SessionExtensions, Xclient) {
  for (const Dialogue& dialogue : kXclient) expect_dialogue(dialogue, trusting());
  expect_dialogue({"from a stranger", "XCLIENT ADDR=192.0.2.77\r\n", {"220", "550 5.7.1"}}, small_options());
  EXPECT_NE(visit(trusting(), kHello).output.find("250-XCLIENT NAME ADDR PORT PROTO HELO\r\n"),
            std::string::npos);
}

struct ClientCase {
  std::string_view name, attributes, ip, host;
  std::uint16_t port;
};
constexpr ClientCase kClients[] = {
    {"IPv4", "ADDR=192.0.2.77 PORT=99 NAME=a.example", "192.0.2.77", "a.example", 99},
    {"IPv6 with the prefix", "ADDR=IPV6:2001:db8::7", "2001:db8::7", "", 1234},
    {"unavailable", "ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL] PORT=[UNAVAILABLE]", "", "", 0},
    {"a bad one changes nothing", "NAME=a.example ADDR=192.0.2.777", "192.0.2.1", "", 1234},
};

TEST(SessionExtensions, XclientChangesTheClient) {
  for (const ClientCase& c : kClients) {
    SCOPED_TRACE(c.name);
    const test::Visit done = visit(trusting(), "XCLIENT " + std::string(c.attributes) + "\r\n");
    EXPECT_EQ(done.client.ip.text(), c.ip);
    EXPECT_EQ(done.client.name, c.host);
    EXPECT_EQ(done.client.port, c.port);
  }
}

const Dialogue kUtf8[] = {
    {"announced",
     kHello + "MAIL FROM:<j\xc3\xb6rg@client.example> SMTPUTF8\r\nRCPT TO:<gr\xc3\xbc\xc3\x9f"
              "e@b\xc3\xbc"
              "cher.example>\r\nDATA\r\n\xc3\xbc\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250"},
     {"j\xc3\xb6rg@client.example > gr\xc3\xbc\xc3\x9f"
      "e@b\xc3\xbc"
      "cher.example: \xc3\xbc\r\n"}},
    {"not announced",
     kHello + "MAIL FROM:<j\xc3\xb6rg@client.example>\r\nMAIL FROM:<>\r\nRCPT TO:<gr\xc3\xbc\xc3\x9f"
              "e@test.example>\r\n",
     {"220", "250", "553 5.6.7", "250", "553 5.6.7"}},
    {"forgotten with the transaction",
     kHello + "MAIL FROM:<> SMTPUTF8\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<gr\xc3\xbc\xc3\x9f"
              "e@test.example>\r\n",
     {"220", "250", "250", "250", "250", "553 5.6.7"}},
    {"no UTF-8", kHello + "MAIL FROM:<j\xf6rg@client.example> SMTPUTF8\r\n", {"220", "250", "501 5.1.7"}},
};

TEST(SessionExtensions, Smtputf8) {
  for (const Dialogue& dialogue : kUtf8) expect_dialogue(dialogue, small_options());
}

struct ProtocolCase {
  std::string_view name;
  Protocol protocol;
  std::string_view hello, parameters;
  bool tls;
};
constexpr ProtocolCase kProtocols[] = {
    {"SMTP", Protocol::smtp, "HELO", "", false},
    {"SMTP", Protocol::smtp, "HELO", "", true},
    {"ESMTP", Protocol::smtp, "EHLO", "", false},
    {"ESMTPS", Protocol::smtp, "EHLO", "", true},
    {"UTF8SMTP", Protocol::smtp, "EHLO", " SMTPUTF8", false},
    {"UTF8SMTPS", Protocol::smtp, "EHLO", " SMTPUTF8", true},
    {"LMTP", Protocol::lmtp, "LHLO", "", false},
    {"LMTPS", Protocol::lmtp, "LHLO", "", true},
    {"UTF8LMTP", Protocol::lmtp, "LHLO", " SMTPUTF8", false},
    {"UTF8LMTPS", Protocol::lmtp, "LHLO", " SMTPUTF8", true},
};

TEST(SessionExtensions, ProtocolNames) {
  for (const ProtocolCase& c : kProtocols) {
    SCOPED_TRACE(c.name);
    SessionOptions options = small_options();
    options.protocol = c.protocol;
    const std::string wire = std::string(c.hello) + " a\r\nMAIL FROM:<>" + std::string(c.parameters) +
                             "\r\nRCPT TO:<b@test.example>\r\nDATA\r\n.\r\n";
    const test::Visit done = c.tls ? visit_pieces(options, {"STARTTLS\r\n"}, wire) : visit(options, wire);
    ASSERT_EQ(done.messages.size(), 1u);
    EXPECT_EQ(done.messages[0].protocol, c.name);
  }
}

}  // namespace
}  // namespace postern::smtp
