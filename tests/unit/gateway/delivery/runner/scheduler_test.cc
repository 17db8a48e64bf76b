#include "gateway/delivery/runner/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace postern::delivery {
namespace {

using storage::QueueDue;
using storage::QueueKey;
using Kind = Scheduler::Take::Kind;

QueueKey key_of(std::uint32_t n) {
  QueueKey key;
  key.id.octets[8] = static_cast<std::uint8_t>(n >> 24U);
  key.id.octets[9] = static_cast<std::uint8_t>(n >> 16U);
  key.id.octets[10] = static_cast<std::uint8_t>(n >> 8U);
  key.id.octets[11] = static_cast<std::uint8_t>(n);
  return key;
}

/// The store's index, and lanes that carry what the scheduler gives them.
class Bench {
 public:
  explicit Bench(Scheduler::Limits limits) : scheduler(limits) {}

  void add(const std::string& destination, std::uint64_t due, std::uint8_t priority = 0) {
    const QueueKey key = key_of(++last_);
    index_[{destination, priority}].emplace(due, key);
    EXPECT_TRUE(scheduler.note(destination, priority, due));
  }

  /// The next entry for a lane of this destination, reading the index as asked.
  std::optional<QueueDue> take(const std::string& destination, std::uint8_t* priority = nullptr) {
    for (int reads = 0; reads < 10; ++reads) {
      const auto take = scheduler.take(destination, now);
      if (take.kind == Kind::nothing) return std::nullopt;
      if (take.kind == Kind::entry) {
        if (priority != nullptr) *priority = take.priority;
        return take.due;
      }
      ++fetches;
      std::vector<QueueDue> read;
      for (const auto& [due, key] : index_[{destination, take.priority}])
        if (due >= take.from_ms && read.size() < take.count) read.push_back({.key = key, .due_ms = due});
      scheduler.fetched(destination, take.priority, read, now);
    }
    ADD_FAILURE() << "the scheduler reads and reads";
    return std::nullopt;
  }

  void close(const std::string& destination, const QueueDue& due, std::uint8_t priority = 0) {
    index_[{destination, priority}].erase({due.due_ms, due.key});
    scheduler.done(destination, priority, due.key, std::nullopt);
  }
  void defer(const std::string& destination, const QueueDue& due, std::uint64_t again) {
    index_[{destination, 0}].erase({due.due_ms, due.key});
    index_[{destination, 0}].emplace(again, due.key);
    scheduler.done(destination, 0, due.key, again);
  }
  std::size_t left(const std::string& destination) { return index_[{destination, 0}].size(); }

  Scheduler scheduler;
  std::uint64_t now = 1000;
  int fetches = 0;

