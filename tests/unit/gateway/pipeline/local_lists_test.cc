#include "gateway/pipeline/local_lists.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace postern::pipeline {
namespace {

using filters::QuestionKind;

filters::Network network(std::string_view text) {
  const auto parsed = filters::Network::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(filters::Network());
}

config::LocalList allow() {
  return {.clients = {network("192.0.2.7"), network("198.51.100.0/24"), network("2001:db8:1::/48"),
                      network("10.0.0.0/8")},
          .senders = {"friend@bad.example", "@good.example", "@.parent.example", "both@x.example", "<>"},
          .recipients = {"abuse@test.example"}};
}

config::LocalList block() {
  return {.clients = {network("192.0.2.0/24"), network("198.51.100.128/25"), network("2001:db8::/32"),
                      network("10.0.0.0/8")},
          .senders = {"@bad.example", "spammer@good.example", "@.sub.parent.example", "both@x.example",
                      "@bücher.example", "\"q x\"@quoted.example"},
          .recipients = {"@closed.test.example"}};
}

struct Row {
  std::string_view name;
  QuestionKind kind;
  std::string_view asked, record = {};  ///< empty: no data
};

constexpr Row kRows[] = {
    {"an address before its network", QuestionKind::client_list, "192.0.2.7", "allow:192.0.2.7/32"},
    {"the network", QuestionKind::client_list, "192.0.2.8", "block:192.0.2.0/24"},
    {"the longer prefix", QuestionKind::client_list, "198.51.100.200", "block:198.51.100.128/25"},
    {"the shorter prefix", QuestionKind::client_list, "198.51.100.127", "allow:198.51.100.0/24"},
    {"listed twice", QuestionKind::client_list, "10.1.2.3", "allow:10.0.0.0/8"},
    {"just outside", QuestionKind::client_list, "192.0.3.0"},
    {"IPv6, longer", QuestionKind::client_list, "2001:db8:1::9", "allow:2001:db8:1::/48"},
    {"IPv6, shorter", QuestionKind::client_list, "2001:db8:2::9", "block:2001:db8::/32"},
    {"IPv6, outside", QuestionKind::client_list, "2001:db9::1"},
    {"IPv4 mapped into IPv6", QuestionKind::client_list, "::ffff:192.0.2.8", "block:192.0.2.0/24"},
    {"no address", QuestionKind::client_list, ""},

    {"an address before its domain", QuestionKind::sender_list, "friend@bad.example",
     "allow:friend@bad.example"},
    {"the domain", QuestionKind::sender_list, "other@bad.example", "block:@bad.example"},
    {"case", QuestionKind::sender_list, "FRIEND@BAD.example", "allow:friend@bad.example"},
    {"blocked within an allowed domain", QuestionKind::sender_list, "spammer@good.example",
     "block:spammer@good.example"},
    {"a domain is not its subdomain", QuestionKind::sender_list, "a@sub.good.example"},
    {"nor a longer name", QuestionKind::sender_list, "a@notgood.example"},
    {"below a parent", QuestionKind::sender_list, "a@x.parent.example", "allow:@.parent.example"},
    {"far below a parent", QuestionKind::sender_list, "a@z.y.x.parent.example", "allow:@.parent.example"},
    {"below the nearer parent", QuestionKind::sender_list, "a@x.sub.parent.example",
     "block:@.sub.parent.example"},
    {"the parent itself", QuestionKind::sender_list, "a@parent.example"},
    {"the nearer parent itself", QuestionKind::sender_list, "a@sub.parent.example", "allow:@.parent.example"},
    {"an address listed twice", QuestionKind::sender_list, "both@x.example", "allow:both@x.example"},
    {"the null reverse-path", QuestionKind::sender_list, "", "allow:<>"},
    {"a U-label", QuestionKind::sender_list, "a@bücher.example", "block:@bücher.example"},
    {"its A-label", QuestionKind::sender_list, "a@xn--bcher-kva.example", "block:@bücher.example"},
    {"quoted", QuestionKind::sender_list, "\"q x\"@quoted.example", "block:\"q x\"@quoted.example"},

    {"a recipient", QuestionKind::recipient_list, "abuse@test.example", "allow:abuse@test.example"},
    {"a recipient's domain", QuestionKind::recipient_list, "x@closed.test.example",
     "block:@closed.test.example"},
    {"senders are not recipients", QuestionKind::recipient_list, "x@bad.example"},
    {"<Postmaster>", QuestionKind::recipient_list, "postmaster"},
    {"the null path is no recipient entry", QuestionKind::recipient_list, ""},
};

TEST(LocalLists, GivesTheMostSpecificEntry) {
  const LocalLists lists(allow(), block());
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const filters::Answer answer = lists.answer({.kind = row.kind, .name = std::string(row.asked)});
    if (row.record.empty()) {
      EXPECT_EQ(answer.status, filters::AnswerStatus::no_data);
      EXPECT_TRUE(answer.records.empty());
    } else {
      EXPECT_EQ(answer.status, filters::AnswerStatus::data);
      ASSERT_EQ(answer.records.size(), 1U);
      EXPECT_EQ(answer.records[0], row.record);
    }
  }
}

