#include "gateway/pipeline/submission.h"

#include <gtest/gtest.h>

#include <string>

#include "gateway/pipeline/credentials.h"
#include "gateway/pipeline/login_guard.h"

namespace postern::pipeline {
namespace {

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'795'521'600)};
constexpr std::string_view kAdded =
    "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <id1@mx.example>\r\n";

struct CompletedCase {
  std::string_view name, message, wanted;  ///< wanted empty: nothing to do
};
TEST(Completed, AddsAndTakesOut) {  // RFC 6409 §8
  const std::string whole = "Date: x\r\nMessage-ID: <a@b>\r\nSubject: s\r\n\r\nbody\r\n";
  const std::string added(kAdded);
  const std::string no_date = "Message-ID: <a@b>\r\n\r\nbody\r\n",
                    date_added = added.substr(0, added.find('\n') + 1) + no_date;
  const std::string blind =
      "Date: x\r\nBcc: a@b,\r\n c@d\r\nMessage-ID: <a@b>\r\nbcc: e@f\r\n\r\nBcc: stays\r\n";
  const std::string nothing = added + "\r\nbody\r\n", unended = added + "Subject: s\r\n";
  const CompletedCase cases[] = {
      {"complete", whole, ""},
      {"no Date", no_date, date_added},
      {"Bcc, folded and twice", blind, "Date: x\r\nMessage-ID: <a@b>\r\n\r\nBcc: stays\r\n"},
      {"no header", "\r\nbody\r\n", nothing},
      {"no body", "Subject: s\r\n", unended},
      {"empty", "", kAdded},
  };
  for (const CompletedCase& c : cases) {
    SCOPED_TRACE(c.name);
    const auto made = completed(c.message, "mx.example", "id1", kNow);
    EXPECT_EQ(made.value_or(""), c.wanted);
  }
}

TEST(Signers, SaysWhatIsWrongWithAKey) {
  const auto made = Signers::load({{.domain = "a.example", .selector = "s", .key = "/nonexistent"}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), "signing of a.example: /nonexistent cannot be read");
}

constexpr std::string_view kLine =
    "a@b.example scrypt:14:8:1:YWFhYWFhYWFhYWFhYWFhYQ==:cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI=";

TEST(Credentials, ReadsLines) {
  const std::string text = "# remark\n\n" + std::string(kLine) + "\r\n";
  const auto made = Credentials::parse(text, "f");
  ASSERT_TRUE(made) << made.error();
  EXPECT_NE((*made)->find("A@B.example"), nullptr);
  EXPECT_EQ((*made)->find("x@b.example"), nullptr);
  EXPECT_FALSE((*made)->find("a@b.example")->scram);
  EXPECT_EQ((*made)->server_secret().size(), 32U);
}

TEST(Credentials, NamesTheLineAndNotTheSecret) {
  for (const std::string& bad : {std::string("a@b.example secret"), std::string("a@b.example"),
                                 std::string(kLine) + " x", std::string(kLine) + "\n" + std::string(kLine)}) {
    const auto made = Credentials::parse("#\n" + bad + "\n", "f");
    ASSERT_FALSE(made) << bad;
    EXPECT_TRUE(made.error().starts_with("f:2: ") || made.error().starts_with("f:3: ")) << made.error();
    EXPECT_EQ(made.error().find("secret"), std::string::npos);
  }
}

TEST(Credentials, ReplacesOneLine) {
  EXPECT_EQ(Credentials::replaced("# r\na x\nb y\n", "A", "a z"), "# r\nb y\na z\n");
  EXPECT_EQ(Credentials::replaced("a x\nb y", "a", ""), "b y\n");
  EXPECT_EQ(Credentials::replaced("", "a", "a z"), "a z\n");
}

const filters::Ip kClient = *filters::Ip::parse("192.0.2.1"), kOther = *filters::Ip::parse("192.0.2.2");

TEST(LoginGuard, CountsByNetworkAndAccount) {
  LoginGuard guard;
  const LoginGuard::Time start{};
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(guard.is_throttled(kClient, "a", 3, start));
    guard.failed(kClient, "a", start);
  }
  EXPECT_TRUE(guard.is_throttled(kClient, "", 3, start));
  EXPECT_TRUE(guard.is_throttled(kOther, "a", 3, start));
  EXPECT_FALSE(guard.is_throttled(kOther, "b", 3, start));
  guard.succeeded("a");
  EXPECT_FALSE(guard.is_throttled(kOther, "a", 3, start));
  EXPECT_TRUE(guard.is_throttled(kClient, "a", 3, start));
  EXPECT_FALSE(guard.is_throttled(kClient, "a", 3, start + LoginGuard::kFailureWindow));
}

TEST(LoginGuard, OneIpv6CustomerIsOneNetwork) {
  LoginGuard guard;
  const LoginGuard::Time start{};
  guard.failed(*filters::Ip::parse("2001:db8:1:2::1"), "", start);
  EXPECT_TRUE(guard.is_throttled(*filters::Ip::parse("2001:db8:1:2:ffff::1"), "", 1, start));
  EXPECT_FALSE(guard.is_throttled(*filters::Ip::parse("2001:db8:1:3::1"), "", 1, start));
}

TEST(LoginGuard, RecipientsInAnHour) {
  LoginGuard guard;
  const LoginGuard::Time start{};
  EXPECT_TRUE(guard.take_recipient("a", 2, start));
  EXPECT_TRUE(guard.take_recipient("a", 2, start));
  EXPECT_FALSE(guard.take_recipient("a", 2, start));
  EXPECT_TRUE(guard.take_recipient("b", 2, start));
  EXPECT_TRUE(guard.take_recipient("a", 2, start + LoginGuard::kRecipientWindow));
}

TEST(LoginGuard, ChecksAtOnce) {
  LoginGuard guard;
  for (unsigned i = 0; i < LoginGuard::kChecksMax; ++i) EXPECT_TRUE(guard.begin_check());
  EXPECT_FALSE(guard.begin_check());
  guard.end_check();
  EXPECT_TRUE(guard.begin_check());
}

}  // namespace
}  // namespace postern::pipeline
