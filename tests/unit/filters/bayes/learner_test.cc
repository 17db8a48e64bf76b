#include "filters/bayes/learner.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/filters/bayes/support.h"

namespace postern::filters::bayes {
namespace {

using Outcome = Learner::Outcome;
constexpr unsigned kBits = 16;
constexpr std::uint16_t kDay = 20'000;

Outcome learn(Learner& learner, const Read& read, Class verdict, Authority authority = Authority::person,
              std::uint64_t reporter = 0) {
  return learner
      .learn(read.digest, read.features,
             {.verdict = verdict, .authority = authority, .reporter = reporter, .day = kDay})
      .outcome;
}

TEST(Learner, KnowsNothingAtFirst) {
  const Learner learner(kBits);
  const Opinion opinion = learner.model().classify(mail(Class::spam, 1).features);
  EXPECT_EQ(opinion.log_odds, 0);
  EXPECT_FALSE(opinion.trained);
}

TEST(Learner, IsTrainedFromFiftyOfEachOn) {
  Learner learner(kBits);
  train(learner, 49);
  (void)learn(learner, mail(Class::ham, 49), Class::ham);
  EXPECT_FALSE(learner.model().classify(mail(Class::spam, 1000).features).trained);
  (void)learn(learner, mail(Class::spam, 49), Class::spam);
  const Opinion spam = learner.model().classify(mail(Class::spam, 1000).features);
  const Opinion ham = learner.model().classify(mail(Class::ham, 1000).features);
  EXPECT_TRUE(spam.trained);
  EXPECT_GT(spam.log_odds, 1);
  EXPECT_LT(ham.log_odds, -1);
}

TEST(Learner, LearningTwiceChangesNothing) {
  Learner learner(kBits);
  train(learner, 5);
  const std::string before = snapshot(learner);
  EXPECT_EQ(learn(learner, mail(Class::spam, 3), Class::spam), Outcome::known);
  EXPECT_EQ(snapshot(learner), before);
}

TEST(Learner, ForgettingLeavesNothingBehindInAnyOrder) {
  Learner learner(kBits);
  train(learner, 20);
  std::vector<std::vector<Slot>> states;
  const auto state = [&learner] {
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < learner.model().table().size(); ++i) {
      Slot slot = learner.model().table().get(i);
      slot.day = 0;  // when it was seen last stays
      slots.push_back(slot);
    }
    return slots;
  };
  const auto totals = [&learner] {
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < Model::kTotals; ++i) all.push_back(learner.model().total(i));
    return all;
  };
  const auto before = state();
  const auto before_totals = totals();
  const Read first = mail(Class::spam, 500), second = mail(Class::ham, 501);
  const auto one =
      learner.learn(first.digest, first.features, {.verdict = Class::ham, .day = kDay}).events.back();
  const auto two =
      learner.learn(second.digest, second.features, {.verdict = Class::spam, .day = kDay}).events.back();
  EXPECT_NE(state(), before);
  EXPECT_TRUE(learner.forget(first.digest, one.tokens, one.grams));  // not the last one learned
  EXPECT_TRUE(learner.forget(second.digest, two.tokens, two.grams));
  EXPECT_EQ(state(), before);
  EXPECT_EQ(totals(), before_totals);
  EXPECT_FALSE(learner.forget(second.digest, two.tokens, two.grams));
}

TEST(Learner, TheOppositeClassUndoesTheFirst) {
  Learner learner(kBits), straight(kBits);
  train(learner, 10);
  train(straight, 10);
  const Read read = mail(Class::spam, 99);
  EXPECT_EQ(learn(learner, read, Class::ham), Outcome::learned);
  EXPECT_EQ(learn(learner, read, Class::spam), Outcome::changed);
  EXPECT_EQ(learn(straight, read, Class::spam), Outcome::learned);
  EXPECT_EQ(snapshot(learner), snapshot(straight));
}

TEST(Learner, NeverUndoesWithOtherFeatures) {
  Learner learner(kBits);
  const Read read = mail(Class::spam, 1);
  EXPECT_EQ(learn(learner, read, Class::spam), Outcome::learned);
  const Read other(read.message, {"spf=pass"});
  ASSERT_EQ(other.digest, read.digest);
  const std::string before = snapshot(learner);
  EXPECT_EQ(learn(learner, other, Class::ham), Outcome::different);
  EXPECT_EQ(snapshot(learner), before);
}

TEST(Learner, RanksAuthorities) {
  struct Row {
    std::string_view name;
    Authority first, second;
    Outcome outcome;
  };
  constexpr Row kRows[] = {
      {"a person outranks the automatic", Authority::automatic, Authority::person, Outcome::changed},
      {"the automatic never outranks a person", Authority::person, Authority::automatic, Outcome::outranked},
      {"persons may change their mind", Authority::person, Authority::person, Outcome::changed},
      {"a user never outranks a person", Authority::person, Authority::user, Outcome::outranked},
  };
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    Learner learner(kBits);
    const Read read = mail(Class::spam, 1);
    EXPECT_EQ(learn(learner, read, Class::spam, row.first), Outcome::learned);
    EXPECT_EQ(learn(learner, read, Class::ham, row.second), row.outcome);
  }
}

TEST(Learner, OneUserAloneWaitsForAnother) {
  Learner learner(kBits);
  const Read read = mail(Class::spam, 1);
  EXPECT_EQ(learn(learner, read, Class::spam, Authority::user, 1), Outcome::waiting);
  EXPECT_EQ(learn(learner, read, Class::spam, Authority::user, 1), Outcome::waiting);  // twice is not two
  EXPECT_EQ(learner.model().classify(read.features).log_odds, 0);
  EXPECT_EQ(learn(learner, read, Class::spam, Authority::user, 2), Outcome::learned);
  EXPECT_GT(learner.model().classify(read.features).log_odds, 0);
  EXPECT_EQ(learner.waiting(), 0U);
}

