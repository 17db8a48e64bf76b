#include "gateway/dns/event_loop.h"

#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "gateway/reactor/check.h"

namespace postern::dns {

using reactor::Operation;
using reactor::Timer;

/// What libunbound calls an event: a descriptor to be watched, a timer, or both. Semantics as in its own small
/// loop: a timeout is not put off by readiness, and an event that is not persistent is over when it fires.
class EventLoop::Event final : public ub_event, public Timer {
 public:
  using Callback = void (*)(int, short, void*);

  Event(EventLoop& owner, int descriptor, short bits, Callback callback, void* argument)
      : ub_event{.magic = UB_EVENT_MAGIC, .vmt = &kTable},
        owner_(owner),
        descriptor_(descriptor),
        bits_(bits),
        callback_(callback),
        argument_(argument) {
    ++owner_.events_;
  }
  ~Event() {
    remove();
    if (freed_ != nullptr) *freed_ = true;
    --owner_.events_;
  }

  void add(const timeval* after) {
    added_ = true;
    watch();
    if (after != nullptr) arm_timer(*after);
  }
  void add_timer(Callback callback, void* argument, const timeval* after) {
    callback_ = callback;
    argument_ = argument;
    added_ = true;
    arm_timer(*after);
  }
  void remove() {
    added_ = false;
    due_bits_ = 0;
    unwatch();
    owner_.loop_.timers().cancel(*this);
    owner_.forget(*this);
  }

  /// In pump(): calls back. The event may be changed or freed by that.
  void fire() {
    // One at a time: whoever is told of readiness does not look at the timeout, which would then be lost.
    const auto ready = static_cast<short>(due_bits_ & (UB_EV_READ | UB_EV_WRITE));
    const short bits = ready != 0 ? ready : due_bits_;
    due_bits_ = static_cast<short>(due_bits_ & ~bits);
    queued_ = false;
    if (bits != 0 && !call_back(bits)) return;
    if (!added_) return;
    watch();
    if (due_bits_ != 0) due(due_bits_);
  }

  void change_bits(short set, short clear) { bits_ = static_cast<short>((bits_ | set) & ~clear); }
  void set_descriptor(int descriptor) { descriptor_ = descriptor; }

 private:
  friend class EventLoop;

  /// One submission. It outlives its event until its completion, and is told when the event loses interest.
  class Poll final : public Operation {
   public:
    Poll(EventLoop& owner, Event& event) : owner_(owner), event_(&event) { ++owner_.polls_; }
    void abandon() { event_ = nullptr; }
    void completed(int result, std::uint32_t) noexcept override {
      if (event_ != nullptr) event_->ready(result);
      EventLoop& owner = owner_;
      delete this;
      if (--owner.polls_ == 0 && owner.stopping_) owner.wake();
    }

   private:
    EventLoop& owner_;
    Event* event_;
  };

  /// False: the event is gone.
  bool call_back(short bits) {
    if ((bits_ & UB_EV_PERSIST) == 0) remove();
    bool freed = false;
    freed_ = &freed;
    callback_(descriptor_, bits, argument_);
    if (freed) return false;
    freed_ = nullptr;
    return true;
  }

  void watch() {
    if (poll_ != nullptr || (bits_ & (UB_EV_READ | UB_EV_WRITE)) == 0 || descriptor_ < 0) return;
    unsigned mask = 0;
    if ((bits_ & UB_EV_READ) != 0) mask |= POLLIN;
    if ((bits_ & UB_EV_WRITE) != 0) mask |= POLLOUT;
    poll_ = new Poll(owner_, *this);
    owner_.loop_.ring().submit(
        *poll_, [&](io_uring_sqe* entry) { io_uring_prep_poll_add(entry, descriptor_, mask); });
  }
  void unwatch() {
    if (poll_ == nullptr) return;
    poll_->abandon();
    owner_.loop_.ring().cancel(*std::exchange(poll_, nullptr));
  }
  void arm_timer(const timeval& after) {
    due_bits_ = static_cast<short>(due_bits_ & ~UB_EV_TIMEOUT);
    const auto delay = std::chrono::seconds(after.tv_sec) + std::chrono::microseconds(after.tv_usec);
    owner_.loop_.timers().arm(*this, owner_.loop_.now() + delay);
  }

  void ready(int result) {
    poll_ = nullptr;
    // A poll that failed is told as readiness: the call that follows meets the error itself.
    const unsigned found = result < 0 ? POLLERR : static_cast<unsigned>(result);
    short bits = 0;
    if ((found & (POLLIN | POLLERR | POLLHUP)) != 0) bits |= static_cast<short>(bits_ & UB_EV_READ);
    if ((found & (POLLOUT | POLLERR | POLLHUP)) != 0) bits |= static_cast<short>(bits_ & UB_EV_WRITE);
    due(bits);
  }
  void expired() noexcept override { due(UB_EV_TIMEOUT); }
  void due(short bits) {
    due_bits_ = static_cast<short>(due_bits_ | bits);
    if (!std::exchange(queued_, true)) owner_.queue(*this);
  }

