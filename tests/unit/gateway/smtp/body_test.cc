#include "gateway/smtp/body.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace postern::smtp {
namespace {

TEST(Body, KeepsWhatWasAppendedWhateverThePieces) {
  for (const std::size_t piece : {1u, 7u, 4095u, 4096u, 4097u, 70'000u}) {
    SCOPED_TRACE(piece);
    BodyBudget budget(8 << 20);
    Body body(&budget);
    std::string expected;
    while (expected.size() < 3'000'000 && expected.size() < piece * 50'000) {
      const std::string octets(piece, static_cast<char>('a' + expected.size() % 26));
      ASSERT_TRUE(body.append(octets));
      expected += octets;
    }
    EXPECT_TRUE(body.view() == expected);
    EXPECT_GE(budget.used(), body.size());
    EXPECT_LE(budget.used(), 2 * body.size() + 4096) << "capacity is accounted, and not far over the size";
    body.clear();
    EXPECT_EQ(budget.used(), 0u);
    EXPECT_EQ(body.view(), "");
  }
}

TEST(Body, TheBudgetIsTheLimitAndNotOneOctetMore) {
  BodyBudget budget(10'000);
  Body body(&budget);
  ASSERT_TRUE(body.append(std::string(6'000, 'a')));
  ASSERT_TRUE(body.append(std::string(4'000, 'b'))) << "doubling does not fit, the octets themselves do";
  EXPECT_EQ(budget.used(), 10'000u);
  EXPECT_FALSE(body.append("c"));
  EXPECT_EQ(body.size(), 10'000u) << "nothing was appended";
  EXPECT_EQ(budget.used(), 10'000u) << "and nothing was taken";
  Body other(&budget);
  EXPECT_FALSE(other.append("d"));
  EXPECT_TRUE(other.append("")) << "nothing costs nothing";
  body.clear();
  EXPECT_TRUE(other.append("d"));
}

TEST(Body, MovesWithItsShareOfTheBudget) {
  BodyBudget first(100'000), second(100'000);
  Body body(&first);
  ASSERT_TRUE(body.append("one"));
  Body moved(std::move(body));
  EXPECT_EQ(moved.view(), "one");
  Body target(&second);
  ASSERT_TRUE(target.append("two"));
  target = std::move(moved);
  EXPECT_EQ(second.used(), 0u) << "what was there has been given back";
  EXPECT_EQ(target.view(), "one");
  ASSERT_TRUE(target.append("!"));
  EXPECT_GT(first.used(), 0u);
  target = Body(&first);
  EXPECT_EQ(first.used(), 0u);
}

TEST(Body, TruncatesAndNeverGrowsByIt) {
  Body body;
  ASSERT_TRUE(body.append("abcdef"));
  body.truncate(10);
  EXPECT_EQ(body.view(), "abcdef");
  body.truncate(2);
  EXPECT_EQ(body.view(), "ab");
  ASSERT_TRUE(body.append("z"));
  EXPECT_EQ(body.view(), "abz");
}

TEST(BodyBudget, TakesUpToItsMaximum) {
  BodyBudget budget(100);
  EXPECT_FALSE(budget.take(101));
  EXPECT_TRUE(budget.take(100));
  EXPECT_FALSE(budget.take(1));
  EXPECT_TRUE(budget.take(0));
  budget.give_back(40);
  EXPECT_FALSE(budget.take(41));
  EXPECT_FALSE(budget.take(std::numeric_limits<std::size_t>::max())) << "no wrapping around";
  EXPECT_TRUE(budget.take(40));
  EXPECT_EQ(budget.used(), 100u);
}

TEST(BodyBudget, HoldsAcrossThreads) {
  constexpr std::size_t kMax = 1000;
  BodyBudget budget(kMax);
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i <= 4; ++i) {
    threads.emplace_back([&budget, &over, i] {
      for (int round = 0; round < 20'000; ++round) {
        if (!budget.take(i * 120)) continue;
        if (budget.used() > kMax) over = true;
        budget.give_back(i * 120);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(over);
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace postern::smtp
