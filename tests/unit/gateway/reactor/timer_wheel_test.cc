#include "gateway/reactor/timer_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace postern::reactor {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

const TimerWheel::Clock::time_point kStart{hours(5)};

class Probe final : public Timer {
 public:
  void expired() noexcept override {
    ++count;
    if (then) then();
  }
  int count = 0;
  std::function<void()> then;
};

struct ExpiryCase {
  std::string_view name;
  nanoseconds deadline;
};

// Each at the edge of a level, and on both sides of it.
constexpr ExpiryCase kExpiryCases[] = {
    {"one nanosecond", nanoseconds(1)},
    {"one tick", milliseconds(1)},
    {"a tick and a bit", milliseconds(1) + nanoseconds(1)},
    {"last slot of the first level", milliseconds(255)},
    {"first slot of the second level", milliseconds(256)},
    {"257 ms", milliseconds(257)},
    {"511 ms", milliseconds(511)},
    {"last of the second level", milliseconds(65535)},
    {"first of the third level", milliseconds(65536)},
    {"five minutes", minutes(5)},
    {"last of the third level", milliseconds(16777215)},
    {"first of the fourth level", milliseconds(16777216)},
    {"a day", hours(24)},
    {"the wheel's reach", milliseconds(4294967295)},
    {"beyond the wheel's reach", milliseconds(4294967296)},
    {"a year", days(365)},
};

/// Follows next() to the expiry, as the loop does; the number of times it was called.
int follow(TimerWheel& wheel, const Probe& timer, TimerWheel::Clock::time_point& now) {
  int wakes = 0;
  while (timer.count == 0 && wakes < 200) {
    const auto next = wheel.next();
    if (!next) break;
    now = *next;
    wheel.expire(now);
    ++wakes;
  }
  return wakes;
}

TEST(TimerWheel, IsNeverEarlyAndAtMostATickLate) {
  for (const ExpiryCase& c : kExpiryCases) {
    for (const milliseconds before :
         {milliseconds(0), milliseconds(1), milliseconds(255), milliseconds(70000)}) {
      SCOPED_TRACE(std::string(c.name) + " after " + std::to_string(before.count()) + " ms");
      TimerWheel wheel(kStart);
      auto now = kStart + before;
      wheel.expire(now);
      const auto deadline = now + c.deadline;
      Probe timer;
      wheel.arm(timer, deadline);
      EXPECT_TRUE(timer.armed());
      (void)follow(wheel, timer, now);
      EXPECT_EQ(timer.count, 1);
      EXPECT_FALSE(timer.armed());
      EXPECT_GE(now, deadline);
      EXPECT_LT(now, deadline + milliseconds(1));
      EXPECT_EQ(wheel.size(), 0U);
      EXPECT_FALSE(wheel.next().has_value());
    }
  }
}

TEST(TimerWheel, WakesTheLoopFewTimesForALongTimer) {
  TimerWheel wheel(kStart);
  auto now = kStart;
  Probe timer;
  wheel.arm(timer, kStart + minutes(5));
  EXPECT_LE(follow(wheel, timer, now), 3);
}

TEST(TimerWheel, AJumpOfTheClockExpiresEverythingBetween) {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<Probe>> timers;
  for (const ExpiryCase& c : kExpiryCases) {
    timers.push_back(std::make_unique<Probe>());
    wheel.arm(*timers.back(), kStart + c.deadline);
  }
  wheel.expire(kStart + days(400));
  for (const auto& timer : timers) EXPECT_EQ(timer->count, 1);
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, ADeadlineInThePastExpiresAtOnce) {
  TimerWheel wheel(kStart);
  wheel.expire(kStart + seconds(10));
  Probe timer;
  wheel.arm(timer, kStart + seconds(3));
  ASSERT_TRUE(wheel.next().has_value());
  EXPECT_LE(*wheel.next(), kStart + seconds(10));
  wheel.expire(kStart + seconds(10));
  EXPECT_EQ(timer.count, 1);
  wheel.arm(timer, kStart - seconds(3));
  wheel.expire(kStart + seconds(10));
  EXPECT_EQ(timer.count, 2);
}