  static Event& of(ub_event* event) { return *static_cast<Event*>(event); }
  static void table_add_bits(ub_event* event, short bits) { of(event).change_bits(bits, 0); }
  static void table_del_bits(ub_event* event, short bits) { of(event).change_bits(0, bits); }
  static void table_set_fd(ub_event* event, int descriptor) { of(event).set_descriptor(descriptor); }
  static void table_free(ub_event* event) { delete &of(event); }
  static int table_add(ub_event* event, timeval* after) {
    of(event).add(after);
    return 0;
  }
  static int table_del(ub_event* event) {
    of(event).remove();
    return 0;
  }
  static int table_add_timer(ub_event* event, ub_event_base*, Callback callback, void* argument,
                             timeval* after) {
    of(event).add_timer(callback, argument, after);
    return 0;
  }
  static int table_no_signal(ub_event*, timeval*) { return -1; }
  static int table_no_signal_del(ub_event*) { return -1; }
  static void table_no_windows(ub_event*) {}
  static void table_no_windows_block(ub_event*, int) {}
  static ub_event_vmt kTable;

  EventLoop& owner_;
  int descriptor_;
  short bits_;
  short due_bits_ = 0;
  bool added_ = false, queued_ = false;
  Callback callback_;
  void* argument_;
  Poll* poll_ = nullptr;
  bool* freed_ = nullptr;  ///< on the stack of fire()
};

ub_event_vmt EventLoop::Event::kTable = {.add_bits = table_add_bits,
                                         .del_bits = table_del_bits,
                                         .set_fd = table_set_fd,
                                         .free = table_free,
                                         .add = table_add,
                                         .del = table_del,
                                         .add_timer = table_add_timer,
                                         .del_timer = table_del,
                                         .add_signal = table_no_signal,
                                         .del_signal = table_no_signal_del,
                                         .winsock_unregister_wsaevent = table_no_windows,
                                         .winsock_tcp_wouldblock = table_no_windows_block};

EventLoop::EventLoop(reactor::Reactor& reactor) : loop_(reactor.impl()) {
  static ub_event_base_vmt table = {
      .free = [](ub_event_base*) {},
      .dispatch = [](ub_event_base*) { return -1; },
      .loopexit = [](ub_event_base*, timeval*) { return -1; },
      .new_event = [](ub_event_base* base, int descriptor, short bits, void (*callback)(int, short, void*),
                      void* argument) -> ub_event* {
        return new Event(*static_cast<Base*>(base)->loop, descriptor, bits, callback, argument);
      },
      .new_signal = [](ub_event_base*, int, void (*)(int, short, void*), void*) -> ub_event* {
        return nullptr;
      },
      .winsock_register_wsaevent = [](ub_event_base*, void*, void (*)(int, short, void*),
                                      void*) -> ub_event* { return nullptr; },
  };
  base_.magic = UB_EVENT_MAGIC;
  base_.vmt = &table;
  base_.loop = this;
}

EventLoop::~EventLoop() {
  POSTERN_CHECK(events_ == 0);
  POSTERN_CHECK(polls_ == 0);
}

void EventLoop::queue(Event& event) {
  due_.push_back(&event);
  wake();
}

void EventLoop::forget(Event& event) {
  if (!std::exchange(event.queued_, false)) return;
  std::ranges::replace(due_, &event, nullptr);
  std::ranges::replace(running_, &event, nullptr);
}

void EventLoop::wake() {
  if (pump_) loop_.make_ready(std::exchange(pump_, {}));
}

auto EventLoop::next() {
  struct Awaiter {
    EventLoop& loop;
    bool await_ready() const noexcept { return !loop.due_.empty(); }
    void await_suspend(std::coroutine_handle<> task) { loop.pump_ = task; }
    void await_resume() const noexcept {}
  };
  return Awaiter{*this};
}

void EventLoop::stop() {
  stopping_ = true;
  wake();
}

reactor::Task<void> EventLoop::pump() {
  for (;;) {
    while (!due_.empty()) {
      running_.swap(due_);
      for (std::size_t i = 0; i < running_.size(); ++i) {
        if (running_[i] == nullptr) continue;
        std::exchange(running_[i], nullptr)->fire();
        if (loop_.turn_expired()) {
          co_await reactor::Reactor::current().yield();
        }
      }
      running_.clear();
    }
    if (stopping_ && polls_ == 0) co_return;
    co_await next();
  }
}

}  // namespace postern::dns
