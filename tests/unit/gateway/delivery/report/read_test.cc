#include "gateway/delivery/report/read.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace postern::delivery::report {
namespace {

std::string wrap(std::string_view status, std::string_view type = "delivery-status") {
  return "Content-Type: multipart/report; report-type=" + std::string(type) +
         "; boundary=b\r\n\r\n--b\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
         std::string(status) +
         "\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <m@x.example>\r\n--b--\r\n";
}

TEST(ReadReport, GroupsWithoutABlankLine) {
  const auto report = read(
      wrap("Reporting-MTA: dns; a.example\r\n\r\nFinal-Recipient: rfc822; x@y.example\r\nAction: failed\r\n"
           "Status: 5.1.1\r\nFinal-Recipient: rfc822; z@y.example\r\nAction: delayed\r\nStatus: 4.0.0\r\n"));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->subjects.size(), 2U);
  EXPECT_EQ(report->subjects[1].final_recipient, "z@y.example");
  EXPECT_EQ(report->subjects[1].action, Action::delayed);
  EXPECT_EQ(report->original_message_id, "<m@x.example>");
}

TEST(ReadReport, OddForms) {
  const auto report =
      read(wrap("reporting-mta:dns;a.example\n\n\n\nSTATUS: 5.2.2 (full)\naction: Failed (really)\n"
                "Diagnostic-Code: smtp;\n 552 full\n\tand folded\nnonsense\nFinal-recipient: x@y.example\n"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->reporting_mta, "a.example");
  ASSERT_EQ(report->subjects.size(), 1U);
  EXPECT_EQ(report->subjects[0].status, "5.2.2");
  EXPECT_EQ(report->subjects[0].action, Action::failed);
  EXPECT_EQ(report->subjects[0].diagnostic, "smtp; 552 full and folded");
  EXPECT_EQ(report->subjects[0].final_recipient, "x@y.example");
}

TEST(ReadReport, BoundsTheSubjects) {
  std::string status = "Reporting-MTA: dns; a.example\r\n";
  for (std::size_t i = 0; i < kSubjectsMax + 5; ++i)
    status += "\r\nFinal-Recipient: rfc822; x@y.example\r\nStatus: 5.1.1\r\n";
  EXPECT_EQ(read(wrap(status))->subjects.size(), kSubjectsMax);
}

TEST(ReadReport, NoReports) {
  EXPECT_FALSE(read(""));
  EXPECT_FALSE(read("Content-Type: text/plain\r\n\r\nFinal-Recipient: x\r\n"));
  EXPECT_FALSE(read(wrap("", "disposition-notification")));
  EXPECT_EQ(kind_of(wrap("", "disposition-notification")), Kind::disposition_notification);
  EXPECT_EQ(kind_of(wrap("", "feedback-report")), Kind::feedback);
  EXPECT_EQ(kind_of(wrap("")), Kind::delivery_status);
  EXPECT_EQ(kind_of("Subject: hi\r\n\r\nyo"), Kind::none);
}

struct Sample {
  std::string_view file;
  Kind kind;
  std::size_t subjects;
  std::string_view reporting, recipient, status;
};
constexpr Sample kSamples[] = {
    {"delivery-status.txt", Kind::delivery_status, 1, "mm1", "newsletter-request@imusic.com", ""},
    {"delivery-status-no-blank-line.txt", Kind::delivery_status, 1, "mm1", "newsletter-request@imusic.com",
     ""},
    {"delivery-status2.txt", Kind::delivery_status, 1, "smtp-out.dis-hosting.net", "source@domain.com",
     "5.0.0"},
    {"delivery-status-multiple-blank-lines.txt", Kind::delivery_status, 1, "someserver.com", "", "5.5.0"},
    {"bounce.txt", Kind::delivery_status, 1, "hmail.jitbit.com", "netec.test@netecgc.com", "5.1.1"},
    {"disposition-notification.txt", Kind::disposition_notification, 0, "", "", ""},
    {"feedback-report.txt", Kind::feedback, 0, "", "", ""},
};

TEST(ReadReport, SamplesFromOtherServers) {
  const char* const shared = std::getenv("POSTERN_SHARED");
  const std::filesystem::path folder =
      std::filesystem::path(shared == nullptr ? "" : shared) / "conformance/dsn/mimekit";
  if (shared == nullptr || !std::filesystem::is_directory(folder)) GTEST_SKIP() << "no samples";
  for (const Sample& c : kSamples) {
    SCOPED_TRACE(c.file);
    std::ifstream file(folder / c.file, std::ios::binary);
    const std::string message(std::istreambuf_iterator<char>(file), {});
    ASSERT_FALSE(message.empty());
    EXPECT_EQ(kind_of(message), c.kind);
    const auto report = read(message);
    ASSERT_EQ(report.has_value(), c.kind == Kind::delivery_status);
    if (!report) continue;
    EXPECT_EQ(report->reporting_mta, c.reporting);
    ASSERT_EQ(report->subjects.size(), c.subjects);
    EXPECT_EQ(report->subjects[0].final_recipient, c.recipient);
    EXPECT_EQ(report->subjects[0].status, c.status);
  }
}

}  // namespace
}  // namespace postern::delivery::report
