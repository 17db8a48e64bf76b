#include <gtest/gtest.h>

#include "gateway/smtp/grammar.h"

namespace postern::smtp {
namespace {

constexpr std::uint64_t kOctetsMax = 26'214'400;
constexpr GrammarContext kEhlo{.message_octets_max = kOctetsMax};
constexpr GrammarContext kHelo{.extended = false, .message_octets_max = kOctetsMax};
constexpr GrammarContext kAscii{.smtputf8 = false, .message_octets_max = kOctetsMax};

/// Code and enhanced code, or "" for what is taken.
template <typename Command>
std::string refusal(const std::expected<Command, Reply>& parsed) {
  if (parsed) return {};
  for (const char c : parsed.error().text) EXPECT_TRUE(c >= ' ' && c <= '~') << parsed.error().text;
  return std::to_string(parsed.error().code) + " " + parsed.error().enhanced;
}

TEST(ParseMail, EveryParameter) {
  const auto mail = parse_mail(
      "FROM:<j\xc3\xb6rg@test.example> SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B1", kEhlo);
  ASSERT_TRUE(mail) << mail.error().text;
  EXPECT_EQ(mail->path.normal_form(), "j\xc3\xb6rg@test.example");
  EXPECT_EQ(mail->size, 1000u);
  EXPECT_EQ(mail->body, BodyType::eight_bit_mime);
  EXPECT_TRUE(mail->smtputf8);
  EXPECT_EQ(mail->ret, DsnReturn::headers);
  EXPECT_EQ(mail->envid, "QQ+1");
}

TEST(ParseMail, NoneOfThem) {
  const auto mail = parse_mail("FROM:<>", kHelo);
  ASSERT_TRUE(mail);
  EXPECT_TRUE(mail->path.null);
  EXPECT_EQ(mail->size, 0u);
  EXPECT_EQ(mail->body, BodyType::seven_bit);
  EXPECT_FALSE(mail->smtputf8);
  EXPECT_EQ(mail->ret, DsnReturn::unspecified);
  EXPECT_EQ(mail->envid, "");
}

TEST(ParseMail, Values) {
  EXPECT_EQ(parse_mail("FROM:<> BODY=7BIT", kEhlo)->body, BodyType::seven_bit);
  EXPECT_EQ(parse_mail("FROM:<> BODY=BinaryMIME", kEhlo)->body, BodyType::binary_mime);
  EXPECT_EQ(parse_mail("FROM:<> RET=full", kEhlo)->ret, DsnReturn::full);
}

struct ArgumentCase {
  std::string_view name;
  std::string argument;
  std::string_view refusal = {};
  GrammarContext context = kEhlo;
};

const ArgumentCase kMails[] = {
    {"small letters", "from:<a@test.example>"},
    {"blank behind the colon", "FROM: <a@test.example>"},
    {"tab between parameters", "FROM:<a@test.example>\tSIZE=1\t\tBODY=7BIT"},
    {"nothing", "", "501 5.5.4"},
    {"no FROM", "<a@test.example>", "501 5.5.4"},
    {"TO", "TO:<a@test.example>", "501 5.5.4"},
    {"blank before the colon", "FROM :<a@test.example>", "501 5.5.4"},
    {"no path", "FROM:", "501 5.1.7"},
    {"no brackets", "FROM:a@test.example", "501 5.1.7"},
    {"bad path", "FROM:<a..b@test.example>", "501 5.1.7"},
    {"postmaster without a domain", "FROM:<postmaster>", "501 5.1.7"},
    {"text behind the path", "FROM:<a@test.example>x", "501 5.5.4"},
    {"parameter without a blank", "FROM:<a@test.example>SIZE=1", "501 5.5.4"},
    {"unknown", "FROM:<a@test.example> FLAVOUR=vanilla", "555 5.5.4"},
    {"AUTH is not offered", "FROM:<a@test.example> AUTH=<>", "555 5.5.4"},
    {"parameters of RCPT", "FROM:<a@test.example> NOTIFY=NEVER", "555 5.5.4"},
    {"keyword with an underscore", "FROM:<a@test.example> A_B=1", "501 5.5.4"},
    {"keyword with a hyphen in front", "FROM:<a@test.example> -A=1", "501 5.5.4"},
    {"no keyword", "FROM:<a@test.example> =1", "501 5.5.4"},
    {"empty value", "FROM:<a@test.example> SIZE=", "501 5.5.4"},
    {"two equals signs", "FROM:<a@test.example> ENVID=a=b", "501 5.5.4"},
    {"after HELO", "FROM:<a@test.example> SIZE=1", "555 5.5.4", kHelo},
    {"bad parameter after HELO", "FROM:<a@test.example> =", "501 5.5.4", kHelo},
    {"SIZE at the limit", "FROM:<> SIZE=26214400"},
    {"SIZE over the limit", "FROM:<> SIZE=26214401", "552 5.3.4"},
    {"SIZE of zero", "FROM:<> SIZE=0"},
    {"SIZE of 20 digits", "FROM:<> SIZE=00000000000000000001"},
    {"SIZE of 20 digits, over 64 bits", "FROM:<> SIZE=99999999999999999999", "552 5.3.4"},
    {"SIZE of 21 digits", "FROM:<> SIZE=000000000000000000001", "501 5.5.4"},
    {"SIZE below zero", "FROM:<> SIZE=-1", "501 5.5.4"},
    {"SIZE in words", "FROM:<> SIZE=many", "501 5.5.4"},
    {"SIZE without a value", "FROM:<> SIZE", "501 5.5.4"},
    {"SIZE twice", "FROM:<> SIZE=1 size=1", "501 5.5.4"},
    {"BODY unknown", "FROM:<> BODY=9BIT", "501 5.5.4"},
    {"BODY without a value", "FROM:<> BODY", "501 5.5.4"},
    {"BODY twice", "FROM:<> BODY=7BIT BODY=7BIT", "501 5.5.4"},
    {"RET unknown", "FROM:<> RET=HEADERS", "501 5.5.4"},
    {"RET twice", "FROM:<> RET=FULL RET=FULL", "501 5.5.4"},
    {"ENVID of 100", "FROM:<> ENVID=" + std::string(100, 'e')},
    {"ENVID of 101", "FROM:<> ENVID=" + std::string(101, 'e'), "501 5.5.4"},
    {"ENVID without a value", "FROM:<> ENVID", "501 5.5.4"},
    {"ENVID that is no xtext", "FROM:<> ENVID=a+GG", "501 5.5.4"},
    {"ENVID with an encoded line feed", "FROM:<> ENVID=a+0Ab", "501 5.5.4"},
    {"ENVID in UTF-8", "FROM:<> SMTPUTF8 ENVID=\xc3\xb6", "501 5.5.4"},
    {"ENVID twice", "FROM:<> ENVID=a ENVID=a", "501 5.5.4"},
    {"SMTPUTF8 with a value", "FROM:<> SMTPUTF8=yes", "501 5.5.4"},
    {"SMTPUTF8 twice", "FROM:<> SMTPUTF8 SMTPUTF8", "501 5.5.4"},
    {"UTF-8 without SMTPUTF8", "FROM:<j\xc3\xb6rg@test.example>", "553 5.6.7"},
    {"UTF-8 domain without SMTPUTF8",
     "FROM:<a@b\xc3\xbc"
     "cher.example>",
     "553 5.6.7"},
    {"UTF-8 in the route without SMTPUTF8",
     "FROM:<@b\xc3\xbc"
     "cher.example:a@test.example>",
     "553 5.6.7"},
    {"UTF-8 after HELO", "FROM:<j\xc3\xb6rg@test.example>", "553 5.6.7", kHelo},
    {"Latin-1", "FROM:<j\xf6rg@test.example> SMTPUTF8", "501 5.1.7"},
    {"SMTPUTF8 where there is none", "FROM:<> SMTPUTF8", "555 5.5.4", kAscii},
};

TEST(ParseMail, Arguments) {
  for (const ArgumentCase& c : kMails) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(refusal(parse_mail(c.argument, c.context)), c.refusal);
  }
}

TEST(ParseMail, SaysWhatWasExpectedAndWhereAndRepeatsNothing) {
  EXPECT_EQ(parse_mail("FROM:<a@-hostile.example>", kEhlo).error().text,
            "Bad sender address: expected a letter or digit where the domain label has a hyphen at octet 4");
  EXPECT_EQ(parse_mail("FROM:<> SIZE=26214401", kEhlo).error().text, "Messages may have 26214400 octets");
}

const ArgumentCase kRcpts[] = {
    {"plain", "TO:<a@test.example>"},
    {"small letters and a blank", "to: <a@test.example>"},
    {"postmaster", "TO:<pOSTMASTER>"},
    {"nothing", "", "501 5.5.4"},
    {"FROM", "FROM:<a@test.example>", "501 5.5.4"},
    {"null path", "TO:<>", "501 5.1.3"},
    {"bad path", "TO:<a@b@c.example>", "501 5.1.3"},
    {"unknown", "TO:<a@test.example> FLAVOUR=vanilla", "555 5.5.4"},
    {"parameters of MAIL", "TO:<a@test.example> SIZE=1", "555 5.5.4"},
    {"after HELO", "TO:<a@test.example> NOTIFY=NEVER", "555 5.5.4", kHelo},
    {"UTF-8",
     "TO:<gr\xc3\xbc\xc3\x9f"
     "e@test.example>"},
    {"UTF-8 without SMTPUTF8",
     "TO:<gr\xc3\xbc\xc3\x9f"
     "e@test.example>",
     "553 5.6.7", kAscii},
    {"NOTIFY never with another", "TO:<a@test.example> NOTIFY=NEVER,DELAY", "501 5.5.4"},
    {"NOTIFY another with never", "TO:<a@test.example> NOTIFY=DELAY,NEVER", "501 5.5.4"},
    {"NOTIFY never twice", "TO:<a@test.example> NOTIFY=NEVER,NEVER", "501 5.5.4"},
    {"NOTIFY unknown", "TO:<a@test.example> NOTIFY=ALWAYS", "501 5.5.4"},
    {"NOTIFY with an empty word", "TO:<a@test.example> NOTIFY=DELAY,", "501 5.5.4"},
    {"NOTIFY without a value", "TO:<a@test.example> NOTIFY", "501 5.5.4"},
    {"NOTIFY twice", "TO:<a@test.example> NOTIFY=DELAY NOTIFY=DELAY", "501 5.5.4"},
    {"ORCPT of 500", "TO:<a@test.example> ORCPT=rfc822;" + std::string(493, 'o')},
    {"ORCPT of 501", "TO:<a@test.example> ORCPT=rfc822;" + std::string(494, 'o'), "501 5.5.4"},
    {"ORCPT without a type", "TO:<a@test.example> ORCPT=a@test.example", "501 5.5.4"},
    {"ORCPT with an empty type", "TO:<a@test.example> ORCPT=;a@test.example", "501 5.5.4"},
    {"ORCPT without an address", "TO:<a@test.example> ORCPT=rfc822;", "501 5.5.4"},
    {"ORCPT with an encoded line feed", "TO:<a@test.example> ORCPT=rfc822;a+0D+0Ab", "501 5.5.4"},
    {"ORCPT in UTF-8 of the ASCII type", "TO:<a@test.example> ORCPT=rfc822;j\xc3\xb6rg", "501 5.5.4"},
    {"ORCPT in UTF-8 without SMTPUTF8", "TO:<a@test.example> ORCPT=utf-8;j\xc3\xb6rg", "501 5.5.4", kAscii},
    {"ORCPT escaped without SMTPUTF8", "TO:<a@test.example> ORCPT=utf-8;j\\x{F6}rg", "", kAscii},
    {"ORCPT escape of a control", "TO:<a@test.example> ORCPT=utf-8;j\\x{0A}", "501 5.5.4"},
    {"ORCPT escape of a surrogate", "TO:<a@test.example> ORCPT=utf-8;j\\x{D800}", "501 5.5.4"},
    {"ORCPT escape over U+10FFFF", "TO:<a@test.example> ORCPT=utf-8;j\\x{110000}", "501 5.5.4"},
    {"ORCPT escape left open", "TO:<a@test.example> ORCPT=utf-8;j\\x{F6", "501 5.5.4"},
    {"ORCPT escape of nothing", "TO:<a@test.example> ORCPT=utf-8;j\\x{}", "501 5.5.4"},
    {"ORCPT escape too long", "TO:<a@test.example> ORCPT=utf-8;j\\x{00000F6}", "501 5.5.4"},
    {"ORCPT lone backslash", "TO:<a@test.example> ORCPT=utf-8;a\\b", "501 5.5.4"},
    {"ORCPT twice", "TO:<a@test.example> ORCPT=rfc822;a ORCPT=rfc822;a", "501 5.5.4"},
};

TEST(ParseRcpt, Arguments) {
  for (const ArgumentCase& c : kRcpts) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(refusal(parse_rcpt(c.argument, c.context)), c.refusal);
  }
}

