#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gateway/reactor/loop.h"
#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

using std::chrono::milliseconds;
using testing::in;
using testing::outcome;

TEST(Loop, RunsATaskThatNeedsNothing) {
  bool ran = false;
  const auto main = [](bool* flag) -> Task<void> {
    *flag = true;
    co_return;
  };
  test::run(main(&ran));
  EXPECT_TRUE(ran);
}

TEST(Loop, RunsSeveralTasksOneAfterTheOther) {
  auto made = Reactor::create(test::small_reactor());
  ASSERT_TRUE(made.has_value()) << made.error().text();
  EXPECT_EQ(&Reactor::current(), made->get());
  int count = 0;
  const auto main = [](int* counter) -> Task<void> {
    const auto slept = co_await Reactor::current().sleep_until(in(milliseconds(2)));
    EXPECT_TRUE(slept.has_value());
    ++*counter;
  };
  (*made)->run(main(&count));
  (*made)->run(main(&count));
  EXPECT_EQ(count, 2);
  EXPECT_EQ((*made)->counters().operations_in_flight, 0U);
}

Task<void> sleeps_in_order(std::vector<int>* order) {
  Scope scope;
  const auto sleeper = [](std::vector<int>* list, int time) -> Task<void> {
    const Deadline deadline = in(milliseconds(time));
    const auto slept = co_await Reactor::current().sleep_until(deadline);
    EXPECT_TRUE(slept.has_value());
    EXPECT_GE(Clock::now(), deadline);
    list->push_back(time);
  };
  for (const int time : {30, 10, 20, 0, -5}) scope.spawn(sleeper(order, time));
  co_await scope.join();
}

TEST(Loop, SleepersWakeInOrderAndNeverEarly) {
  std::vector<int> order;
  test::run(sleeps_in_order(&order));
  ASSERT_EQ(order.size(), 5U);
  EXPECT_EQ(std::vector<int>(order.begin() + 2, order.end()), (std::vector<int>{10, 20, 30}));
}

Task<void> cancelled_sleep(bool cancel_first, std::string* result) {
  Scope scope;
  if (cancel_first) scope.cancel();
  const auto sleeper = [](Scope* by, std::string* into) -> Task<void> {
    *into = "sleeping";
    const auto slept = co_await Reactor::current().sleep_until(Deadline::max(), by);
    *into = outcome(slept);
  };
  scope.spawn(sleeper(&scope, result));
  if (!cancel_first) {
    EXPECT_EQ(*result, "sleeping");
    scope.cancel();
    EXPECT_EQ(*result, "sleeping");  // asked, not resumed from inside
  }
  co_await scope.join();
}

TEST(Loop, AScopeEndsASleep) {
  for (const bool cancel_first : {false, true}) {
    SCOPED_TRACE(cancel_first);
    std::string result;
    test::run(cancelled_sleep(cancel_first, &result));
    EXPECT_EQ(result, "cancelled");
  }
}

Task<void> expired_and_cancelled_together(int* outcomes) {
  Scope scope;
  const auto sleeper = [](Scope* by, int* count) -> Task<void> {
    const auto slept = co_await Reactor::current().sleep_until(in(milliseconds(1)), by);
    *count += outcome(slept).empty() ? 0 : 1;  // either answer is right, one of them must come
  };
  scope.spawn(sleeper(&scope, outcomes));
  const auto busy_until = Clock::now() + milliseconds(3);
  while (Clock::now() < busy_until) {
  }
  co_await Reactor::current().yield();  // the timer expires at the end of this turn
  scope.cancel();
  co_await scope.join();
}

TEST(Loop, ASleepThatExpiresAndIsCancelledEndsOnce) {
  int outcomes = 0;
  test::run(expired_and_cancelled_together(&outcomes));
  EXPECT_EQ(outcomes, 1);
}

Task<void> yields(std::string* order) {
  Scope scope;
  const auto walker = [](std::string* text, char name) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      *text += name;
      co_await Reactor::current().yield();
    }
  };
  for (const char name : {'a', 'b', 'c'}) scope.spawn(walker(order, name));
  co_await scope.join();
}

TEST(Loop, YieldLetsTheOthersGoFirst) {
  std::string order;
  test::run(yields(&order));
  EXPECT_EQ(order, "abcabcabc");
}

Task<void> handshakes(std::vector<std::pair<int, Clock::time_point>>* granted) {
  Scope scope;
  const auto client = [](std::vector<std::pair<int, Clock::time_point>>* list, int name) -> Task<void> {
    Reactor& reactor = Reactor::current();
    co_await reactor.handshake_slot();
    list->emplace_back(name, reactor.now());
  };
  for (int name = 0; name < 20; ++name) scope.spawn(client(granted, name));
  co_await scope.join();
}

TEST(Loop, GrantsHandshakesInOrderAndSoManyPerTurn) {
  ReactorOptions options = test::small_reactor();
  options.handshakes_per_turn_max = 3;
  std::vector<std::pair<int, Clock::time_point>> granted;
  test::run(handshakes(&granted), options);
  ASSERT_EQ(granted.size(), 20U);
  for (std::size_t i = 0; i < granted.size(); ++i) {
    EXPECT_EQ(granted[i].first, static_cast<int>(i));
    // now() is read once per turn, so equal times are one turn.
    if (i >= 3) {
      EXPECT_GT(granted[i].second, granted[i - 3].second) << i;
    }
  }
}

