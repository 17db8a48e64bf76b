#include "gateway/delivery/report/write.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "gateway/delivery/report/read.h"

namespace postern::delivery::report {
namespace {

using Result = smtp::client::RecipientResult;
constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'795'521'600)};
constexpr std::string_view kMessage =
    "From: a@one.example\r\nMessage-ID: <m1@one.example>\r\n\r\nBody text.\r\n";

Order order() {
  Order made;
  made.reporting_host = "mx.test.example";
  made.postmaster = "postmaster@test.example";
  made.report_id = "01abc";
  made.sender = "a@one.example";
  made.arrival = kNow - std::chrono::hours(5);
  made.now = kNow;
  made.content = kMessage;
  Subject subject;
  subject.address = "b@two.example";
  subject.remote_host = "mx.two.example";
  subject.last_attempt = kNow;
  subject.result = {.kind = Result::Kind::permanent,
                    .stage = smtp::client::AttemptStage::rcpt,
                    .code = 550,
                    .enhanced = "5.1.1",
                    .text = "No such user"};
  made.subjects.push_back(std::move(subject));
  return made;
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TEST(WriteReport, HoldsWhatRfc3464Requires) {
  const auto written = write(order());
  ASSERT_TRUE(written);
  const std::string& message = written->message;
  for (const std::string_view part :
       {"From: Mail Delivery System <MAILER-DAEMON@mx.test.example>\r\n", "To: <a@one.example>\r\n",
        "Auto-Submitted: auto-replied\r\n", "Message-ID: <report.01abc@mx.test.example>\r\n",
        "Content-Type: multipart/report; report-type=delivery-status;\r\n",
        "Reporting-MTA: dns; mx.test.example\r\n", "Final-Recipient: rfc822; b@two.example\r\n",
        "Action: failed\r\n", "Status: 5.1.1\r\n", "Remote-MTA: dns; mx.two.example\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n", "Content-Type: message/rfc822\r\n",
        "Body text.\r\n", "The address does not exist there"})
    EXPECT_TRUE(holds(message, part)) << part << "\n" << message;
  EXPECT_FALSE(written->eight_bit);
  EXPECT_FALSE(written->smtputf8);
  EXPECT_FALSE(holds(message, "Original-Envelope-Id"));
}

TEST(WriteReport, IsReadByOurOwnReader) {
  Order made = order();
  made.envid = "q 1";
  made.subjects[0].orcpt = "rfc822;old@two.example";
  made.subjects.push_back(made.subjects[0]);
  made.subjects[1].address = "c@two.example";
  made.subjects[1].orcpt.clear();
  const auto written = write(made);
  ASSERT_TRUE(written);
  const auto read_back = read(written->message);
  ASSERT_TRUE(read_back);
  EXPECT_EQ(read_back->reporting_mta, "mx.test.example");
  EXPECT_EQ(read_back->envid, "q 1");
  EXPECT_EQ(read_back->original_message_id, "<m1@one.example>");
  ASSERT_EQ(read_back->subjects.size(), 2U);
  EXPECT_EQ(read_back->subjects[0].original_recipient, "old@two.example");
  EXPECT_EQ(read_back->subjects[0].final_recipient, "b@two.example");
  EXPECT_EQ(read_back->subjects[0].action, Action::failed);
  EXPECT_EQ(read_back->subjects[0].status, "5.1.1");
  EXPECT_EQ(read_back->subjects[0].diagnostic, "smtp; 550 5.1.1 No such user");
  EXPECT_EQ(read_back->subjects[0].remote_mta, "mx.two.example");
  EXPECT_EQ(read_back->subjects[1].final_recipient, "c@two.example");
}

struct NoReport {
  std::string_view name, sender;
};
TEST(WriteReport, NoneForNobody) {
  for (const NoReport& c : {NoReport{"null", ""}, NoReport{"no address", "nobody"},
                            NoReport{"line end", "a@one.example>\r\nBcc: <x@y.example"}}) {
    SCOPED_TRACE(c.name);
    Order made = order();
    made.sender = c.sender;
    EXPECT_FALSE(write(made));
  }
  Order made = order();
  made.subjects.clear();
  EXPECT_FALSE(write(made));
}

struct ReturnCase {
  std::string_view name;
  Action action;
  smtp::DsnReturn ret;
  std::size_t octets_max;
  bool body;
};
TEST(WriteReport, ReturnsWhatWasAsked) {  // RFC 3461 §4.3
  using smtp::DsnReturn;
  const ReturnCase cases[] = {
      {"failed, unspecified", Action::failed, DsnReturn::unspecified, 1000, true},
      {"failed, full", Action::failed, DsnReturn::full, 1000, true},
      {"failed, headers", Action::failed, DsnReturn::headers, 1000, false},
      {"failed, full, at the limit", Action::failed, DsnReturn::full, kMessage.size(), true},
      {"failed, full, one over", Action::failed, DsnReturn::full, kMessage.size() - 1, false},
      {"delayed, full", Action::delayed, DsnReturn::full, 1000, false},
      {"delivered, full", Action::delivered, DsnReturn::full, 1000, false},
  };
  for (const ReturnCase& c : cases) {
    SCOPED_TRACE(c.name);
    Order made = order();
    made.ret = c.ret;
    made.returned_octets_max = c.octets_max;
    made.subjects[0].action = c.action;
    const auto written = write(made);
    ASSERT_TRUE(written);
    EXPECT_EQ(holds(written->message, "Body text."), c.body);
    EXPECT_TRUE(holds(written->message, "Message-ID: <m1@one.example>"));
    EXPECT_EQ(holds(written->message, "text/rfc822-headers"), !c.body);
  }
}

TEST(WriteReport, StatusHasTheClassOfItsAction) {
  struct Row {
    Action action;
    std::string_view given, wanted;
  };
  for (const Row& row : {Row{Action::delayed, "4.4.1", "4.4.1"}, Row{Action::failed, "4.4.1", "4.4.1"},
                         Row{Action::failed, "5.1.1", "5.1.1"}, Row{Action::delivered, "2.0.0", "2.0.0"},
                         Row{Action::relayed, "", "2.0.0"}, Row{Action::failed, "", "5.0.0"}}) {
    Order made = order();
    made.subjects[0].action = row.action;
    made.subjects[0].result.enhanced = row.given;
    const auto read_back = read(write(made)->message);
    ASSERT_TRUE(read_back);
    EXPECT_EQ(read_back->subjects[0].status, row.wanted);
    EXPECT_EQ(read_back->subjects[0].action, row.action);
  }
}

TEST(WriteReport, StrangersCannotBeginAFieldOrEndAPart) {
  Order made = order();
  made.subjects[0].result.text = "no\r\n\r\nAction: delivered\r\n--report-01abc-0--\r\n";
  made.subjects[0].remote_host = "evil\r\nStatus: 2.0.0";
  made.subjects[0].orcpt = "rfc822;x\r\nAction: delivered";
  made.envid = "e\r\n\r\nFinal-Recipient: rfc822; z@z.example";
  const std::string returned = std::string(kMessage) +
                               "--report-01abc-0\r\nContent-Type: message/delivery-status\r\n\r\nAction: "
                               "delivered\r\n--report-01abc-0--\r\n";
  made.content = returned;
  const auto written = write(made);
  ASSERT_TRUE(written);
  const auto read_back = read(written->message);
  ASSERT_TRUE(read_back);
  ASSERT_EQ(read_back->subjects.size(), 1U);
  EXPECT_EQ(read_back->subjects[0].action, Action::failed);
  EXPECT_EQ(read_back->subjects[0].status, "5.1.1");
  EXPECT_FALSE(holds(written->message, "boundary=\"report-01abc-0\""));
}

TEST(WriteReport, LinesAreShortAndEndInCrlf) {
  Order made = order();
  made.subjects[0].result.text = std::string(400, 'w') + " " + std::string(300, ' ') + "end of it";
  for (int i = 0; i < 40; ++i) made.subjects[0].result.text += " word";
  const auto written = write(made);
  ASSERT_TRUE(written);
  std::string_view rest = written->message;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    ASSERT_NE(end, std::string_view::npos);
    ASSERT_GT(end, 0U);
    EXPECT_EQ(rest[end - 1], '\r');
    EXPECT_LE(end, 998U);
    rest.remove_prefix(end + 1);
  }
  ASSERT_TRUE(read(written->message));
  EXPECT_EQ(read(written->message)->subjects.size(), 1U);
}

TEST(WriteReport, Internationalized) {  // RFC 6533 §4
  Order made = order();
  made.subjects[0].address = "\xc3\xbc@two.example";
  made.subjects[0].orcpt = "utf-8;\xc3\xbc@two.example";
  const auto written = write(made);
  ASSERT_TRUE(written);
  EXPECT_TRUE(written->smtputf8);
  EXPECT_TRUE(holds(written->message, "Content-Type: message/global-delivery-status"));
  EXPECT_TRUE(holds(written->message, "Final-Recipient: utf-8; \xc3\xbc@two.example"));
  EXPECT_TRUE(holds(written->message, "Original-Recipient: utf-8; \xc3\xbc@two.example"));
  EXPECT_EQ(read(written->message)->subjects[0].final_recipient, "\xc3\xbc@two.example");
}

TEST(WriteReport, WordsOfTheManifest) {
  Order made = order();
  made.texts.failure_subject = "Nachricht f\xc3\xbcr niemanden";
  made.texts.failure =
      "Hier ist {host}. {unknown} {arrival}\nGr\xc3\xbc\xc3\x9f"
      "e";
  const auto written = write(made);
  ASSERT_TRUE(written);
  EXPECT_TRUE(holds(written->message, "Subject: =?utf-8?B?"));
  EXPECT_TRUE(holds(written->message, "Content-Transfer-Encoding: base64"));
  EXPECT_FALSE(written->eight_bit);
}

TEST(WriteReport, EightBitMessagesAreReturnedAsTheyAre) {
  Order made = order();
  made.content = "A: b\r\n\r\n\xc3\xa4\r\n";
  EXPECT_TRUE(write(made)->eight_bit);
  made.content = "A: b\r\n\r\nno end";
  const std::string message = write(made)->message;
  EXPECT_TRUE(holds(message, "no end\r\n\r\n--report"));
}

struct WantedCase {
  std::string_view name, sender;
  int notify;
  bool failed, delayed, relayed;
};
TEST(Wanted, Follows) {  // RFC 3461 §4.1
  using namespace smtp;
  const WantedCase cases[] = {
      {"unspecified", "a@b.example", kNotifyUnspecified, true, true, false},
      {"never", "a@b.example", kNotifyNever, false, false, false},
      {"failure", "a@b.example", kNotifyFailure, true, false, false},
      {"success", "a@b.example", kNotifySuccess, false, false, true},
      {"delay and success", "a@b.example", kNotifyDelay | kNotifySuccess, false, true, true},
      {"null sender", "", kNotifyFailure | kNotifySuccess, false, false, false},
  };
  for (const WantedCase& c : cases) {
    SCOPED_TRACE(c.name);
    const auto notify = static_cast<std::uint8_t>(c.notify);
    EXPECT_EQ(wanted(c.sender, notify, Action::failed), c.failed);
    EXPECT_EQ(wanted(c.sender, notify, Action::delayed), c.delayed);
    EXPECT_EQ(wanted(c.sender, notify, Action::relayed), c.relayed);
    EXPECT_EQ(wanted(c.sender, notify, Action::delivered), c.relayed);
  }
}

}  // namespace
}  // namespace postern::delivery::report
