#include "gateway/reactor/scope.h"

#include <coroutine>
#include <exception>
#include <utility>

#include "gateway/reactor/check.h"
#include "gateway/reactor/loop.h"

namespace postern::reactor {

Cancellable::~Cancellable() {
  if (scope_ != nullptr) scope_->remove(*this);
}

/// A coroutine nobody awaits: it carries one spawned task, reports to the scope, and frees itself.
struct Scope::Carrier {
  struct promise_type {
    static void* operator new(std::size_t octets) { return allocate_frame(octets); }
    static void operator delete(void* frame, std::size_t octets) noexcept { free_frame(frame, octets); }
    Carrier get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };

  static Carrier carry(Task<void> task, Scope& scope) {
    {
      Task<void> mine =
          std::move(task);  // gone, with everything it holds, before the scope hears that it finished
      co_await std::move(mine);
    }
    scope.finished();
  }
};

Scope::~Scope() {
  POSTERN_CHECK(running_ == 0);
  POSTERN_CHECK(!joiner_);
  while (first_ != nullptr) remove(*first_);
}

void Scope::spawn(Task<void> task) {
  POSTERN_CHECK(task.valid());
  ++running_;
  (void)Carrier::carry(std::move(task), *this);
}

void Scope::finished() noexcept {
  POSTERN_CHECK(running_ > 0);
  --running_;
  if (running_ == 0 && joiner_) make_ready(std::exchange(joiner_, {}));
}

Task<void> Scope::join() {
  struct Finished {
    std::coroutine_handle<>& joiner;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> task) const noexcept { joiner = task; }
    void await_resume() const noexcept {}
  };
  // More may have been spawned between the last one's end and our turn.
  while (running_ > 0) {
    POSTERN_CHECK(!joiner_);
    co_await Finished{joiner_};
  }
}

void Scope::cancel() noexcept {
  if (cancelled_) return;
  cancelled_ = true;
  for (Cancellable* member = first_; member != nullptr; member = cursor_) {
    cursor_ = member->next_;  // moved on by remove() when that one goes meanwhile
    member->cancel();
  }
}

void Scope::enrol(Cancellable& member) {
  if (member.scope_ != nullptr) member.scope_->remove(member);
  member.scope_ = this;
  member.previous_ = nullptr;
  member.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &member;
  first_ = &member;
  if (cancelled_) member.cancel();
}

void Scope::remove(Cancellable& member) noexcept {
  if (cursor_ == &member) cursor_ = member.next_;
  (member.previous_ != nullptr ? member.previous_->next_ : first_) = member.next_;
  if (member.next_ != nullptr) member.next_->previous_ = member.previous_;
  member.scope_ = nullptr;
  member.next_ = nullptr;
  member.previous_ = nullptr;
}

}  // namespace postern::reactor