TEST(ParseRcpt, Values) {
  const auto rcpt =
      parse_rcpt("TO:<a@test.example> NOTIFY=success,Delay ORCPT=RFC822;a+2Bb@test.example", kEhlo);
  ASSERT_TRUE(rcpt) << rcpt.error().text;
  EXPECT_EQ(rcpt->notify, kNotifySuccess | kNotifyDelay);
  EXPECT_EQ(rcpt->orcpt, "rfc822;a+b@test.example");
  EXPECT_EQ(parse_rcpt("TO:<a@test.example>", kEhlo)->notify, kNotifyUnspecified);
  EXPECT_EQ(parse_rcpt("TO:<a@test.example> NOTIFY=FAILURE", kEhlo)->notify, kNotifyFailure);
  EXPECT_EQ(parse_rcpt("TO:<a@test.example> NOTIFY=NEVER", kEhlo)->notify, kNotifyNever);
  EXPECT_EQ(parse_rcpt("TO:<a@test.example> ORCPT=utf-8;j\\x{F6}rg\\x{1F600}@test.example", kAscii)->orcpt,
            "utf-8;j\xc3\xb6rg\xf0\x9f\x98\x80@test.example");
  EXPECT_EQ(parse_rcpt("TO:<a@test.example> ORCPT=UTF-8;j\xc3\xb6rg", kEhlo)->orcpt, "utf-8;j\xc3\xb6rg");
}

struct XtextCase {
  std::string_view text;
  bool valid = false;
  std::string_view decoded = {};
};
constexpr XtextCase kXtexts[] = {
    {"", true, ""},
    {"abc!~", true, "abc!~"},
    {"+41+3D+2B", true, "A=+"},
    {"a+00b", true, std::string_view("a\0b", 3)},
    {"+4a", true, "J"},
    {"+FF", true, "\xff"},
    {"a=b"},
    {"a b"},
    {"a\tb"},
    {"+"},
    {"+4"},
    {"+4G"},
    {"+G4"},
    {"a\x7f"},
    {"b\xc3\xbc"},
};

TEST(DecodeXtext, HexPairsAndPrintableCharacters) {
  for (const XtextCase& c : kXtexts) {
    SCOPED_TRACE(c.text);
    std::string decoded = "old";
    ASSERT_EQ(decode_xtext(c.text, decoded), c.valid);
    if (c.valid) {
      EXPECT_EQ(decoded, c.decoded);
    }
  }
}

}  // namespace
}  // namespace postern::smtp
