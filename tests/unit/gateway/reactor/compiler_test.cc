// The forms of co_await that this tree relies on, each with something that would show a temporary destroyed
// twice, too early or never. They must pass unoptimised, optimised and under the sanitizers.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/reactor/task.h"

namespace postern::reactor {
namespace {

/// Counts its living copies.
struct Witness {
  static inline int alive = 0;
  std::string text;
  explicit Witness(std::string t) : text(std::move(t)) { ++alive; }
  Witness(const Witness& other) : text(other.text) { ++alive; }
  Witness(Witness&& other) noexcept : text(std::move(other.text)) { ++alive; }
  Witness& operator=(const Witness&) = default;
  Witness& operator=(Witness&&) noexcept = default;
  ~Witness() { --alive; }
};

struct Options {
  Witness name{"a text long enough to live on the heap"};
  std::vector<std::string> words{"one", "two"};
};

/// Where a test holds a coroutine until it wants it to go on.
struct Gate {
  std::coroutine_handle<> waiter;
  auto pass() {
    struct Awaiter {
      Gate& gate;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> task) const noexcept { gate.waiter = task; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  void open() { std::exchange(waiter, {}).resume(); }
};

Task<std::size_t> measure(Options options, Gate* gate) {
  if (gate != nullptr) co_await gate->pass();
  co_return options.name.text.size() + options.words.size();
}
Task<Witness> echo(Witness witness, Gate* gate) {
  if (gate != nullptr) co_await gate->pass();
  co_return witness;
}
Task<bool> truth(bool value) {
  co_return value;
}

/// Drives a task to its end, opening the gate as often as somebody stands there.
template <typename T>
T drive(Task<T> task, Gate& gate) {
  auto handle = task.release();
  handle.resume();
  while (!handle.done()) gate.open();
  T value = handle.promise().take();
  handle.destroy();
  return value;
}

Task<std::size_t> aggregate_temporary(Gate* gate) {
  co_return co_await measure(Options{}, gate);
}
Task<std::size_t> named_aggregate(Gate* gate) {
  Options options;
  const std::size_t size = co_await measure(std::move(options), gate);
  co_return size;
}
Task<std::size_t> condition_with_initialiser(Gate* gate) {
  Options options;
  if (const std::size_t size = co_await measure(options, gate); size > 3) co_return size;
  co_return 0;
}
Task<std::size_t> awaits_in_conditions(Gate* gate) {
  std::size_t rounds = 0;
  while (co_await truth(rounds < 10)) {
    const Witness witness = co_await echo(Witness("a text long enough to live on the heap"), gate);
    rounds += witness.text.empty() ? 100 : 1;
  }
  co_return rounds + 30;
}
Task<std::size_t> several_awaits_in_one_expression(Gate* gate) {
  const std::size_t sum = co_await measure(Options{}, gate) + co_await measure(Options{}, nullptr);
  co_return sum / 2;
}

struct FormCase {
  std::string_view name;
  Task<std::size_t> (*form)(Gate*);
};
constexpr FormCase kForms[] = {
    {"aggregate temporary", aggregate_temporary},
    {"named aggregate", named_aggregate},
    {"condition with initialiser", condition_with_initialiser},
    {"awaits in conditions", awaits_in_conditions},
    {"several awaits in one expression", several_awaits_in_one_expression},
};

TEST(Coroutines, FormsWeUseDestroyEverythingOnce) {
  for (const FormCase& c : kForms) {
    for (const bool suspending : {false, true}) {
      SCOPED_TRACE(std::string(c.name) + (suspending ? ", suspending" : ", at once"));
      Gate gate;
      EXPECT_EQ(drive(c.form(suspending ? &gate : nullptr), gate), 40U);
      EXPECT_EQ(Witness::alive, 0);
    }
  }
}

TEST(Coroutines, ATaskNeverStartedOrHalfwayIsDestroyedOnce) {
  const std::size_t frames = task_frames_alive();
  {
    const auto never_started = measure(Options{}, nullptr);
  }
  EXPECT_EQ(Witness::alive, 0);
  {
    Gate gate;
    auto handle = aggregate_temporary(&gate).release();
    handle.resume();
    EXPECT_FALSE(handle.done());
    EXPECT_GT(Witness::alive, 0);
    handle.destroy();
  }
  EXPECT_EQ(Witness::alive, 0);
  EXPECT_EQ(task_frames_alive(), frames);
}

Task<std::size_t> many(std::size_t count) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool value = co_await truth(true);
    sum += value ? 1 : 0;
  }
  co_return sum;
}

TEST(Coroutines, AMillionAwaitsThatFinishAtOnceDoNotGrowTheStack) {
  Gate gate;
  EXPECT_EQ(drive(many(1'000'000), gate), 1'000'000U);
}

Task<std::size_t> nested(std::size_t depth, Gate* gate) {
  if (depth == 0) {
    co_await gate->pass();
    co_return 0;
  }
  const std::size_t below = co_await nested(depth - 1, gate);
  co_return below + 1;
}

TEST(Coroutines, AResultTravelsUpALongChain) {
  Gate gate;
  EXPECT_EQ(drive(nested(500, &gate), gate), 500U);
}

}  // namespace
}  // namespace postern::reactor
