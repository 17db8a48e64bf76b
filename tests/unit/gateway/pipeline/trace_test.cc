#include "gateway/pipeline/trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace postern::pipeline {
namespace {

using filters::Analysis;
using filters::Envelope;

Envelope envelope() {
  Envelope envelope;
  envelope.id = "01ABCDEFGHJKMNPQRSTV";
  envelope.receiving_host = "mx.test.example";
  envelope.client_ip = filters::Ip::v4({192, 0, 2, 1});
  envelope.helo = "client.example";
  envelope.protocol = "ESMTP";
  envelope.mail_from = "sender@client.example";
  envelope.recipients = {"alice@test.example"};
  envelope.received_at = std::chrono::sys_days(std::chrono::year{2026} / 11 / 24) + std::chrono::hours(12);
  return envelope;
}

std::string unfolded(std::string_view field) {
  return filters::Analysis::unfolded(field);
}

/// What every field of ours must be: one field, lines that fit, no octet that could mislead.
void expect_one_field(const std::string& field, std::string_view name) {
  SCOPED_TRACE(field);
  const Analysis read = Analysis::of(field);
  ASSERT_EQ(read.fields().size(), 1U);
  EXPECT_EQ(read.fields()[0].name, name);
  EXPECT_TRUE(read.body().empty());
  EXPECT_TRUE(field.ends_with("\r\n"));
  for (std::size_t at = 0; at < field.size();) {
    const std::size_t end = field.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - at, 998U);
    at = end + 2;
  }
  for (const char c : field) {
    const auto octet = static_cast<unsigned char>(c);
    EXPECT_TRUE(octet >= 0x20 || c == '\r' || c == '\n' || c == '\t');
    EXPECT_NE(octet, 0x7f);
  }
}

TEST(Received, Plain) {
  EXPECT_EQ(received_field(envelope()),
            "Received: from client.example ([192.0.2.1]) by mx.test.example (Postern)\r\n"
            " with ESMTP id 01ABCDEFGHJKMNPQRSTV for <alice@test.example>;\r\n"
            " Tue, 24 Nov 2026 12:00:00 +0000\r\n");
}

struct ReceivedRow {
  std::string_view name;
  void (*change)(Envelope&);
  std::string_view expected;  ///< unfolded; what it must hold
  std::string_view absent = "\x01";
};