 private:
  std::map<std::pair<std::string, std::uint8_t>, std::set<std::pair<std::uint64_t, QueueKey>>> index_;
  std::uint32_t last_ = 0;
};

Scheduler::Limits limits(std::size_t lanes = 10, std::size_t each = 5) {
  return {.lanes_max = lanes,
          .lanes_per_destination_max = each,
          .retries = {.first_ms = 100, .max_ms = 1000, .factor = 2, .jitter = 0}};
}

TEST(Retries, GrowToTheirBoundAndSpread) {
  const Retries retries{.first_ms = 300, .max_ms = 2000, .factor = 2, .jitter = 0.5};
  EXPECT_EQ(retries.wait_ms(1, 0.5), 300U);
  EXPECT_EQ(retries.wait_ms(2, 0.5), 600U);
  EXPECT_EQ(retries.wait_ms(3, 0.5), 1200U);
  EXPECT_EQ(retries.wait_ms(4, 0.5), 2000U);
  EXPECT_EQ(retries.wait_ms(1'000'000'000, 0.5), 2000U);
  EXPECT_EQ(retries.wait_ms(1, 0), 150U);
  EXPECT_EQ(retries.wait_ms(1, 1), 450U);
}

TEST(Scheduler, BeginsWithOneLaneAndGrowsWithSuccess) {
  Bench bench(limits());
  for (int i = 0; i < 300; ++i) bench.add("a", 1000);
  EXPECT_EQ(bench.scheduler.start(bench.now), "a");
  EXPECT_EQ(bench.scheduler.start(bench.now), std::nullopt) << "one lane, until it has answered";
  std::size_t lanes = 1;
  for (int i = 0; i < 100; ++i) {
    const auto due = bench.take("a");
    ASSERT_TRUE(due);
    bench.scheduler.succeeded("a");
    bench.close("a", *due);
    while (bench.scheduler.start(bench.now)) ++lanes;
    if (i == 0) {
      EXPECT_EQ(lanes, Scheduler::kFirstLanes);
    }
  }
  EXPECT_EQ(lanes, 5U) << "not beyond the bound";
  EXPECT_LT(bench.fetches, 20) << "entries are read in windows";
}

TEST(Scheduler, EveryEntryIsGivenOnceWhateverIsUnderWay) {
  Bench bench(limits(100, 100));
  for (int i = 0; i < 200; ++i) bench.add("a", 1000);
  std::set<QueueKey> seen;
  std::vector<QueueDue> busy;
  while (const auto due = bench.take("a")) {
    EXPECT_TRUE(seen.insert(due->key).second);
    busy.push_back(*due);
  }
  EXPECT_EQ(seen.size(), 200U) << "also when more are busy than a window holds";
  bench.add("a", 900);  // an older one comes late
  const auto late = bench.take("a");
  ASSERT_TRUE(late);
  EXPECT_EQ(late->due_ms, 900U);
  for (const QueueDue& due : busy) bench.close("a", due);
  bench.close("a", *late);
  EXPECT_FALSE(bench.take("a"));
  EXPECT_EQ(bench.left("a"), 0U);
}

TEST(Scheduler, WhatIsDueLaterWaits) {
  Bench bench(limits());
  bench.add("a", 5000);
  EXPECT_EQ(bench.scheduler.start(bench.now), std::nullopt);
  EXPECT_EQ(bench.scheduler.next_start(), 5000U);
  bench.now = 5000;
  EXPECT_EQ(bench.scheduler.start(bench.now), "a");
  const auto due = bench.take("a");
  ASSERT_TRUE(due);
  bench.defer("a", *due, 9000);
  EXPECT_FALSE(bench.take("a"));
  bench.scheduler.lane_ended("a");
  EXPECT_EQ(bench.scheduler.next_start(), 9000U);
}

TEST(Scheduler, AFailingDestinationPausesWithoutTouchingItsEntries) {
  Bench bench(limits());
  for (int i = 0; i < 10; ++i) bench.add("dead", 1000);
  std::uint64_t pause = 100;
  for (int round = 0; round < 6; ++round) {
    ASSERT_EQ(bench.scheduler.start(bench.now), "dead");
    const auto due = bench.take("dead");
    ASSERT_TRUE(due);
    EXPECT_EQ(bench.scheduler.failed("dead", bench.now, 0.5), bench.now + pause);
    bench.defer("dead", *due, bench.now + 100'000);
    EXPECT_FALSE(bench.take("dead")) << "one message, then the pause";
    bench.scheduler.lane_ended("dead");
    EXPECT_EQ(bench.scheduler.start(bench.now + pause - 1), std::nullopt);
    EXPECT_EQ(bench.scheduler.next_start(), bench.now + pause);
    bench.now += pause;
    pause = std::min<std::uint64_t>(pause * 2, 1000);
  }
  EXPECT_EQ(bench.left("dead"), 10U);
  EXPECT_TRUE(bench.scheduler.start(bench.now));
  bench.scheduler.succeeded("dead");
  EXPECT_FALSE(bench.scheduler.paused_until("dead"));
  EXPECT_TRUE(bench.scheduler.start(bench.now)) << "two lanes again";
}

TEST(Scheduler, KickEndsAPause) {
  Bench bench(limits());
  bench.add("dead", 1000);
  bench.add("dead", 1000);
  ASSERT_TRUE(bench.scheduler.start(bench.now));
  const auto due = bench.take("dead");
  (void)bench.scheduler.failed("dead", bench.now, 0.5);
  bench.defer("dead", *due, 50'000);
  bench.scheduler.lane_ended("dead");
  EXPECT_EQ(bench.scheduler.start(bench.now), std::nullopt);
  bench.scheduler.kick("dead");
  EXPECT_EQ(bench.scheduler.start(bench.now), "dead");
}

TEST(Scheduler, DeadDestinationsLeaveHalfOfTheLanesToThoseThatWork) {
  Bench bench(limits(10, 5));
  bench.add("live", 1000);
  ASSERT_EQ(bench.scheduler.start(bench.now), "live");
  bench.scheduler.succeeded("live");
  for (int i = 0; i < 100; ++i) bench.add("live", 1000);
  for (int i = 0; i < 50; ++i) bench.add("dead" + std::to_string(i), 1000);
  std::map<std::string, int> lanes;
  while (auto name = bench.scheduler.start(bench.now)) ++lanes[name->substr(0, 4)];
  EXPECT_EQ(lanes["dead"], 5);
  EXPECT_EQ(lanes["live"], 1) << "two are allowed, one runs already";
  for (int i = 0; i < 40; ++i) bench.scheduler.succeeded("live");
  while (auto name = bench.scheduler.start(bench.now)) ++lanes[name->substr(0, 4)];
  EXPECT_EQ(lanes["dead"], 5);
  EXPECT_EQ(lanes["live"], 4);
  EXPECT_EQ(bench.scheduler.lanes(), 10U);
  EXPECT_TRUE(bench.scheduler.should_yield("live", Scheduler::kTurnMessages));
  EXPECT_FALSE(bench.scheduler.should_yield("live", Scheduler::kTurnMessages - 1));
}

TEST(Scheduler, DestinationsTakeTurns) {
  Bench bench(limits(4, 5));
  for (const char* name : {"a", "b", "c"}) {
    for (int i = 0; i < 10; ++i) bench.add(name, 1000);
  }
  std::vector<std::string> order;
  for (int i = 0; i < 12; ++i) {
    auto name = bench.scheduler.start(bench.now);
    if (!name) break;
    order.push_back(*name);
    const auto due = bench.take(*name);
    ASSERT_TRUE(due);
    bench.close(*name, *due);
    bench.scheduler.lane_ended(*name);
  }
  ASSERT_EQ(order.size(), 12U);
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(std::ranges::count(order, name), 4) << name;
}

TEST(Scheduler, SmallMailGoesFirstAndLargeMailIsNotForgotten) {
  Bench bench(limits());
  for (int i = 0; i < 20; ++i) {
    bench.add("a", 1000, 1);
    bench.add("a", 1000, 0);
  }
  ASSERT_TRUE(bench.scheduler.start(bench.now));
  std::string order;
  for (int i = 0; i < 40; ++i) {
    std::uint8_t priority = 9;
    const auto due = bench.take("a", &priority);
    ASSERT_TRUE(due);
    order += static_cast<char>('0' + priority);
    bench.close("a", *due, priority);
  }
  EXPECT_EQ(order, "0000100001000010000100001111111111111111");
}

TEST(Scheduler, KeepsNoMoreDestinationsThanItMay) {
  Scheduler::Limits few = limits();
  few.destinations_max = 2;
  Scheduler scheduler(few);
  EXPECT_TRUE(scheduler.note("a", 0, 1000));
  EXPECT_TRUE(scheduler.note("b", 0, 1000));
  EXPECT_FALSE(scheduler.note("c", 0, 1000));
  EXPECT_TRUE(scheduler.note("a", 1, 1000));
  EXPECT_EQ(scheduler.start(1000), "a");
  for (const std::uint8_t priority : std::initializer_list<std::uint8_t>{0, 1}) {
    EXPECT_EQ(scheduler.take("a", 1000).kind, Kind::fetch);
    scheduler.fetched("a", priority, {}, 1000);
  }
  scheduler.lane_ended("a");
  EXPECT_EQ(scheduler.destinations(), 1U) << "what has nothing to do is forgotten";
  EXPECT_TRUE(scheduler.note("c", 0, 1000));
}

TEST(Scheduler, WhileTheIndexIsReadNoSecondLaneIsStarted) {
  Bench bench(limits());
  for (int i = 0; i < 10; ++i) bench.add("a", 1000);
  ASSERT_TRUE(bench.scheduler.start(bench.now));
  const auto due = bench.take("a");
  bench.scheduler.succeeded("a");
  bench.close("a", *due);
  while (bench.take("a")) {
  }
  bench.add("a", 1000);
  ASSERT_EQ(bench.scheduler.take("a", bench.now).kind, Kind::fetch);
  EXPECT_EQ(bench.scheduler.start(bench.now), std::nullopt) << "it would end at once, and be started again";
  bench.scheduler.fetched("a", 0, {{.key = key_of(77), .due_ms = 1000}}, bench.now);
  EXPECT_EQ(bench.scheduler.start(bench.now), "a");
}

TEST(Scheduler, WhatComesWhileTheIndexIsReadIsNotLost) {
  Scheduler scheduler(limits());
  ASSERT_TRUE(scheduler.note("a", 0, 1000));
  ASSERT_TRUE(scheduler.start(1000));
  const auto take = scheduler.take("a", 1000);
  ASSERT_EQ(take.kind, Kind::fetch);
  ASSERT_TRUE(scheduler.note("a", 0, 1001));  // committed after the reading began
  scheduler.fetched("a", 0, {}, 1001);
  const auto again = scheduler.take("a", 1001);
  ASSERT_EQ(again.kind, Kind::fetch);
  EXPECT_LE(again.from_ms, 1001U);
  scheduler.fetch_failed("a", 0, 2000);
  EXPECT_EQ(scheduler.take("a", 1999).kind, Kind::nothing);
  EXPECT_EQ(scheduler.take("a", 2000).kind, Kind::fetch);
}

}  // namespace
}  // namespace postern::delivery
