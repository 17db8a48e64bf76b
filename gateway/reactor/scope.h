#pragma once

#include <coroutine>
#include <cstddef>

#include "gateway/reactor/task.h"

namespace postern::reactor {

class Scope;

/// Something that can be asked to finish early: a socket, a sleep, an inner scope. Intrusive member of one
/// scope. cancel() asks; the wait still completes, with Errc::cancelled.
class Cancellable {
 public:
  Cancellable() = default;
  Cancellable(const Cancellable&) = delete;
  Cancellable& operator=(const Cancellable&) = delete;
  virtual ~Cancellable();
  virtual void cancel() noexcept = 0;

 private:
  friend class Scope;
  Scope* scope_ = nullptr;
  Cancellable* next_ = nullptr;
  Cancellable* previous_ = nullptr;
};

/// Owner of running tasks: every task spawned here is joined here. There is no detach. One thread.
class Scope final : public Cancellable {
 public:
  Scope() = default;
  ~Scope() override;  ///< checks that nothing runs any more

  /// Starts the task now (until its first suspension). Its frame is freed when it finishes.
  void spawn(Task<void> task);
  /// Returns when no task runs; tasks may be spawned meanwhile. One joiner at a time.
  Task<void> join();
  /// Asks everything enrolled to finish, and whatever enrols later at once. Idempotent.
  void cancel() noexcept override;
  bool cancelled() const { return cancelled_; }
  std::size_t running() const { return running_; }

  /// Enrols until the object dies or enrols elsewhere. If the scope is cancelled already, cancel() is called
  /// at once.
  void enrol(Cancellable& member);

 private:
  friend class Cancellable;
  struct Carrier;
  void remove(Cancellable& member) noexcept;
  void finished() noexcept;

  Cancellable* first_ = nullptr;
  Cancellable* cursor_ = nullptr;  ///< the member cancel() asks next
  std::coroutine_handle<> joiner_;
  std::size_t running_ = 0;
  bool cancelled_ = false;
};

}  // namespace postern::reactor
