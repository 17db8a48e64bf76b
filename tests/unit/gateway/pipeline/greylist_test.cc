#include "gateway/pipeline/greylist.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "filters/greylist/check.h"

namespace postern::pipeline {
namespace {

using namespace std::chrono_literals;

const Greylist::Time kStart{std::chrono::hours(480'000)};

std::string name(std::string recipient = "you@test.example", std::string sender = "a@soft.test",
                 std::string origin = "192.0.2.0/24") {
  return filters::greylist::name_of(
      {.origin = std::move(origin), .sender = std::move(sender), .recipient = std::move(recipient)});
}

/// The seconds to wait; "" when it may come in.
std::string asked(Greylist& greylist, const std::string& of, Greylist::Time now,
                  const Greylist::Rules& rules = {}) {
  const filters::Answer answer = greylist.answer(of, rules, now);
  return answer.records.empty() ? "" : answer.records.front();
}

TEST(Greylist, WhoComesAgainInTimeMayComeInAndIsLearned) {
  Greylist greylist;
  EXPECT_EQ(asked(greylist, name(), kStart), "300");
  EXPECT_EQ(asked(greylist, name(), kStart + 299s), "1");
  EXPECT_EQ(asked(greylist, name(), kStart + 300s), "");
  EXPECT_EQ(asked(greylist, name("another@test.example"), kStart + 301s), "") << "the sender is learned";
  EXPECT_EQ(asked(greylist, name("you@test.example", "b@soft.test"), kStart + 301s), "300");
  EXPECT_EQ(asked(greylist, name("you@test.example", "a@soft.test", "good.test"), kStart + 301s), "300");
}

TEST(Greylist, WhoComesTooLateBeginsAnew) {
  Greylist greylist;
  EXPECT_EQ(asked(greylist, name(), kStart), "300");
  EXPECT_EQ(asked(greylist, name(), kStart + 24h), "");
  Greylist late;
  EXPECT_EQ(asked(late, name(), kStart), "300");
  EXPECT_EQ(asked(late, name(), kStart + 24h + 1ms), "300");
}

TEST(Greylist, WhoStaysAwayIsForgotten) {
  Greylist greylist;
  (void)asked(greylist, name(), kStart);
  EXPECT_EQ(asked(greylist, name(), kStart + 1h), "");
  EXPECT_EQ(asked(greylist, name(), kStart + 1h + std::chrono::days(36)), "");
  EXPECT_EQ(asked(greylist, name(), kStart + 2h + std::chrono::days(36 + 35)), "") << "it was here meanwhile";
  EXPECT_EQ(asked(greylist, name(), kStart + 3h + std::chrono::days(36 + 35 + 37)), "300");
}

TEST(Greylist, WhoComesBackAfterYearsIsStoredAgain) {
  Greylist greylist;
  (void)asked(greylist, name(), kStart);
  (void)asked(greylist, name(), kStart + 1h);
  (void)greylist.take_changes();
  (void)asked(greylist, name(), kStart + std::chrono::days(1000));
  EXPECT_EQ(asked(greylist, name(), kStart + std::chrono::days(1000) + 1h), "");
  EXPECT_EQ(greylist.take_changes().size(), 2U) << "the triplet is gone, the sender learned anew";
}

TEST(Greylist, AFullTableKeepsNobodyOut) {
  Greylist greylist;
  const Greylist::Rules rules{.entries_max = 2};
  EXPECT_EQ(asked(greylist, name("1@test.example"), kStart, rules), "300");
  EXPECT_EQ(asked(greylist, name("2@test.example"), kStart, rules), "300");
  EXPECT_EQ(asked(greylist, name("3@test.example"), kStart, rules), "");
  EXPECT_EQ(greylist.counts().overflowed, 1U);
  greylist.sweep(rules, kStart + std::chrono::days(2));
  EXPECT_EQ(greylist.counts().entries, 0U);
  EXPECT_EQ(asked(greylist, name("3@test.example"), kStart + std::chrono::days(2), rules), "300");
}

TEST(Greylist, TheStoreBringsItBack) {
  Greylist first;
  (void)asked(first, name(), kStart);
  (void)asked(first, name("you@test.example", "learned@soft.test"), kStart);
  auto pairs = first.take_changes();
  EXPECT_EQ(pairs.size(), 2U);
  EXPECT_TRUE(first.take_changes().empty());
  EXPECT_EQ(asked(first, name("you@test.example", "learned@soft.test"), kStart + 1h), "");
  const auto more = first.take_changes();
  EXPECT_EQ(more.size(), 2U) << "one is gone, one has come";
  // As the store keeps them: the last of a key, none that is empty.
  std::map<std::string, std::string> store(pairs.begin(), pairs.end());
  for (const auto& [key, value] : more) value.empty() ? store.erase(key) : (store[key] = value, 0);

  Greylist second;
  second.load({store.begin(), store.end()}, {}, kStart + 1h);
  EXPECT_EQ(second.counts().entries, 2U);
  EXPECT_EQ(asked(second, name(), kStart + 1h), "");
  EXPECT_EQ(asked(second, name("x@test.example", "learned@soft.test"), kStart + 1h), "");
  Greylist later;
  later.load({store.begin(), store.end()}, {}, kStart + 25h + 1ms);
  EXPECT_EQ(later.counts().entries, 1U) << "the one that waited is over";
  EXPECT_EQ(later.take_changes().size(), 1U) << "and is to go from the store";
}

TEST(Greylist, WhatCouldNotBeStoredIsTakenAgain) {
  Greylist greylist;
  (void)asked(greylist, name(), kStart);
  const auto changes = greylist.take_changes();
  greylist.give_back(changes);
  EXPECT_EQ(greylist.take_changes(), changes);
}

TEST(Greylist, OddRecordsOfTheStoreAreLeftOut) {
  Greylist greylist;
  greylist.load(
      {{"short", "value"}, {std::string(16, 'k'), std::string(17, '\1')}, {std::string(16, 'k'), "\2"}}, {},
      kStart);
  EXPECT_EQ(greylist.counts().entries, 0U);
  EXPECT_EQ(asked(greylist, "no triplet", kStart), "");
}

}  // namespace
}  // namespace postern::pipeline
