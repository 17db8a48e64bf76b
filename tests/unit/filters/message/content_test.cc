#include "filters/message/content.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

/// A message and what is in it; the message must stay.
struct Read {
  explicit Read(std::string text, const ContentLimits& limits = {})
      : message(std::move(text)), analysis(Analysis::of(message)), content(Content::of(analysis, limits)) {}
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;

  std::string message;
  Analysis analysis;
  Content content;
};

TEST(Content, ReadsAPlainMessage) {
  const Read read(
      "Subject: =?utf-8?q?=C3=A4?=\r\nFrom: =?utf-8?q?J=C3=B6?= <j@a.example>\r\nTo: b@b.example, "
      "c@c.example\r\n\r\n"
      "Hello http://a.example/x\r\n");
  EXPECT_EQ(read.content.subject(), "\xC3\xA4");
  ASSERT_EQ(read.content.from().mailboxes.size(), 1U);
  EXPECT_EQ(read.content.from().mailboxes[0].name, "J\xC3\xB6");
  EXPECT_EQ(read.content.to().mailboxes.size(), 2U);
  ASSERT_EQ(read.content.parts().size(), 1U);
  const ContentPart& part = read.content.parts()[0];
  EXPECT_EQ(part.path, "1");
  EXPECT_EQ(part.type, "text/plain");
  EXPECT_EQ(part.encoding, "7bit");
  EXPECT_EQ(part.octets.data(), part.raw.data());  // nothing is copied
  EXPECT_EQ(read.content.text(), "Hello http://a.example/x\r\n");
  EXPECT_EQ(read.content.urls(), std::vector<std::string>{"http://a.example/x"});
  EXPECT_TRUE(read.content.oddities().empty());
}

constexpr std::string_view kPlain =
    "--a\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
    "pl=E4in http://p.example\n";
constexpr std::string_view kHtml =
    "--a\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    "PHA+aHQ8Yj5tbDwvYj48L3A+PGEgaHJlZj0iaHR0cDovL2guZXhhbXBsZS8iPng8L2E+\n";  // <p>ht<b>ml</b></p><a href="http://h.example/">x</a>
constexpr std::string_view kEmptyHtml = "--a\nContent-Type: text/html\n\n<p> </p>\n";

std::string alternative(std::string_view first, std::string_view second) {
  return "Content-Type: multipart/alternative; boundary=a\n\n" + std::string(first) + std::string(second) +
         "--a--\n";
}

TEST(Content, ShowsTheLastAlternativeWithText) {
  const Read html(alternative(kPlain, kHtml));
  EXPECT_EQ(html.content.text(), "html\nx");
  EXPECT_EQ(html.content.urls(), (std::vector<std::string>{"http://p.example", "http://h.example/"}));
  EXPECT_FALSE(html.content.parts().at(0).shown);
  EXPECT_TRUE(html.content.parts().at(1).shown);
  EXPECT_EQ(html.content.parts().at(0).octets, "pl\xE4in http://p.example");
  EXPECT_EQ(Read(alternative(kHtml, kPlain)).content.text(), "pl\xC3\xA4in http://p.example");
  EXPECT_EQ(Read(alternative(kPlain, kEmptyHtml)).content.text(), "pl\xC3\xA4in http://p.example");
}

TEST(Content, ShowsInlineTextsAndNotAttachments) {
  const Read read(
      "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a\nContent-Disposition: attachment; "
      "filename=\"x.txt\"\n\n"
      "two www.b.example\n--a\nContent-Type: message/rfc822\n\nSubject: s\n\nthree\n--a\nContent-Type: "
      "image/png; name=\"=?utf-8?q?=C3=A4?=.png\"\n\n"
      "four\n--a--\n");
  EXPECT_EQ(read.content.text(), "one\nthree");
  EXPECT_EQ(read.content.urls(), std::vector<std::string>{"http://www.b.example"});
  ASSERT_EQ(read.content.parts().size(), 5U);
  EXPECT_EQ(read.content.parts()[1].disposition, "attachment");
  EXPECT_EQ(read.content.parts()[1].filename, "x.txt");
  EXPECT_TRUE(read.content.parts()[2].is_message);
  EXPECT_EQ(read.content.parts()[2].octets, "Subject: s\n\nthree");
  EXPECT_EQ(read.content.parts()[3].path, "3.1");
  EXPECT_EQ(read.content.parts()[4].filename, "\xC3\xA4.png");
}

TEST(Content, ReadsAMessageInBase64) {
  // "Content-Type: text/html\n\n<b>x</b>"
  const Read read(
      "Content-Type: message/rfc822\nContent-Transfer-Encoding: "
      "base64\n\nQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwKCjxiPng8L2I+\n");
  ASSERT_EQ(read.content.parts().size(), 2U);
  EXPECT_EQ(read.content.parts()[1].path, "1.1");
  EXPECT_EQ(read.content.parts()[1].type, "text/html");
  EXPECT_EQ(read.content.text(), "x");
  EXPECT_TRUE(read.content.oddities().has(Oddity::encoded_message));
}

TEST(Content, FindsTheCharsetOfHtml) {
  EXPECT_EQ(Read("Content-Type: text/html\n\n<meta charset=koi8-r>\xD0").content.text(), "\xD0\xBF");
}

TEST(Content, KeepsHiddenTextApart) {
  const Read read("Content-Type: text/html\n\nseen<div style='display:none'>not seen</div>");
  EXPECT_EQ(read.content.text(), "seen");
  EXPECT_EQ(read.content.hidden_text(), "not seen\n");
  ASSERT_EQ(read.content.html().size(), 1U);
  EXPECT_TRUE(read.content.html()[0].hidden_by_display);
}

TEST(Content, HasALimitOfText) {
  EXPECT_EQ(Read("\nabcd", {.text_octets_max = 4}).content.text(), "abcd");
  const Read read("\nabcde", {.text_octets_max = 4});
  EXPECT_EQ(read.content.text(), "abcd");
  EXPECT_TRUE(read.content.oddities().has(Oddity::text_limit));
}

TEST(Content, StaysValidWhenMoved) {
  Read read(alternative(kPlain, kHtml));
  const Content moved = std::move(read.content);
  EXPECT_EQ(moved.parts().at(0).octets, "pl\xE4in http://p.example");
}

TEST(Content, NamesUnknownEncodings) {
  const Read read("Content-Transfer-Encoding: rot13\n\nx\n");
  EXPECT_EQ(read.content.parts().at(0).octets, "x\n");
  EXPECT_EQ(read.content.oddities().names(), std::vector<std::string>{"encoding_unknown"});
}

TEST(Oddities, HaveDistinctNames) {
  Oddities all;
  for (unsigned i = 0; i < static_cast<unsigned>(Oddity::count_); ++i) all.add(static_cast<Oddity>(i));
  std::vector<std::string> names = all.names();
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Oddity::count_));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace postern::filters
