// What does the loop itself cost? Counters are per operation; CPU is the whole process's.
//   ping_pong/N        N pairs of sockets of one reactor exchange 32 octets each way: two receives, two sends
//   timer_arm_cancel   a deadline set and taken back among N others, as every receive does
//   timer_expire       a timer armed and expired
//   worker_and_back    an empty piece of work on another thread: two wake-ups, the loop asleep meanwhile
//   post               calls from another thread to a loop that sleeps or runs
//   task               a coroutine awaited that finishes at once; and one spawned into a scope
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gateway/reactor/executor.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/socket.h"
#include "gateway/reactor/timer_wheel.h"

namespace postern::reactor {
namespace {

std::unique_ptr<Reactor> make_reactor() {
  auto made = Reactor::create(ReactorOptions());
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().text().c_str());
    std::exit(1);
  }
  return std::move(*made);
}

constexpr std::string_view kLine = "RCPT TO:<postmaster@example.org>";

/// Receives a line and sends one, until the other side hangs up or `rounds` are over.
Task<void> play(Socket* socket, bool serves, long rounds) {
  for (long i = 0; i < rounds; ++i) {
    const Deadline deadline = Reactor::current().now() + std::chrono::minutes(5);
    if (serves) {
      const auto sent = co_await socket->send(kLine, deadline);
      if (!sent) std::abort();
    }
    const auto input = co_await socket->receive(deadline);
    if (!input) std::abort();
    socket->release_input();
    if (!serves) {
      const auto sent = co_await socket->send(kLine, deadline);
      if (!sent) std::abort();
    }
  }
  co_await socket->close();
}

Task<void> play_all(std::size_t pairs, long rounds) {
  std::vector<std::unique_ptr<Socket>> sockets;
  Scope scope;
  for (std::size_t i = 0; i < pairs; ++i) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    for (const int end : ends) {
      sockets.push_back(std::make_unique<Socket>());
      sockets.back()->adopt(end, Address(), Address());
    }
    scope.spawn(play(sockets[sockets.size() - 2].get(), true, rounds));
    scope.spawn(play(sockets.back().get(), false, rounds));
  }
  co_await scope.join();
}

void ping_pong(benchmark::State& state) {
  const auto pairs = static_cast<std::size_t>(state.range(0));
  const std::unique_ptr<Reactor> reactor = make_reactor();
  const long rounds = static_cast<long>(20000 / pairs);
  for (auto _ : state) reactor->run(play_all(pairs, rounds));
  const ReactorCounters counters = reactor->counters();
  const double played =
      static_cast<double>(state.iterations()) * static_cast<double>(pairs) * static_cast<double>(rounds);
  state.SetItemsProcessed(static_cast<std::int64_t>(played));
  state.counters["cpu_per_round"] =
      benchmark::Counter(played, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["turns_per_round"] = static_cast<double>(counters.turns) / played;
}
BENCHMARK(ping_pong)->Arg(1)->Arg(10)->Arg(100)->Unit(benchmark::kMillisecond);

class Nothing final : public Timer {
 public:
  void expired() noexcept override {}
};

void timer_arm_cancel(benchmark::State& state) {
  const auto start = TimerWheel::Clock::now();
  TimerWheel wheel(start);
  std::vector<std::unique_ptr<Nothing>> others;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    others.push_back(std::make_unique<Nothing>());
    wheel.arm(*others.back(), start + std::chrono::milliseconds(300'000 + i));
  }
  Nothing timer;
  for (auto _ : state) {
    wheel.arm(timer, start + std::chrono::minutes(5));
    wheel.cancel(timer);
  }
  for (const auto& other : others) wheel.cancel(*other);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(timer_arm_cancel)->Arg(0)->Arg(10'000);

void timer_expire(benchmark::State& state) {
  auto now = TimerWheel::Clock::now();
  TimerWheel wheel(now);
  Nothing timer;
  for (auto _ : state) {
    wheel.arm(timer, now + std::chrono::milliseconds(state.range(0)));
    while (timer.armed()) {
      now = *wheel.next();
      wheel.expire(now);
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(timer_expire)->Arg(1)->Arg(1'000)->Arg(300'000);

Task<void> wait_for(Event* event) {
  co_await event->wait();
}

void post(benchmark::State& state) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  const long calls = 100'000;
  for (auto _ : state) {
    Event all;
    long left = calls;
    std::thread poster([&] {
      for (long i = 0; i < calls; ++i) {
        reactor->post([&] {
          if (--left == 0) all.open();
        });
      }
    });
    reactor->run(wait_for(&all));
    poster.join();
  }
  state.SetItemsProcessed(state.iterations() * calls);
}
BENCHMARK(post)->Unit(benchmark::kMillisecond)->UseRealTime();

Task<void> go_and_return(Executor* workers, benchmark::State* state) {
  for (auto _ : *state) {
    auto work = [] {};
    const auto ran = co_await workers->run(std::move(work));
    if (!ran) std::abort();
  }
}

void worker_and_back(benchmark::State& state) {
  Executor workers(1, 16);
  const std::unique_ptr<Reactor> reactor = make_reactor();
  reactor->run(go_and_return(&workers, &state));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(worker_and_back)->UseRealTime();

Task<int> at_once(int value) {
  co_return value;
}

Task<void> await_many(benchmark::State* state) {
  for (auto _ : *state) {
    const int value = co_await at_once(7);
    benchmark::DoNotOptimize(value);
  }
}

void task_awaited(benchmark::State& state) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  reactor->run(await_many(&state));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(task_awaited);

Task<void> nothing() {
  co_return;
}

Task<void> spawn_many(benchmark::State* state) {
  Scope scope;
  for (auto _ : *state) scope.spawn(nothing());
  co_await scope.join();
}

void task_spawned(benchmark::State& state) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  reactor->run(spawn_many(&state));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(task_spawned);

}  // namespace
}  // namespace postern::reactor
