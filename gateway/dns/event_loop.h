#pragma once

#include <unbound-event.h>

#include <coroutine>
#include <cstddef>
#include <vector>

#include "gateway/reactor/loop.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/task.h"

namespace postern::dns {

/// The event base that libunbound is given: its descriptors become one-shot polls of the core's ring, its
/// timers timers of the core's wheel. Callbacks run in the task pump(), never while completions are walked,
/// and make room for others when the turn gets long. One core's; libunbound must not be used after stop(), and
/// the object must outlive every event, which the destructor checks.
class EventLoop {
 public:
  explicit EventLoop(reactor::Reactor& reactor);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  ub_event_base* base() { return &base_; }
  /// Runs callbacks until stop() was called and no poll is in flight.
  reactor::Task<void> pump();
  void stop();

  class Event;  ///< one of libunbound's; private to the .cc

 private:
  friend class Event;
  struct Base : ub_event_base {
    EventLoop* loop = nullptr;
  };
  void queue(Event& event);
  void forget(Event& event);
  void wake();
  auto next();

  reactor::Reactor::Impl& loop_;
  Base base_{};
  std::vector<Event*> due_;      ///< null: was freed while it waited here
  std::vector<Event*> running_;  ///< the batch whose callbacks are being run
  std::coroutine_handle<> pump_;
  std::size_t polls_ = 0, events_ = 0;
  bool stopping_ = false;
};

}  // namespace postern::dns
