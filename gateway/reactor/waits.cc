// The waits that have nothing to do with descriptors: sleep, yield, a handshake slot, an event.
#include <coroutine>
#include <exception>

#include "gateway/reactor/check.h"
#include "gateway/reactor/loop.h"
#include "gateway/reactor/reactor.h"

namespace postern::reactor {
namespace {

/// A sleeper: woken by its timer or by the scope, whichever is first.
class Sleeper final : public Timer, public Cancellable {
 public:
  explicit Sleeper(Reactor::Impl& loop) : loop_(loop) {}

  void expired() noexcept override { wake(); }
  void cancel() noexcept override {
    cancelled_ = true;
    loop_.timers().cancel(*this);
    wake();
  }
  bool cancelled() const { return cancelled_; }

  auto until(Deadline deadline) {
    struct Awaiter {
      Sleeper& sleeper;
      Deadline deadline;
      bool await_ready() const noexcept { return sleeper.cancelled_; }
      void await_suspend(std::coroutine_handle<> task) {
        sleeper.task_ = task;
        sleeper.loop_.timers().arm(sleeper, deadline);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, deadline};
  }

 private:
  void wake() noexcept {
    if (task_) loop_.make_ready(std::exchange(task_, {}));
  }
  Reactor::Impl& loop_;
  std::coroutine_handle<> task_;
  bool cancelled_ = false;
};

struct NextTurn {
  Reactor::Impl& loop;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> task) { loop.make_ready_next_turn(task); }
  void await_resume() const noexcept {}
};

struct HandshakeSlot {
  Reactor::Impl& loop;
  bool await_ready() noexcept { return loop.take_handshake_slot(); }
  void await_suspend(std::coroutine_handle<> task) { loop.wait_for_handshake_slot(task); }
  void await_resume() const noexcept {}
};

struct Opened {
  std::coroutine_handle<>& waiter;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> task) const noexcept { waiter = task; }
  void await_resume() const noexcept {}
};

}  // namespace

Task<std::expected<void, Error>> Reactor::sleep_until(Deadline deadline, Scope* scope) {
  Sleeper sleeper(*impl_);
  if (scope != nullptr) scope->enrol(sleeper);
  co_await sleeper.until(deadline);
  if (sleeper.cancelled())
    co_return std::unexpected(Error{.code = Errc::cancelled, .system_error = 0, .context = "sleep"});
  co_return std::expected<void, Error>();
}

Task<void> Reactor::yield() {
  co_await NextTurn{*impl_};
}

Task<void> Reactor::handshake_slot() {
  co_await HandshakeSlot{*impl_};
}

void Event::open() noexcept {
  open_ = true;
  if (waiter_) make_ready(std::exchange(waiter_, {}));
}

Task<void> Event::wait() {
  if (open_) co_return;
  POSTERN_CHECK(!waiter_);  // one side waits
  co_await Opened{waiter_};
}

}  // namespace postern::reactor