TEST(TimerWheel, NeverIsNotArmed) {
  TimerWheel wheel(kStart);
  Probe timer;
  wheel.arm(timer, TimerWheel::Clock::time_point::max());
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, CancelledAndRearmedTimersKeepTheirWord) {
  TimerWheel wheel(kStart);
  Probe cancelled, moved;
  wheel.arm(cancelled, kStart + milliseconds(5));
  wheel.arm(moved, kStart + milliseconds(5));
  wheel.cancel(cancelled);
  wheel.cancel(cancelled);  // nothing to do
  wheel.arm(moved, kStart + seconds(400));
  EXPECT_EQ(wheel.size(), 1U);
  wheel.expire(kStart + seconds(399));
  EXPECT_EQ(moved.count, 0);
  wheel.expire(kStart + seconds(400));
  EXPECT_EQ(moved.count, 1);
  EXPECT_EQ(cancelled.count, 0);
}

TEST(TimerWheel, CallbacksMayArmAndCancelOthersOfTheSameSlot) {
  TimerWheel wheel(kStart);
  Probe first, second;
  // Whichever comes first cancels the other and arms itself again for the past.
  first.then = [&] {
    wheel.cancel(second);
    if (first.count == 1) wheel.arm(first, kStart);
  };
  second.then = [&] {
    wheel.cancel(first);
    if (second.count == 1) wheel.arm(second, kStart);
  };
  wheel.arm(first, kStart + milliseconds(7));
  wheel.arm(second, kStart + milliseconds(7));
  wheel.expire(kStart + milliseconds(20));
  wheel.expire(kStart + milliseconds(20));
  EXPECT_EQ(first.count + second.count, 2);
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, AgreesWithASortedListOverRandomHistories) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    TimerWheel wheel(kStart);
    constexpr std::size_t kTimers = 50;
    std::vector<std::unique_ptr<Probe>> timers;
    std::map<std::size_t, TimerWheel::Clock::time_point> expected;  // what is armed, by index
    for (std::size_t i = 0; i < kTimers; ++i) timers.push_back(std::make_unique<Probe>());
    auto now = kStart;
    for (int step = 0; step < 3000; ++step) {
      const std::size_t i = random() % kTimers;
      switch (random() % 4) {
        case 0:
        case 1: {
          const auto span = microseconds(random() % (std::uint64_t{1} << (random() % 38)));
          wheel.arm(*timers[i], now + span);
          expected[i] = now + span;
          break;
        }
        case 2:
          wheel.cancel(*timers[i]);
          expected.erase(i);
          break;
        default:
          now += microseconds(random() % (std::uint64_t{1} << (random() % 34)));
          std::vector<int> before;
          for (const auto& timer : timers) before.push_back(timer->count);
          wheel.expire(now);
          for (std::size_t k = 0; k < kTimers; ++k) {
            const bool fired = timers[k]->count != before[k];
            const auto entry = expected.find(k);
            if (fired) {
              ASSERT_NE(entry, expected.end()) << "timer " << k << " was not armed";
              ASSERT_LE(entry->second, now) << "timer " << k << " was early";
              expected.erase(entry);
            } else if (entry != expected.end()) {
              ASSERT_GT(entry->second, now - milliseconds(1)) << "timer " << k << " is late";
            }
          }
      }
      ASSERT_EQ(wheel.size(), expected.size());
      if (const auto next = wheel.next()) {
        for (const auto& [k, deadline] : expected)
          ASSERT_LE(*next, std::max(now, deadline + milliseconds(1)));
      } else {
        ASSERT_TRUE(expected.empty());
      }
    }
    for (const auto& timer : timers) wheel.cancel(*timer);
  }
}

}  // namespace
}  // namespace postern::reactor
