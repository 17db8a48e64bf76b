#include "gateway/reactor/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>

#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

using testing::outcome;

Task<void> runs_elsewhere(Executor* workers) {
  const std::thread::id here = std::this_thread::get_id();
  std::thread::id there = here;
  int value = 0;
  auto work = [&] {
    there = std::this_thread::get_id();
    value = 42;
  };
  const auto ran = co_await workers->run(std::move(work));
  EXPECT_EQ(outcome(ran), "ok");
  EXPECT_NE(there, here);
  EXPECT_EQ(value, 42);
  EXPECT_EQ(std::this_thread::get_id(), here);
  EXPECT_EQ(&Reactor::current(), &Reactor::current());
}

TEST(Executor, RunsWorkOnAnotherThreadAndComesBack) {
  Executor workers(2, 10);
  test::run(runs_elsewhere(&workers));
}

Task<void> many_pieces(Executor* workers, std::atomic<int>* done) {
  Scope scope;
  const auto piece = [](Executor* by, std::atomic<int>* count) -> Task<void> {
    for (int i = 0; i < 50; ++i) {
      auto work = [count] { count->fetch_add(1); };
      const auto ran = co_await by->run(std::move(work));
      EXPECT_EQ(outcome(ran), "ok");
    }
  };
  for (int i = 0; i < 20; ++i) scope.spawn(piece(workers, done));
  co_await scope.join();
}

TEST(Executor, ServesSeveralReactors) {
  Executor workers(3, 1000);
  std::atomic<int> done{0};
  std::thread first([&] { test::run(many_pieces(&workers, &done)); });
  std::thread second([&] { test::run(many_pieces(&workers, &done)); });
  first.join();
  second.join();
  EXPECT_EQ(done.load(), 2 * 20 * 50);
  EXPECT_EQ(workers.queued(), 0U);
}

Task<void> full_queue(Executor* workers) {
  std::latch started(1), gate(1);
  Scope scope;
  std::string first, second, third;
  const auto blocked = [](Executor* by, std::latch* begun, std::latch* until,
                          std::string* result) -> Task<void> {
    auto work = [begun, until] {
      begun->count_down();
      until->wait();
    };
    const auto ran = co_await by->run(std::move(work));
    *result = outcome(ran);
  };
  const auto short_piece = [](Executor* by, std::string* result) -> Task<void> {
    auto work = [] {};
    const auto ran = co_await by->run(std::move(work));
    *result = outcome(ran);
  };
  scope.spawn(blocked(workers, &started, &gate, &first));
  started.wait();  // the only worker is busy now
  scope.spawn(short_piece(workers, &second));
  EXPECT_EQ(workers->queued(), 1U);
  scope.spawn(short_piece(workers, &third));
  EXPECT_EQ(third, "limit reached");  // one over the bound: nothing ran
  gate.count_down();
  co_await scope.join();
  EXPECT_EQ(first, "ok");
  EXPECT_EQ(second, "ok");
}

TEST(Executor, RefusesWhatItsQueueCannotHold) {
  Executor workers(1, 1);
  test::run(full_queue(&workers));
}

}  // namespace
}  // namespace postern::reactor