TEST(Learner, UsersTakeSmallerSteps) {
  Learner users(kBits), persons(kBits);
  const Read read = mail(Class::spam, 1);
  (void)learn(users, read, Class::spam, Authority::user, 1);
  const auto small =
      users.learn(read.digest, read.features,
                  {.verdict = Class::spam, .authority = Authority::user, .reporter = 2, .day = kDay});
  const auto large = persons.learn(read.digest, read.features, {.verdict = Class::spam, .day = kDay});
  EXPECT_EQ(small.events.back().step.words * 4, large.events.back().step.words);
  EXPECT_EQ(small.events.back().step.count * 4, large.events.back().step.count);
}

TEST(Learner, ASnapshotBringsEverythingBack) {
  Learner learner(kBits);
  train(learner, 60);
  (void)learn(learner, mail(Class::spam, 777), Class::ham, Authority::user, 1);
  const std::string before = snapshot(learner);
  Learner other(kBits);
  ASSERT_TRUE(other.read_snapshot(before));
  EXPECT_EQ(snapshot(other), before);
  EXPECT_EQ(Learner::snapshot_bits(before), kBits);
  EXPECT_EQ(learn(other, mail(Class::spam, 3), Class::spam), Outcome::known);
  EXPECT_EQ(other.model().classify(mail(Class::ham, 5000).features).log_odds,
            learner.model().classify(mail(Class::ham, 5000).features).log_odds);
}

TEST(Learner, RefusesADamagedSnapshot) {
  Learner learner(kBits);
  train(learner, 2);
  const std::string whole = snapshot(learner);
  for (std::size_t size = 0; size < whole.size(); size += 1 + size / 7) {
    Learner other(kBits);
    EXPECT_FALSE(other.read_snapshot(std::string_view(whole).substr(0, size))) << size;
  }
  Learner smaller(kBits - 1);
  EXPECT_FALSE(smaller.read_snapshot(whole));
  Learner other(kBits);
  EXPECT_FALSE(other.read_snapshot(whole + "x"));
}

TEST(Learner, EventsAreAllThereIs) {
  Learner learner(kBits), replayed(kBits);
  for (int i = 0; i < 30; ++i)
    for (const Class verdict : {Class::ham, Class::spam}) {
      const Read read = mail(verdict, i);
      for (const Class said : {verdict, i % 5 == 0 ? Class::ham : verdict})
        for (const Event& event :
             learner.learn(read.digest, read.features, {.verdict = said, .day = kDay}).events) {
          std::string record;
          encode(event, record);
          const auto decoded = decode_event(record);
          ASSERT_TRUE(decoded);
          replayed.apply(*decoded);
        }
    }
  EXPECT_EQ(snapshot(replayed), snapshot(learner));
}

TEST(Learner, WhatCannotBeWrittenIsTakenBack) {
  Learner learner(kBits);
  train(learner, 10);
  const std::int64_t ham = learner.model().total(Model::kHam);
  const Read read = mail(Class::ham, 100);
  const auto result = learner.learn(read.digest, read.features, {.verdict = Class::ham, .day = kDay});
  learner.take_back(result.events.back());
  EXPECT_EQ(learner.model().total(Model::kHam), ham);
  EXPECT_EQ(learn(learner, read, Class::ham), Outcome::learned);
}

TEST(Learner, OldKnowledgeFades) {
  Learner learner(kBits);
  train(learner, 60);
  EXPECT_FALSE(learner.age(Learner::kAgeEveryDays - 1));
  const double before = learner.model().classify(mail(Class::spam, 2000).features).words;
  ASSERT_TRUE(learner.age(kDay + Learner::kAgeDays - 1));
  EXPECT_EQ(learner.model().classify(mail(Class::spam, 2000).features).words, before);
  EXPECT_FALSE(learner.age(kDay + Learner::kAgeDays));  // not again within the week
  ASSERT_TRUE(learner.age(kDay + Learner::kAgeDays + Learner::kAgeEveryDays));
  const double after = learner.model().classify(mail(Class::spam, 2000).features).words;
  EXPECT_LT(after, before);
  EXPECT_GT(after, 0);
}

TEST(Learner, OthersSeeAtOnceWhatWasLearned) {
  Learner learner(kBits);
  train(learner, 60);
  const Read read = mail(Class::spam, 4000);
  double seen = 0;
  const auto look = [&] { seen = learner.model().classify(read.features).log_odds; };
  std::thread(look).join();
  const double before = seen;
  (void)learn(learner, read, Class::ham);
  std::thread(look).join();
  EXPECT_LT(seen, before);
}

TEST(Model, NamesTheStrongest) {
  Learner learner(kBits);
  train(learner, 60);
  const auto strongest = learner.model().strongest(mail(Class::spam, 5).features, 3);
  ASSERT_GE(strongest.size(), 3U);
  EXPECT_GT(strongest[0].log_odds, 0);
  EXPECT_GE(strongest[0].log_odds, strongest[1].log_odds);
  const auto all = learner.model().strongest(mail(Class::spam, 5).features, 1'000'000);
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].log_odds < 0 && all[i - 1].log_odds < 0) {
      EXPECT_LE(all[i - 1].log_odds, all[i].log_odds);
    }
}

}  // namespace
}  // namespace postern::filters::bayes
