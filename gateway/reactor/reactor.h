#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "gateway/reactor/error.h"
#include "gateway/reactor/scope.h"
#include "gateway/reactor/task.h"

namespace postern::reactor {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
using UtcTime = std::chrono::sys_time<std::chrono::milliseconds>;

struct ReactorOptions {
  unsigned core = 0;  ///< index, also the shard of metrics and ids
  bool pin = false;   ///< bind the thread to CPU `core` modulo the CPUs we may use
  unsigned submission_entries = 1024;
  unsigned completion_entries = 16384;  ///< much larger than the submissions: overflow is slow, and counted
  unsigned buffers = 1024;              ///< provided receive buffers of this core, a power of two
  unsigned buffer_octets = 16384;
  unsigned handshakes_per_turn_max = 8;  ///< 0.2-0.4 ms of CPU each; the rest wait for the next turn
};

/// Per-core figures; written by the core, read by anyone (relaxed).
struct ReactorCounters {
  std::uint64_t turns = 0, completions = 0, submissions = 0, overflows = 0;
  std::uint64_t busy_ns = 0, idle_ns = 0, longest_turn_ns = 0;
  std::uint64_t buffers_in_use = 0, buffers_exhausted = 0;
  std::uint64_t task_frames = 0, timers = 0, operations_in_flight = 0, remote_calls = 0;
  std::uint64_t accept_pauses = 0;  ///< times a listener waited because descriptors or memory had run out
};

/// Checks once, before any thread starts, that the kernel can do what we need; the error names the missing
/// feature and the likely cause (kernel older than 6.1, seccomp of a container, kernel.io_uring_disabled,
/// RLIMIT_MEMLOCK).
std::expected<void, Error> probe_kernel();

/// One ring, one thread, one loop: submit and wait, walk completions into a ready list, run ready tasks,
/// expire timers. Everything but post() and counters() belongs to the reactor's own thread.
class Reactor {
 public:
  /// Must be called on the thread that will call run() (SINGLE_ISSUER).
  static std::expected<std::unique_ptr<Reactor>, Error> create(const ReactorOptions& options);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  /// The reactor of this thread; it must exist.
  static Reactor& current();

  /// Runs `main` and the loop until `main` has finished. Afterwards no operation is in flight, which is
  /// checked.
  void run(Task<void> main);

  /// Any thread: runs `call` on this reactor's thread soon. Bounded only by its callers, each of which must
  /// be bounded (commit queue, worker queue, administration). A burst costs one wake-up.
  void post(std::move_only_function<void()> call);

  unsigned core() const;
  Clock::time_point now() const;  ///< read once per turn
  UtcTime now_utc() const;        ///< read once per turn
  /// True when this turn has run longer than 500 µs: long work should yield().
  bool turn_expired() const;

  /// Waits until the deadline: ok, or Errc::cancelled when the scope given was cancelled first.
  Task<std::expected<void, Error>> sleep_until(Deadline deadline, Scope* scope = nullptr);
  /// Lets everything else that is ready run first.
  Task<void> yield();
  /// Waits for one of the turn's handshake slots.
  Task<void> handshake_slot();

  ReactorCounters counters() const;  ///< any thread

  class Impl;  ///< sockets and timers know it; see loop.h
  Impl& impl() { return *impl_; }

 private:
  explicit Reactor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A one-shot meeting point on one thread: one side waits, the other opens it (possibly first). For callbacks
/// from commit thread and workers, which post() an open() to the core. Must not die while somebody waits.
class Event {
 public:
  void open() noexcept;  ///< resumes the waiter through the ready list, never inline
  bool is_open() const { return open_; }
  Task<void> wait();

 private:
  std::coroutine_handle<> waiter_;
  bool open_ = false;
};

}  // namespace postern::reactor
