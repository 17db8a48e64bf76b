#include "filters/header/sanity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kGood =
    "From: Ann <ann@a.example>\r\nDate: Fri, 31 May 2024 10:00:00 +0000\r\nMessage-ID: <1@a.example>\r\n";

std::vector<std::string> names(const Findings& findings) {
  std::vector<std::string> out;
  for (const Finding& finding : findings.found) out.push_back(finding.name);
  return out;
}

double sum(const Findings& findings) {
  double score = 0;
  for (const Finding& finding : findings.found) score += finding.score;
  return score;
}

Findings check(const std::string& message, const Envelope& envelope = {}) {
  Findings findings;
  check_header(envelope, Analysis::of(message), findings);
  return findings;
}

struct SanityCase {
  std::string_view name, header;
  std::vector<std::string> findings;
};

const SanityCase kCases[] = {
    {"ordinary", "From: a@b.example\r\nDate: x\r\nMessage-ID: <1>\r\nTo: a\r\nSubject: s\r\n", {}},
    {"nothing", "", {"MISSING_FROM", "MISSING_DATE", "MISSING_MESSAGE_ID"}},
    {"no From", "Date: x\r\nMessage-ID: <1>\r\n", {"MISSING_FROM"}},
    {"no Date", "From: a@b\r\nMessage-ID: <1>\r\n", {"MISSING_DATE"}},
    {"no Message-ID", "From: a@b\r\nDate: x\r\n", {"MISSING_MESSAGE_ID"}},
    {"empty From", "From: \r\n \r\nDate: x\r\nMessage-ID: <1>\r\n", {"EMPTY_FROM"}},
    {"From without address", "From: Ann\r\nDate: x\r\nMessage-ID: <1>\r\n", {"FROM_NO_ADDRESS"}},
    {"two From", "From: a@b\r\nfrom: c@d\r\nDate: x\r\nMessage-ID: <1>\r\n", {"DUPLICATE_FROM"}},
    {"the second From empty", "From: a@b\r\nFrom:\r\nDate: x\r\nMessage-ID: <1>\r\n", {"DUPLICATE_FROM"}},
    {"two Subject",
     "From: a@b\r\nDate: x\r\nMessage-ID: <1>\r\nSubject: a\r\nSubject: b\r\n",
     {"DUPLICATE_FIELD"}},
    {"many Received", "From: a@b\r\nDate: x\r\nMessage-ID: <1>\r\nReceived: a\r\nReceived: b\r\n", {}},
    {"junk", "From: a@b\r\nDate: x\r\nMessage-ID: <1>\r\njunk\r\n", {"HEADER_JUNK_LINE"}},
    {"continuation first",
     " a\r\nFrom: a@b\r\nDate: x\r\nMessage-ID: <1>\r\n",
     {"HEADER_CONTINUATION_FIRST"}},
    {"blank before colon", "From : a@b\r\nDate: x\r\nMessage-ID: <1>\r\n", {"HEADER_BLANK_BEFORE_COLON"}},
    {"8 bit", "From: \xE4@b\r\nDate: x\r\nMessage-ID: <1>\r\n", {"HEADER_EIGHT_BIT"}},
    {"bare LF", "From: a@b\nDate: x\r\nMessage-ID: <1>\r\n", {"HEADER_BARE_LF"}},
    {"bare CR", "From: a@b\rDate: x\r\nDate: x\r\nMessage-ID: <1>\r\n", {"HEADER_BARE_CR"}},
    {"NUL", "From: a@b\r\nDate: \0\r\nMessage-ID: <1>\r\n"sv, {"NUL_OCTET"}},
};

TEST(HeaderSanity, FindsWhatIsWrong) {
  for (const SanityCase& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(names(check(std::string(c.header) + "\r\nbody\r\n")), c.findings);
  }
}

TEST(HeaderSanity, FindsHeadersThatDoNotEnd) {
  EXPECT_EQ(names(check(std::string(kGood))), std::vector<std::string>{"HEADER_UNENDED"});
  Findings findings;
  const std::string message = std::string(kGood) + "Subject: x\r\n\r\n";
  check_header({}, Analysis::of(message, {.header_fields_max = 3}), findings);
  EXPECT_EQ(names(findings), std::vector<std::string>{"HEADER_TOO_LARGE"});
}

TEST(HeaderSanity, FindsLongLines) {
  EXPECT_EQ(names(check(std::string(kGood) + "\r\n" + std::string(999, 'x'))),
            std::vector<std::string>{"LINE_TOO_LONG"});
}

TEST(HeaderSanity, TakesUtf8WhereItWasAnnounced) {
  const std::string message = "From: \xC3\xA4@b.example\r\nDate: x\r\nMessage-ID: <1>\r\n\r\n";
  EXPECT_THAT(names(check(message, {.smtputf8 = true})), testing::IsEmpty());
}

TEST(HeaderSanity, NamesTheFieldsThatAreThereTwice) {
  const Findings findings = check(std::string(kGood) + "To: a\r\nTo: b\r\nDATE: y\r\n\r\n");
  ASSERT_EQ(findings.found.size(), 1U);
  EXPECT_EQ(findings.found[0].evidence, "more than once: Date, To (RFC 5322 §3.6)");
}

TEST(HeaderSanity, SloppyMailIsNotTagged) {
  // What a script that knows no better sends: no header at all.
  EXPECT_LT(sum(check("hello\r\nworld\r\n")), 5.0);
  EXPECT_LT(sum(check("Subject: x\r\n\r\nhello\r\n")), 5.0);
}

std::string with_hops(std::size_t hops) {
  std::string message;
  for (std::size_t i = 0; i < hops; ++i)
    message += i % 2 == 0 ? "Received: from a\r\n" : "received: from b\r\n";
  return message + "\r\n";
}

TEST(MailLoop, BeginsBeyondTheLimit) {
  const Policy policy{.received_hops_max = 100};
  Findings findings;
  check_mail_loop(Analysis::of(with_hops(100)), policy, findings);
  EXPECT_TRUE(findings.found.empty());
  check_mail_loop(Analysis::of(with_hops(101)), policy, findings);
  EXPECT_EQ(names(findings), std::vector<std::string>{"MAIL_LOOP"});
  EXPECT_EQ(findings.found[0].evidence, "101 Received fields, more than 100");
}

}  // namespace
}  // namespace postern::filters
