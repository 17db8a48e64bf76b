#include "filters/bayes/extract.h"

#include <gtest/gtest.h>

#include "filters/bayes/words.h"
#include "tests/unit/filters/bayes/support.h"

namespace postern::filters::bayes {
namespace {

constexpr std::string_view kMessage =
    "Received: from mail.pills.example (unknown [192.0.2.7]) by mx.test.example with ESMTP id 4XyZ; Mon, 5 "
    "Aug 2024 "
    "10:20:30 +0200\r\n"
    "From: \"Cheap Pills\" <Shop@Pills.example>\r\n"
    "Reply-To: other@else.example\r\n"
    "Subject: =?utf-8?q?Cheap_pills?=\r\n"
    "Message-ID: <12ab@mail.pills.example>\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "\r\n"
    "<p>Buy <a href=\"http://www.shop.example:8080/buy/now?id=7\">it</a></p>\r\n";

TEST(Extractor, TagsWhatItFinds) {
  const Read read{std::string(kMessage)};
  constexpr std::string_view kExpected[] = {
      "field:From",
      "from:shop@pills.example",
      "from:pills.example",
      "from:Cheap",
      "subject:Cheap",
      "subject:cheap",
      "received:192.0.2.7",
      "received:192.0.2",
      "received:mail.pills.example",
      "received:+0200",
      "message-id:pills.example",
      "url:www.shop.example",
      "url:shop.example",
      "path:buy",
      "html:a",
      "html:a.href",
      "part:text/html",
      "Buy",
      "it",
      "Buy_it",
      "same:Reply-To not From",
  };
  for (const std::string_view name : kExpected) EXPECT_TRUE(read.has(name)) << name;
  EXPECT_FALSE(read.has("received:4XyZ"));  // an identifier says nothing but its shape
}

TEST(Extractor, NeverLooksAtWhatOtherFiltersWrote) {
  constexpr std::string_view kIgnored[] = {"X-Spam-Status: Yes, score=20",
                                           "x-spam-flag: YES",
                                           "X-Company-MailScanner-SpamCheck: spam",
                                           "Received-SPF: fail",
                                           "ARC-Seal: i=1; cv=none",
                                           "Authentication-Results: other.example; spf=fail",
                                           "X-Rspamd-Score: 12",
                                           "Status: RO",
                                           "X-Bogosity: Spam, tests=bogofilter"};
  const Read plain{std::string(kMessage)};
  for (const std::string_view field : kIgnored) {
    SCOPED_TRACE(field);
    const Read with{std::string(field) + "\r\n" + std::string(kMessage)};
    EXPECT_EQ(with.names(), plain.names());
    EXPECT_TRUE(std::ranges::equal(with.features.grams(), plain.features.grams()));
    EXPECT_EQ(with.digest, plain.digest);
  }
  EXPECT_FALSE(ignored_field("Subject"));
  EXPECT_FALSE(ignored_field("X-Mailer"));
}

TEST(Extractor, LineEndsMakeNoDifference) {
  std::string text(kMessage);
  std::erase(text, '\r');
  const Read with{std::string(kMessage)}, without{text};
  EXPECT_EQ(with.digest, without.digest);
  EXPECT_TRUE(std::ranges::equal(with.features.grams(), without.features.grams()));
}

TEST(Extractor, TheSecretDecidesWhereFeaturesFall) {
  const Read one{std::string(kMessage)}, other{std::string(kMessage), {}, Secret{5, 6, 7, 8}};
  EXPECT_EQ(one.names(), other.names());
  EXPECT_FALSE(std::ranges::equal(one.features.tokens(), other.features.tokens()));
}

TEST(Extractor, FactsAreTokens) {
  const Read read{std::string(kMessage), {"spf=pass", "dkim=fail a.example"}};
  EXPECT_TRUE(read.has("fact:spf=pass"));
  EXPECT_TRUE(read.has("fact:dkim=fail a.example"));
}

TEST(Extractor, KeepsItsLimits) {
  std::string text = "Subject: x\r\n\r\n";
  for (int i = 0; i < 40'000; ++i) text += "w" + std::to_string(i) + " ";
  for (int i = 0; i < 20'000; ++i)
    text += "http://h" + std::to_string(i) + ".example/p" + std::to_string(i) + "\n";
  const Read read{text};
  EXPECT_LE(read.features.tokens().size(), Features::kTokensMax);
  EXPECT_LE(read.features.grams().size(), Features::kGramsMax);
  std::string fields;
  for (int i = 0; i < 5'000; ++i) fields += "X-" + std::to_string(i) + ": a" + std::to_string(i) + " b c\r\n";
  const Read many{fields + "\r\nhello\r\n"};
  EXPECT_LE(many.features.tokens().size(), 3 * Extractor::kFieldsMax + 200 + 2 * Extractor::kFieldsMax);
}

TEST(Words, AreCutWhereSignsStand) {
  struct Row {
    std::string_view text;
    std::vector<std::string_view> words;
  };
  const Row rows[] = {
      {"", {}},
      {"  ...  ", {}},
      {"don't stop.", {"don't", "stop"}},
      {"$99.95 only!!", {"$99.95", "only!!"}},
      {"a@b.example", {"a", "b.example"}},
      {"-x- y", {"x", "y"}},
      {"gr\xC3\xBC\xC3\x9F", {"gr\xC3\xBC\xC3\x9F"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    std::vector<std::string_view> words;
    std::string_view rest = row.text;
    for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest))
      words.push_back(word);
    EXPECT_EQ(words, row.words);
  }
  EXPECT_EQ(shape("<20240805.1234AB@x>"), "<9+.94A2@a>");
}

}  // namespace
}  // namespace postern::filters::bayes
