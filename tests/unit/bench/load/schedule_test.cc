#include "bench/load/schedule.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace postern::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Clock::time_point kStart{seconds(100)};

TEST(Schedule, ClosedLoopStartsWhenAsked) {
  Schedule schedule({.start = kStart, .until = kStart + seconds(1)});
  const auto first = schedule.next(kStart + milliseconds(3));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->number, 0U);
  EXPECT_EQ(first->intended, kStart + milliseconds(3));
  EXPECT_TRUE(schedule.next(kStart + milliseconds(999)));
  EXPECT_FALSE(schedule.next(kStart + seconds(1)));  // the end itself is outside
  EXPECT_EQ(schedule.not_started(kStart + seconds(9)), 0U);
}

TEST(Schedule, OpenLoopDoesNotWaitForAnybody) {
  Schedule schedule({.start = kStart, .until = kStart + seconds(1), .rate = 100});
  for (int i = 0; i < 10; ++i) {
    const auto ticket = schedule.next(kStart);
    ASSERT_TRUE(ticket);
    EXPECT_EQ(ticket->intended, kStart + milliseconds(10 * i));
  }
  // Nobody came for half a second: the starts that were missed are handed out with the time they were due.
  const auto late = schedule.next(kStart + milliseconds(600));
  ASSERT_TRUE(late);
  EXPECT_EQ(late->intended, kStart + milliseconds(100));
}

TEST(Schedule, OpenLoopHasAsManyMessagesAsItsRateSays) {
  Schedule schedule({.start = kStart, .until = kStart + seconds(2), .rate = 50});
  int count = 0;
  while (schedule.next(kStart)) ++count;
  EXPECT_EQ(count, 100);
}

TEST(Schedule, CountsWhatNeverStarted) {
  Schedule schedule({.start = kStart, .until = kStart + seconds(1), .rate = 100});
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(schedule.next(kStart));
  EXPECT_FALSE(schedule.next(kStart + seconds(1)));
  EXPECT_EQ(schedule.not_started(kStart), 0U);
  EXPECT_EQ(schedule.not_started(kStart + milliseconds(305)), 1U);  // 0, 10, …, 300 were due: 31
  EXPECT_EQ(schedule.not_started(kStart + milliseconds(310)), 1U);  // due at the end is not due before it
  EXPECT_EQ(schedule.not_started(kStart + seconds(1)), 70U);
  EXPECT_EQ(schedule.not_started(kStart + seconds(50)), 70U);
}

struct SharedCase {
  const char* name;
  unsigned cores;
  std::optional<double> rate;
  std::uint64_t messages;
};

TEST(Schedule, CoresShareTheNumbers) {
  const SharedCase cases[] = {
      {"one core", 1, std::nullopt, 100},
      {"two cores", 2, std::nullopt, 101},
      {"three cores, open loop", 3, 1000.0, 100},
      {"more cores than messages", 8, std::nullopt, 5},
  };
  for (const SharedCase& c : cases) {
    SCOPED_TRACE(c.name);
    std::set<std::uint64_t> numbers;
    std::uint64_t never = 0;
    for (unsigned core = 0; core < c.cores; ++core) {
      const ScheduleOptions options{
          .start = kStart, .rate = c.rate, .messages = c.messages, .core = core, .cores = c.cores};
      Schedule schedule(options), idle(options);
      never += idle.not_started(kStart + seconds(3600));
      while (const auto ticket = schedule.next(kStart)) {
        EXPECT_TRUE(numbers.insert(ticket->number).second);
        EXPECT_LT(ticket->number, c.messages);
        if (c.rate) {
          EXPECT_EQ(ticket->intended, kStart + milliseconds(ticket->number));
        }
      }
      EXPECT_EQ(schedule.not_started(kStart + seconds(3600)), 0U);
    }
    EXPECT_EQ(numbers.size(), c.messages);
    EXPECT_EQ(never, c.rate ? c.messages : 0);
  }
}

TEST(Schedule, StopsWhenTold) {
  Schedule schedule({.start = kStart});
  EXPECT_TRUE(schedule.next(kStart));
  schedule.stop();
  EXPECT_FALSE(schedule.next(kStart));
}

}  // namespace
}  // namespace postern::load
