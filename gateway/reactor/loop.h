#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "gateway/reactor/buffers.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/ring.h"
#include "gateway/reactor/timer_wheel.h"

namespace postern::reactor {

/// Coroutines in the order in which they are to go on. Grows to the most ever queued at once, and keeps that.
class HandleQueue {
 public:
  bool empty() const { return head_ == tail_; }
  std::size_t size() const { return tail_ - head_; }
  void push(std::coroutine_handle<> task) {
    if (size() == slots_.size()) grow();
    slots_[tail_++ & (slots_.size() - 1)] = task;
  }
  std::coroutine_handle<> pop() { return slots_[head_++ & (slots_.size() - 1)]; }

 private:
  void grow() {
    std::vector<std::coroutine_handle<>> larger(slots_.size() * 2);
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = pop();
    slots_ = std::move(larger);
    head_ = 0;
    tail_ = count;
  }
  std::vector<std::coroutine_handle<>> slots_ = std::vector<std::coroutine_handle<>>(64);
  std::size_t head_ = 0, tail_ = 0;
};

/// The loop behind Reactor: what sockets, listeners, timers and events of this folder work with.
class Reactor::Impl {
 public:
  static std::expected<std::unique_ptr<Impl>, Error> create(const ReactorOptions& options);
  ~Impl();

  void run(Task<void> main);
  void post(std::move_only_function<void()> call);

  /// The task goes on in this turn, after everything that is ready already; never from inside this call.
  void make_ready(std::coroutine_handle<> task) { ready_.push(task); }
  void make_ready_next_turn(std::coroutine_handle<> task) { next_turn_.push(task); }
  bool take_handshake_slot();
  void wait_for_handshake_slot(std::coroutine_handle<> task) { handshakes_.push(task); }
  void count_accept_pause() { ++accept_pauses_; }

  Ring& ring() { return *ring_; }
  TimerWheel& timers() { return timers_; }
  BufferPool& buffers() { return *buffers_; }
  const ReactorOptions& options() const { return options_; }
  TimerWheel::Clock::time_point now() const { return turn_start_; }
  UtcTime now_utc() const;
  bool turn_expired() const;
  ReactorCounters counters() const;

 private:
  /// The standing read of the eventfd by which other threads wake a sleeping loop.
  class WakeUp final : public Operation {
   public:
    void arm(Ring& ring, int descriptor);
    void completed(int result, std::uint32_t flags) noexcept override;
    bool armed = false;

   private:
    std::uint64_t value_ = 0;
  };

  explicit Impl(const ReactorOptions& options);
  void turn();
  void wait();
  void run_posted_calls();
  void run_ready();
  void grant_handshakes();
  void publish();
  void shut();
  bool idle() const;

  const ReactorOptions options_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<BufferPool> buffers_;
  TimerWheel timers_;
  HandleQueue ready_, next_turn_, handshakes_;
  unsigned handshakes_this_turn_ = 0;
  WakeUp wake_up_;
  int wake_descriptor_ = -1;

  Clock::time_point turn_start_;
  Clock::time_point turn_end_;
  mutable UtcTime utc_;
  mutable bool utc_known_ = false;

  // Shared with other threads. A poster that finds the loop awake only leaves its call; the loop looks before
  // it sleeps.
  std::mutex inbox_mutex_;
  std::vector<std::move_only_function<void()>> inbox_;
  std::atomic<bool> inbox_filled_{false};
  std::atomic<bool> asleep_{false};
  std::vector<std::move_only_function<void()>> calls_;

  std::uint64_t turns_ = 0, busy_ns_ = 0, idle_ns_ = 0, longest_turn_ns_ = 0, remote_calls_ = 0,
                accept_pauses_ = 0;
  struct Published;
  std::unique_ptr<Published> published_;
};

/// For everything of this folder that ends a wait: the task goes on through the ready list of this thread's
/// reactor.
inline void make_ready(std::coroutine_handle<> task) {
  Reactor::current().impl().make_ready(task);
}

}  // namespace postern::reactor