Task<void> events() {
  Event early;
  early.open();
  EXPECT_TRUE(early.is_open());
  co_await early.wait();

  Event late;
  bool passed = false;
  Scope scope;
  const auto waiter = [](Event* event, bool* flag) -> Task<void> {
    co_await event->wait();
    *flag = true;
  };
  scope.spawn(waiter(&late, &passed));
  late.open();
  EXPECT_FALSE(passed);  // through the ready list, never inline
  co_await scope.join();
  EXPECT_TRUE(passed);
}

TEST(Loop, AnEventMayOpenBeforeOrAfterTheWait) {
  test::run(events());
}

Task<void> measures_a_long_turn() {
  Reactor& reactor = Reactor::current();
  co_await reactor.yield();
  const Clock::time_point before = reactor.now();
  const UtcTime utc = reactor.now_utc();
  EXPECT_FALSE(reactor.turn_expired());
  const auto until = Clock::now() + milliseconds(3);
  while (Clock::now() < until) {
  }
  EXPECT_TRUE(reactor.turn_expired());
  EXPECT_EQ(reactor.now(), before);  // read once per turn
  EXPECT_EQ(reactor.now_utc(), utc);
  co_await reactor.yield();
  EXPECT_FALSE(reactor.turn_expired());
  EXPECT_GT(reactor.now(), before);
  EXPECT_GT(reactor.now_utc(), utc);
  EXPECT_GE(reactor.counters().longest_turn_ns, 3'000'000U);
  const auto system = std::chrono::system_clock::now();
  EXPECT_LT(std::chrono::abs(system - reactor.now_utc()), std::chrono::seconds(5));
}

TEST(Loop, NoticesALongTurnAndReadsTheClockOncePerTurn) {
  test::run(measures_a_long_turn());
}

Task<void> two_that_never_wait(bool* stop) {
  // They wake each other for ever without the kernel: the loop must still look at its timers.
  Scope scope;
  const auto partner = [](bool* end, std::vector<std::coroutine_handle<>>* waiting) -> Task<void> {
    struct Swap {
      std::vector<std::coroutine_handle<>>& waiting;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> task) const {
        for (const std::coroutine_handle<> other : std::exchange(waiting, {task})) make_ready(other);
      }
      void await_resume() const noexcept {}
    };
    while (!*end) co_await Swap{*waiting};
    for (const std::coroutine_handle<> other : std::exchange(*waiting, {})) make_ready(other);
  };
  std::vector<std::coroutine_handle<>> waiting;
  scope.spawn(partner(stop, &waiting));
  scope.spawn(partner(stop, &waiting));
  const auto slept = co_await Reactor::current().sleep_until(in(milliseconds(5)));
  EXPECT_TRUE(slept.has_value());
  *stop = true;
  co_await scope.join();
}

TEST(Loop, ReadyTasksCannotStarveTheKernel) {
  bool stop = false;
  test::run(two_that_never_wait(&stop));
  EXPECT_TRUE(stop);
}

TEST(Loop, HandleQueueKeepsItsOrderWhileItGrows) {
  HandleQueue queue;
  std::vector<int> places(1000);
  std::size_t pushed = 0, popped = 0;
  const auto handle = [&](std::size_t i) {
    return std::coroutine_handle<>::from_address(&places[i % places.size()]);
  };
  for (int round = 0; round < 300; ++round) {
    for (int i = 0; i < 7; ++i) queue.push(handle(pushed++));
    for (int i = 0; i < 5; ++i) ASSERT_EQ(queue.pop(), handle(popped++));
  }
  while (!queue.empty()) ASSERT_EQ(queue.pop(), handle(popped++));
  EXPECT_EQ(popped, pushed);
}

TEST(Loop, RefusesBufferCountsTheKernelCannotTake) {
  struct Case {
    std::string_view name;
    unsigned buffers, octets;
  };
  constexpr Case kCases[] = {{"none", 0, 4096},
                             {"not a power of two", 100, 4096},
                             {"too many", 65536, 4096},
                             {"too small", 64, 255}};
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    ReactorOptions options = test::small_reactor();
    options.buffers = c.buffers;
    options.buffer_octets = c.octets;
    const auto made = Reactor::create(options);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, Errc::limit);
  }
}

TEST(LoopDeathTest, AnOperationLeftBehindEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto leaves_a_receive = [](Scope* scope, testing::Pair** pair) -> Task<void> {
    *pair = new testing::Pair;
    static std::string result;
    scope->spawn(testing::receive_into((*pair)->socket, Deadline::max(), result));
    co_return;
  };
  EXPECT_DEATH(
      {
        auto made = Reactor::create(test::small_reactor());
        Scope scope;
        testing::Pair* pair = nullptr;
        (*made)->run(leaves_a_receive(&scope, &pair));
      },
      "check failed: ring_->in_flight\\(\\) == 0");
}

TEST(LoopDeathTest, OneReactorPerThread) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto first = Reactor::create(test::small_reactor());
        auto second = Reactor::create(test::small_reactor());
      },
      "check failed");
  EXPECT_DEATH((void)Reactor::current(), "check failed");
}

}  // namespace
}  // namespace postern::reactor