const ReceivedRow kReceived[] = {
    {"verified name", [](Envelope& e) { e.client_name = "mail.client.example"; },
     "from client.example (mail.client.example [192.0.2.1]) by mx.test.example (Postern) with"},
    {"IPv6", [](Envelope& e) { e.client_ip = *filters::Ip::parse("2001:db8::1"); },
     "from client.example ([IPv6:2001:db8::1]) by"},
    {"literal as HELO", [](Envelope& e) { e.helo = "[192.0.2.1]"; }, "from [192.0.2.1] ([192.0.2.1]) by"},
    {"IPv6 literal as HELO", [](Envelope& e) { e.helo = "[IPv6:2001:db8::1]"; }, "from [IPv6:2001:db8::1] ("},
    {"TLS 1.3",
     [](Envelope& e) {
       e.protocol = "ESMTPS";
       e.tls = {.version = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384"};
     },
     "with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id 01ABCDEFGHJKMNPQRSTV for <alice@test.example> tls "
     "TLS_AES_256_GCM_SHA384; Tue"},
    {"TLS 1.2 has no registered name from OpenSSL",
     [](Envelope& e) {
       e.protocol = "ESMTPS";
       e.tls = {.version = "TLSv1.2", .cipher = "ECDHE-RSA-AES256-GCM-SHA384"};
     },
     "with ESMTPS (TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384) id", " tls "},
    {"two recipients are not told of each other",
     [](Envelope& e) { e.recipients.emplace_back("bob@test.example"); }, "id 01ABCDEFGHJKMNPQRSTV; Tue",
     " for "},
    {"LMTP over a Unix socket",
     [](Envelope& e) {
       e.client_ip = {};
       e.protocol = "LMTP";
     },
     "from client.example by mx.test.example (Postern) with LMTP id"},
    {"UTF-8",
     [](Envelope& e) {
       e.protocol = "UTF8SMTP";
       e.recipients = {"grün@bücher.example"};
     },
     "with UTF8SMTP id 01ABCDEFGHJKMNPQRSTV for <grün@bücher.example>;"},
    {"quoted recipient", [](Envelope& e) { e.recipients = {"\"a; b\"@test.example"}; },
     "for <\"a; b\"@test.example>;"},
    {"no HELO", [](Envelope& e) { e.helo.clear(); }, "from unknown ([192.0.2.1])"},
    {"HELO with a line of its own", [](Envelope& e) { e.helo = "x\r\nX-Spam-Flag: NO\r\n\r\nbody"; },
     "from x??X-Spam-Flag??NO????body ([192.0.2.1])"},
    {"HELO that ends the clause", [](Envelope& e) { e.helo = "x (y); Mon, 1 Jan 2001 00:00:00 +0000 (\\"; },
     "from x??y???Mon??1?Jan?2001?00?00?00??0000??? ([192.0.2.1])", "2001 00"},
    {"HELO with brackets anywhere", [](Envelope& e) { e.helo = "a[b]c"; }, "from a?b?c ("},
    {"HELO in UTF-8", [](Envelope& e) { e.helo = "bücher"; }, "from b??cher ("},
    {"HELO with controls", [](Envelope& e) { e.helo = std::string("a\0b\x7f\x1b[2J", 8); },
     "from a?b???2J ("},
    {"a long HELO", [](Envelope& e) { e.helo = std::string(5000, 'h'); }, "hhh ([192.0.2.1]) by"},
    {"a hostile reverse name", [](Envelope& e) { e.client_name = "evil) by\r\nX: y"; },
     "(evil??by??X??y [192.0.2.1])"},
};

TEST(Received, HoldsWhatItMust) {
  for (const ReceivedRow& row : kReceived) {
    SCOPED_TRACE(row.name);
    Envelope changed = envelope();
    row.change(changed);
    const std::string field = received_field(changed);
    expect_one_field(field, "Received");
    EXPECT_NE(unfolded(field).find(row.expected), std::string::npos) << field;
    EXPECT_EQ(unfolded(field).find(row.absent), std::string::npos) << field;
    EXPECT_LE(field.size(), 1500U);
    EXPECT_EQ(std::ranges::count(field, ';'), row.name == "quoted recipient" ? 2 : 1);
  }
}

TEST(Date, Spelled) {
  const auto at = [](int year, unsigned month, unsigned day, int second) {
    const std::chrono::year_month_day date(std::chrono::year{year}, std::chrono::month{month},
                                           std::chrono::day{day});
    return date_time(std::chrono::sys_days(date) + std::chrono::seconds(second));
  };
  EXPECT_EQ(at(1970, 1, 1, 0), "Thu, 1 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(at(2024, 2, 29, 86'399), "Thu, 29 Feb 2024 23:59:59 +0000");
  EXPECT_EQ(at(2026, 11, 24, 43'200), "Tue, 24 Nov 2026 12:00:00 +0000");
  EXPECT_EQ(at(2038, 1, 19, 11'648), "Tue, 19 Jan 2038 03:14:08 +0000");
}

struct SpamRow {
  std::string_view name;
  filters::Verdict verdict;
  std::string_view expected;
};

TEST(SpamFields, Spelled) {
  using filters::Action;
  const SpamRow rows[] = {
      {"nothing found",
       {.required = 5},
       "X-Spam-Score: 0.0\r\nX-Spam-Status: No, score=0.0 required=5.0 tests=none\r\n"},
      {"spam",
       {.action = Action::tag, .score = 9.3, .required = 5, .findings = {{"A_RULE", 9, ""}, {"B2", 0.3, ""}}},
       "X-Spam-Flag: YES\r\nX-Spam-Score: 9.3\r\nX-Spam-Level: *********\r\n"
       "X-Spam-Status: Yes, score=9.3 required=5.0 tests=A_RULE, B2\r\n"},
      {"quarantined is spam as well",
       {.action = Action::quarantine, .score = 12, .required = 5, .findings = {{"X", 12, ""}}},
       "X-Spam-Flag: YES\r\nX-Spam-Score: 12.0\r\nX-Spam-Level: ************\r\n"
       "X-Spam-Status: Yes, score=12.0 required=5.0 tests=X\r\n"},
      {"just below",
       {.score = 4.9996, .required = 5, .findings = {{"X", 4.9996, ""}}},
       "X-Spam-Score: 4.9996\r\nX-Spam-Level: ****\r\nX-Spam-Status: No, score=4.9996 required=5.0 "
       "tests=X\r\n"},
      {"allowed",
       {.score = -100, .required = 5, .findings = {{"LOCAL_ALLOW_CLIENT", -100, ""}}},
       "X-Spam-Score: -100.0\r\nX-Spam-Status: No, score=-100.0 required=5.0 tests=LOCAL_ALLOW_CLIENT\r\n"},
      {"no more stars than fifty",
       {.action = Action::tag, .score = 1000, .required = 5},
       "X-Spam-Flag: YES\r\nX-Spam-Score: 1000.0\r\nX-Spam-Level: "
       "**************************************************\r\n"
       "X-Spam-Status: Yes, score=1000.0 required=5.0 tests=none\r\n"},
  };
  for (const SpamRow& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(spam_fields(row.verdict), row.expected);
  }
}

TEST(SpamFields, ManyTestsAreFolded) {
  filters::Verdict verdict;
  for (int i = 0; i < 500; ++i) verdict.findings.push_back({.name = "RULE_NUMBER_" + std::to_string(i)});
  const std::string fields = spam_fields(verdict);
  EXPECT_LE(fields.size(), 1200U);
  expect_one_field(fields.substr(fields.find("X-Spam-Status")), "X-Spam-Status");
  for (std::size_t at = 0; at < fields.size();) {
    const std::size_t end = fields.find("\r\n", at);
    EXPECT_LE(end - at, 78U);
    at = end + 2;
  }
}

TEST(ReceivedSpf, SaysWhoWasCheckedAndHoldsWhatStrangersSaid) {
  filters::Verdict verdict;
  EXPECT_EQ(received_spf_field(envelope(), verdict), "");
  verdict.authentication.push_back({.method = "spf", .result = "fail", .reason = "none of \"these\""});
  filters::Envelope of = envelope();
  of.client_ip = *filters::Ip::parse("192.0.2.1");
  of.helo = "evil\r\nX: \"y\\";
  const std::string field = received_spf_field(of, verdict);
  expect_one_field(field, "Received-SPF");
  for (const char* part : {"Received-SPF: fail", "identity=\"mailfrom\";", "client-ip=\"192.0.2.1\";",
                           "helo=\"evil??X: \\\"y\\\\\";", "problem=\"none of \\\"these\\\"\";",
                           "receiver=\"mx.test.example\"\r\n"})
    EXPECT_NE(field.find(part), std::string::npos) << part << field;
  of.mail_from.clear();
  EXPECT_NE(received_spf_field(of, verdict).find("identity=\"helo\""), std::string::npos);

  const Analysis analysis = Analysis::of("A: 1\r\n\r\n");
  EXPECT_EQ(put_trace_in_front(of, &verdict, analysis).header.find("Received-SPF"), std::string::npos);
  EXPECT_NE(put_trace_in_front(of, &verdict, analysis, true).header.find("Received-SPF"), std::string::npos);
}

struct FrontRow {
  std::string_view name, message, expected;  ///< what stands behind our fields
};

constexpr FrontRow kFront[] = {
    {"nothing to take out", "Subject: x\r\nX-Spam: kept\r\n\r\nbody\r\n",
     "Subject: x\r\nX-Spam: kept\r\n\r\nbody\r\n"},
    {"no header", "\r\nbody\r\n", "\r\nbody\r\n"},
    {"empty", "", ""},
    {"Return-Path", "Return-Path: <evil@x.example>\r\nSubject: x\r\n\r\nb", "Subject: x\r\n\r\nb"},
    {"X-Spam fields, folded, any case",
     "A: 1\r\nx-spam-status: No,\r\n score=0\r\n\tx\r\nB: 2\r\nX-SPAM-FLAG : NO\r\nX-Spamd-Bar: /\r\nC: "
     "3\r\n\r\nX-Spam-Flag: NO\r\n",
     "A: 1\r\nB: 2\r\nC: 3\r\n\r\nX-Spam-Flag: NO\r\n"},
    {"the last field", "A: 1\r\nX-Spam-Level: *\r\n\r\nb\r\n", "A: 1\r\n\r\nb\r\n"},
    {"the only field", "X-Spam-Level: *\r\n\r\nb\r\n", "\r\nb\r\n"},
    {"a header without end", "A: 1\r\nX-Spam-Flag: NO\r\n", "A: 1\r\n"},
    {"our own notes", "X-Postern-Reason: fine\r\nA: 1\r\n\r\n", "A: 1\r\n\r\n"},
    {"odd octets around stay", "A:\xff\x01z\r\nReturn-Path: <>\r\nB:\t \r\n\r\n\r\n..\x80",
     "A:\xff\x01z\r\nB:\t \r\n\r\n\r\n..\x80"},
    {"results in our name", "Authentication-Results: mx.test.example; spf=pass\r\nA: 1\r\n\r\n",
     "A: 1\r\n\r\n"},
    {"in our name, disguised",
     "Authentication-Results: (x (y\\) ) z)\r\n \"MX.test\\.example\" 1; spf=pass\r\nA: 1\r\n\r\n",
     "A: 1\r\n\r\n"},
    {"in our name, alone", "authentication-results:mx.test.example\r\nA: 1\r\n\r\n", "A: 1\r\n\r\n"},
    {"results of another", "Authentication-Results: mx.test.example.other.example; spf=pass\r\n\r\n",
     "Authentication-Results: mx.test.example.other.example; spf=pass\r\n\r\n"},
    {"our name in a comment only", "Authentication-Results: (mx.test.example) other.example; none\r\n\r\n",
     "Authentication-Results: (mx.test.example) other.example; none\r\n\r\n"},
};

TEST(Front, TakesOutWhatIsForgedAndNothingElse) {
  for (const FrontRow& row : kFront) {
    SCOPED_TRACE(row.name);
    const Analysis analysis = Analysis::of(row.message);
    const filters::Verdict verdict;
    const TracedMessage traced = put_trace_in_front(envelope(), &verdict, analysis);
    const std::string ours =
        "Return-Path: <sender@client.example>\r\n" + spam_fields(verdict) + received_field(envelope());
    EXPECT_EQ(traced.header + std::string(traced.body), ours + std::string(row.expected));
    if (row.message == row.expected) {
      EXPECT_EQ(traced.body.data(), row.message.data());
      EXPECT_EQ(traced.header, ours);
    }
  }
}

TEST(Front, WhatWasAuthenticatedStandsAboveReceivedInOurName) {
  const Analysis analysis = Analysis::of(
      "Authentication-Results: MX.test.example; dmarc=pass header.from=bank.example\r\n"
      "Authentication-Results: other.example; none\r\n\r\n");
  filters::Verdict verdict;
  verdict.authentication = {{.method = "spf",
                             .result = "fail",
                             .properties = {{"smtp.mailfrom", "x\r\nX-Spam-Flag: NO@client.example"}}},
                            {.method = "dmarc", .result = "none"}};
  const TracedMessage traced = put_trace_in_front(envelope(), &verdict, analysis);
  EXPECT_EQ(traced.header + std::string(traced.body),
            "Return-Path: <sender@client.example>\r\n" + spam_fields(verdict) +
                "Authentication-Results: mx.test.example;\r\n"
                "\tspf=fail smtp.mailfrom=\"x  X-Spam-Flag: NO@client.example\";\r\n"
                "\tdmarc=none\r\n" +
                received_field(envelope()) + "Authentication-Results: other.example; none\r\n\r\n");
}

TEST(Front, WithoutAVerdictThereAreNoSpamFields) {
  const Analysis analysis = Analysis::of("A: 1\r\n\r\n");
  Envelope null_sender = envelope();
  null_sender.mail_from.clear();
  const TracedMessage traced = put_trace_in_front(null_sender, nullptr, analysis);
  EXPECT_EQ(traced.header, "Return-Path: <>\r\n" + received_field(null_sender));
}

TEST(Front, AContinuationLineCannotGoOnWithOurFields) {
  const Analysis analysis = Analysis::of(" tests=forged\r\nA: 1\r\n\r\n");
  const TracedMessage traced = put_trace_in_front(envelope(), nullptr, analysis);
  EXPECT_TRUE(traced.header.ends_with("\r\nX-Postern-Note: the message begins with a continuation line\r\n"));
  EXPECT_EQ(traced.body, analysis.message());
}

TEST(Front, AnAddressCannotHoldALineEnd) {
  const Analysis analysis = Analysis::of("");
  Envelope hostile = envelope();
  hostile.mail_from = "\"a\r\nX: y\"@client.example";
  const TracedMessage traced = put_trace_in_front(hostile, nullptr, analysis);
  EXPECT_TRUE(traced.header.starts_with("Return-Path: <\"a??X: y\"@client.example>\r\nReceived:"));
}

struct SubjectRow {
  std::string_view name, message, stored;
};

TEST(Trace, ASubjectIsTaggedOnce) {
  const std::string longer(70, 's');
  const std::string long_message = "A: b\r\nSubject: " + longer + "\r\nC: d\r\n\r\nx";
  const std::string long_stored = "A: b\r\nSubject: [SPAM]\r\n " + longer + "\r\nC: d\r\n\r\nx";
  const SubjectRow rows[] = {
      {"plain", "A: b\r\nSubject: offer\r\nC: d\r\n\r\nx", "A: b\r\nSubject: [SPAM] offer\r\nC: d\r\n\r\nx"},
      {"first of two", "Subject: a\r\nSubject: b\r\n\r\n", "Subject: [SPAM] a\r\nSubject: b\r\n\r\n"},
      {"without a blank", "subject:offer\r\n\r\n", "subject: [SPAM] offer\r\n\r\n"},
      {"tagged already", "Subject: [SPAM] offer\r\n\r\n", "Subject: [SPAM] offer\r\n\r\n"},
      {"empty", "Subject:\r\n\r\n", "Subject: [SPAM]\r\n\r\n"},
      {"blank", "Subject: \r\n\r\n", "Subject: [SPAM] \r\n\r\n"},
      {"folded", "Subject: a\r\n b\r\n\r\n", "Subject: [SPAM] a\r\n b\r\n\r\n"},
      {"begins with the fold", "Subject:\r\n a\r\n\r\n", "Subject: [SPAM]\r\n a\r\n\r\n"},
      {"too long for the line", long_message, long_stored},
      {"beside what is forged", "X-Spam-Flag: NO\r\nSubject: a\r\n\r\nx", "Subject: [SPAM] a\r\n\r\nx"},
  };
  for (const SubjectRow& row : rows) {
    SCOPED_TRACE(row.name);
    const filters::Analysis analysis = filters::Analysis::of(row.message);
    const TracedMessage traced = put_trace_in_front(envelope(), nullptr, analysis, false, "[SPAM]");
    const std::string stored = traced.header + std::string(traced.body);
    EXPECT_TRUE(stored.ends_with(row.stored)) << stored;
    EXPECT_EQ(stored.find("[SPAM]"), stored.rfind("[SPAM]"));
  }
  const filters::Analysis none = filters::Analysis::of("A: b\r\n\r\nx");
  const TracedMessage traced = put_trace_in_front(envelope(), nullptr, none, false, "[SPAM]");
  EXPECT_TRUE(traced.header.ends_with("\r\nSubject: [SPAM]\r\n")) << traced.header;
  EXPECT_EQ(traced.body, "A: b\r\n\r\nx");
  const filters::Analysis folded = filters::Analysis::of(" more\r\nA: b\r\n\r\nx");
  const TracedMessage noted = put_trace_in_front(envelope(), nullptr, folded, false, "[SPAM]");
  EXPECT_NE(noted.header.find("\r\nSubject: [SPAM]\r\nX-Postern-Note: "), std::string::npos) << noted.header;
}

}  // namespace
}  // namespace postern::pipeline