TEST(LocalLists, WhatTheyHaveEntriesOf) {
  const LocalLists none;
  EXPECT_FALSE(none.has_clients() || none.has_senders() || none.has_recipients());
  const LocalLists clients({.clients = {network("2001:db8::/32")}}, {});
  EXPECT_TRUE(clients.has_clients());
  EXPECT_FALSE(clients.has_senders() || clients.has_recipients());
  const LocalLists senders({}, {.senders = {"<>"}});
  EXPECT_TRUE(senders.has_senders());
  const LocalLists recipients({}, {.recipients = {"@test.example"}});
  EXPECT_TRUE(recipients.has_recipients());
}

TEST(LocalLists, TheWholeInternetAndOneAddress) {
  const LocalLists lists({.clients = {network("203.0.113.5")}},
                         {.clients = {network("0.0.0.0/0"), network("::/0")}});
  const auto asked = [&](std::string name) {
    return lists.answer({.kind = QuestionKind::client_list, .name = std::move(name)}).records.at(0);
  };
  EXPECT_EQ(asked("203.0.113.5"), "allow:203.0.113.5/32");
  EXPECT_EQ(asked("203.0.113.6"), "block:0.0.0.0/0");
  EXPECT_EQ(asked("2001:db8::1"), "block:::/0");
}

TEST(LocalLists, TenThousandEntries) {
  config::LocalList many;
  for (unsigned i = 0; i < 10'000; ++i) {
    many.clients.push_back(network(fmt::format("10.{}.{}.0/24", i / 250, i % 250)));
    many.senders.push_back(fmt::format("sender{}@d{}.example", i, i % 100));
  }
  const LocalLists lists({}, many);
  for (unsigned i = 0; i < 10'000; i += 7) {
    const filters::Answer client = lists.answer(
        {.kind = QuestionKind::client_list, .name = fmt::format("10.{}.{}.9", i / 250, i % 250)});
    ASSERT_EQ(client.records.size(), 1U) << i;
    EXPECT_EQ(client.records[0], fmt::format("block:10.{}.{}.0/24", i / 250, i % 250));
    const filters::Answer sender = lists.answer(
        {.kind = QuestionKind::sender_list, .name = fmt::format("sender{}@d{}.example", i, i % 100)});
    ASSERT_EQ(sender.records.size(), 1U) << i;
  }
  EXPECT_TRUE(lists.answer({.kind = QuestionKind::client_list, .name = "10.40.0.1"}).records.empty());
  EXPECT_TRUE(
      lists.answer({.kind = QuestionKind::sender_list, .name = "sender5@d6.example"}).records.empty());
}

}  // namespace
}  // namespace postern::pipeline
