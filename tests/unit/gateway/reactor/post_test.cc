#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

using std::chrono::milliseconds;
using testing::in;

Task<void> wait_for(Event* event) {
  co_await event->wait();
}

TEST(Post, ThreadsReachASleepingLoop) {
  auto made = Reactor::create(test::small_reactor());
  ASSERT_TRUE(made.has_value()) << made.error().text();
  Reactor& reactor = **made;
  constexpr int kThreads = 4, kCallsEach = 2000;
  Event all;
  int calls = 0;  // touched by the reactor's thread only: TSan watches
  std::vector<int> last(kThreads, -1);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kCallsEach; ++i) {
        reactor.post([&, thread, i] {
          EXPECT_EQ(last[static_cast<std::size_t>(thread)], i - 1);  // in order for each poster
          last[static_cast<std::size_t>(thread)] = i;
          if (++calls == kThreads * kCallsEach) all.open();
        });
        if (i % 100 == 0) std::this_thread::yield();
      }
    });
  }
  reactor.run(wait_for(&all));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls, kThreads * kCallsEach);
  EXPECT_EQ(reactor.counters().remote_calls, static_cast<std::uint64_t>(kThreads * kCallsEach));
}

TEST(Post, ABurstCostsFewWakeUps) {
  auto made = Reactor::create(test::small_reactor());
  ASSERT_TRUE(made.has_value()) << made.error().text();
  Reactor& reactor = **made;
  constexpr int kCalls = 1000;
  Event all;
  int calls = 0;
  for (int i = 0; i < kCalls; ++i) {
    reactor.post([&] {
      if (++calls == kCalls) all.open();
    });
  }
  reactor.run(wait_for(&all));
  EXPECT_EQ(calls, kCalls);
  EXPECT_LE(reactor.counters().turns, 3U);
}

TEST(Post, ACallMayPostAgain) {
  auto made = Reactor::create(test::small_reactor());
  ASSERT_TRUE(made.has_value()) << made.error().text();
  Reactor& reactor = **made;
  Event done;
  int depth = 0;
  struct Again {
    Reactor& reactor;
    Event& done;
    int& depth;
    void operator()() const {
      if (++depth == 100) {
        done.open();
      } else {
        reactor.post(Again{reactor, done, depth});
      }
    }
  };
  reactor.post(Again{reactor, done, depth});
  reactor.run(wait_for(&done));
  EXPECT_EQ(depth, 100);
}

TEST(Post, TwoReactorsPlayBall) {
  struct Side {
    Reactor* reactor = nullptr;
    Event done;
  };
  Side left, right;
  std::latch both_exist(2);
  constexpr int kPasses = 2000;
  int passes = 0;  // the ball: only who holds it touches it
  struct Pass {
    Side* to;
    Side* from;
    int* passes;
    void operator()() const {
      if (++*passes >= kPasses) {
        to->done.open();
        from->reactor->post([side = from] { side->done.open(); });
      } else {
        from->reactor->post(Pass{from, to, passes});
      }
    }
  };
  const auto play = [&](Side& mine, Side& other, bool serves) {
    auto made = Reactor::create(test::small_reactor());
    ASSERT_TRUE(made.has_value()) << made.error().text();
    mine.reactor = made->get();
    both_exist.arrive_and_wait();
    if (serves) other.reactor->post(Pass{&other, &mine, &passes});
    (*made)->run(wait_for(&mine.done));
  };
  std::thread first([&] { play(left, right, true); });
  std::thread second([&] { play(right, left, false); });
  first.join();
  second.join();
  EXPECT_EQ(passes, kPasses);
}

TEST(Post, CountersAreReadByOtherThreads) {
  auto made = Reactor::create(test::small_reactor());
  ASSERT_TRUE(made.has_value()) << made.error().text();
  std::atomic<bool> stop{false};
  std::uint64_t seen = 0;
  std::thread reader([&] {
    while (!stop.load()) seen = std::max(seen, (*made)->counters().turns);
  });
  const auto busy = []() -> Task<void> {
    for (int i = 0; i < 1000; ++i) co_await Reactor::current().yield();
    const auto slept = co_await Reactor::current().sleep_until(in(milliseconds(5)));
    EXPECT_TRUE(slept.has_value());
  };
  (*made)->run(busy());
  stop.store(true);
  reader.join();
  const ReactorCounters counters = (*made)->counters();
  EXPECT_GE(counters.turns, 1000U);
  EXPECT_LE(seen, counters.turns);
  EXPECT_GT(counters.busy_ns, 0U);
  EXPECT_GT(counters.idle_ns, 1'000'000U);
}

}  // namespace
}  // namespace postern::reactor
