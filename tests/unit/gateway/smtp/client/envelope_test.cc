#include "gateway/smtp/client/envelope.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace postern::smtp::client {
namespace {

Capabilities everything() {
  Capabilities all;
  all.pipelining = all.eight_bit_mime = all.binary_mime = all.chunking = all.smtputf8 = all.dsn = all.size =
      true;
  return all;
}

OutboundMessage message(std::string_view content = "Subject: x\r\n\r\nbody\r\n") {
  OutboundMessage one;
  one.mail_from = "a@one.example";
  one.recipients = {{.address = "b@two.example"}};
  one.content = content;
  return one;
}

EnvelopePlan plan(const OutboundMessage& one, const Capabilities& offered, bool convertible = false) {
  return plan_envelope(one, Survey::of(one.head, one.content), offered, convertible);
}

TEST(PlanEnvelope, SaysNothingThatIsNotOffered) {
  OutboundMessage one = message();
  one.ret = DsnReturn::headers;
  one.envid = "id";
  one.recipients[0].notify = kNotifySuccess | kNotifyDelay;
  one.recipients[0].orcpt = "rfc822;x@y.example";
  one.body = BodyType::eight_bit_mime;
  one.smtputf8 = true;
  const EnvelopePlan bare = plan(one, {});
  ASSERT_FALSE(bare.refusal);
  EXPECT_EQ(bare.mail_line, "MAIL FROM:<a@one.example>\r\n");
  EXPECT_EQ(bare.recipients[0].line, "RCPT TO:<b@two.example>\r\n");

  const EnvelopePlan full = plan(one, everything());
  EXPECT_EQ(full.mail_line, "MAIL FROM:<a@one.example> SIZE=20 BODY=8BITMIME RET=HDRS ENVID=id\r\n");
  EXPECT_EQ(full.recipients[0].line,
            "RCPT TO:<b@two.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y.example\r\n");
}

TEST(PlanEnvelope, NullSenderAndPostmaster) {
  OutboundMessage one = message();
  one.mail_from.clear();
  one.recipients[0].address = "postmaster";
  one.recipients[0].notify = kNotifyNever;
  Capabilities dsn;
  dsn.dsn = true;
  const EnvelopePlan made = plan(one, dsn);
  EXPECT_EQ(made.mail_line, "MAIL FROM:<>\r\n");
  EXPECT_EQ(made.recipients[0].line, "RCPT TO:<postmaster> NOTIFY=NEVER\r\n");
}

struct HostileAddress {
  std::string_view name, address;
};
constexpr HostileAddress kHostile[] = {
    {"line end", "a@b.example>\r\nRCPT TO:<c@d.example"},
    {"bracket", "a@b.example>"},
    {"blank", "a b@c.example"},
    {"parameter", "a@b.example> SIZE=1"},
    {"no domain", "somebody"},
    {"NUL", std::string_view("a\0@b.example", 12)},
    {"route", "@x.example:a@b.example"},
};
TEST(PlanEnvelope, NoAddressBreaksOutOfItsPath) {
  for (const HostileAddress& c : kHostile) {
    SCOPED_TRACE(c.name);
    OutboundMessage one = message();
    one.recipients.push_back({.address = std::string(c.address)});
    const EnvelopePlan made = plan(one, everything());
    ASSERT_FALSE(made.refusal);
    EXPECT_FALSE(made.recipients[0].refusal);
    ASSERT_TRUE(made.recipients[1].refusal);
    EXPECT_EQ(made.recipients[1].refusal->enhanced, "5.1.3");
    EXPECT_EQ(made.recipients[1].refusal->kind, RecipientResult::Kind::permanent);
    EXPECT_TRUE(made.recipients[1].line.empty());

    one = message();
    one.mail_from = c.address;
    ASSERT_TRUE(plan(one, everything()).refusal);
    EXPECT_EQ(plan(one, everything()).refusal->enhanced, "5.1.7");
  }
}

TEST(PlanEnvelope, QuotedLocalPart) {
  OutboundMessage one = message();
  one.recipients[0].address = "\"a b\\\"c\"@two.example";
  EXPECT_EQ(plan(one, {}).recipients[0].line, "RCPT TO:<\"a b\\\"c\"@two.example>\r\n");
}

TEST(PlanEnvelope, SizeAtTheLimitAndOneMore) {  // RFC 1870 §6.1
  Capabilities offered;
  offered.size = true;
  offered.octets_max = 20;
  EXPECT_FALSE(plan(message(), offered).refusal);
  offered.octets_max = 19;
  const EnvelopePlan over = plan(message(), offered);
  ASSERT_TRUE(over.refusal);
  EXPECT_EQ(over.refusal->enhanced, "5.3.4");
  EXPECT_EQ(over.refusal->code, 0);
}

struct BodyCase {
  std::string_view name, content;
  BodyType body;
  bool eight_bit_offered, binary_offered, convertible;
  std::string_view parameter, refusal;
  bool chunked = false, convert = false;
};
TEST(PlanEnvelope, BodyType) {
  using enum BodyType;
  constexpr std::string_view kSeven = "A: b\r\n\r\nc\r\n", kEight = "A: b\r\n\r\n\xc3\xa4\r\n",
                             kWideHeader = "A: \xc3\xa4\r\n\r\nc\r\n", kBinary = "A: b\r\n\r\nc\nd\xff";
  const BodyCase cases[] = {
      {"7 bit", kSeven, seven_bit, true, true, false, "", ""},
      {"8 bit, undeclared, offered", kEight, seven_bit, true, false, false, " BODY=8BITMIME", ""},
      {"8 bit, not offered", kEight, eight_bit_mime, false, false, false, "", "5.6.3"},
      {"8 bit, not offered, convertible", kEight, eight_bit_mime, false, false, true, "", "", false, true},
      {"declared 8 bit and is not", kSeven, eight_bit_mime, false, false, false, "", ""},
      {"8 bit header, offered", kWideHeader, seven_bit, true, false, false, " BODY=8BITMIME", ""},
      {"8 bit header, not offered", kWideHeader, seven_bit, false, false, true, "", "5.6.3"},
      {"binary, offered", kBinary, binary_mime, true, true, false, " BODY=BINARYMIME", "", true},
      {"binary, not offered", kBinary, binary_mime, true, false, false, "", "5.6.3"},
      {"binary, not offered, convertible", kBinary, binary_mime, true, false, true, "", "", false, true},
      {"declared binary and is 8 bit", kEight, binary_mime, true, false, false, " BODY=8BITMIME", ""},
      {"declared binary and is 7 bit", kSeven, binary_mime, false, false, false, "", ""},
  };
  for (const BodyCase& c : cases) {
    SCOPED_TRACE(c.name);
    OutboundMessage one = message(c.content);
    one.body = c.body;
    Capabilities offered;
    offered.eight_bit_mime = c.eight_bit_offered;
    offered.binary_mime = offered.chunking = c.binary_offered;
    const EnvelopePlan made = plan(one, offered, c.convertible);
    ASSERT_EQ(made.refusal ? made.refusal->enhanced : "", c.refusal);
    if (made.refusal) continue;
    EXPECT_EQ(made.mail_line, "MAIL FROM:<a@one.example>" + std::string(c.parameter) + "\r\n");
    EXPECT_EQ(made.chunked, c.chunked);
    EXPECT_EQ(made.convert, c.convert);
  }
}

struct Utf8Case {
  std::string_view name, from, to, content;
  bool declared, offered;
  std::string_view refusal, recipient_refusal, mail, rcpt;
};
TEST(PlanEnvelope, Smtputf8) {  // RFC 6531 §3.2, §3.5
  constexpr std::string_view kAscii = "A: b\r\n\r\nc\r\n", kWide = "A: \xc3\xa4\r\n\r\nc\r\n";
  const Utf8Case cases[] = {
      {"declared and not needed", "a@one.example", "b@two.example", kAscii, true, false, "", "",
       "<a@one.example>", "<b@two.example>"},
      {"header, offered", "a@one.example", "b@two.example", kWide, true, true, "", "",
       "<a@one.example> BODY=8BITMIME SMTPUTF8", "<b@two.example>"},
      {"header, not offered", "a@one.example", "b@two.example", kWide, true, false, "5.6.7", "", "", ""},
      {"sender, not offered", "\xc3\xa4@one.example", "b@two.example", kAscii, true, false, "5.6.7", "", "",
       ""},
      {"recipient, not offered", "a@one.example", "\xc3\xa4@two.example", kAscii, true, false, "", "5.6.7",
       "<a@one.example>", ""},
      {"recipient, offered", "a@one.example", "\xc3\xa4@two.example", kAscii, true, true, "", "",
       "<a@one.example> SMTPUTF8", "<\xc3\xa4@two.example>"},
      {"domains alone, not offered", "a@\xc3\xa4.example", "b@\xc3\xa4.example", kAscii, true, false, "", "",
       "<a@xn--4ca.example>", "<b@xn--4ca.example>"},
  };
  for (const Utf8Case& c : cases) {
    SCOPED_TRACE(c.name);
    OutboundMessage one = message(c.content);
    one.mail_from = c.from;
    one.recipients = {{.address = std::string(c.to)}};
    one.smtputf8 = c.declared;
    Capabilities offered;
    offered.eight_bit_mime = true;
    offered.smtputf8 = c.offered;
    const EnvelopePlan made = plan(one, offered);
    ASSERT_EQ(made.refusal ? made.refusal->enhanced : "", c.refusal);
    if (made.refusal) continue;
    EXPECT_EQ(made.mail_line, "MAIL FROM:" + std::string(c.mail) + "\r\n");
    ASSERT_EQ(made.recipients[0].refusal ? made.recipients[0].refusal->enhanced : "", c.recipient_refusal);
    if (!made.recipients[0].refusal) {
      EXPECT_EQ(made.recipients[0].line, "RCPT TO:" + std::string(c.rcpt) + "\r\n");
    }
  }
}

TEST(Xtext, Encodes) {
  EXPECT_EQ(encode_xtext("a+b=c d\x01\xff"), "a+2Bb+3Dc+20d+01+FF");
}

TEST(Orcpt, Forms) {  // RFC 3461 §4.2, RFC 6533 §3
  EXPECT_EQ(orcpt_value("rfc822;a+b@c.example", false), "rfc822;a+2Bb@c.example");
  EXPECT_EQ(orcpt_value("utf-8;\xc3\xa4@c.example", false), "utf-8;\\x{E4}@c.example");
  EXPECT_EQ(orcpt_value("utf-8;\xc3\xa4+@c.example", true), "utf-8;\xc3\xa4\\x{2B}@c.example");
  EXPECT_EQ(orcpt_value("utf-8;\xf0\x9f\x93\xac@c.example", false), "utf-8;\\x{1F4EC}@c.example");
}

}  // namespace
}  // namespace postern::smtp::client
