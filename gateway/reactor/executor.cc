#include "gateway/reactor/executor.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "gateway/reactor/check.h"

namespace postern::reactor {
namespace {

/// One piece of work; lives in the frame of the task that waits for it.
struct Item {
  std::move_only_function<void()> work;
  Reactor& home;
  Event finished;
  Item* next = nullptr;
};

}  // namespace

class Executor::Impl {
 public:
  Impl(unsigned threads, std::size_t queue_max) : queue_max_(queue_max) {
    POSTERN_CHECK(threads > 0);
    threads_.reserve(threads);
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  bool enqueue(Item& item) {
    {
      const std::lock_guard lock(mutex_);
      if (queued_ >= queue_max_) return false;
      (last_ != nullptr ? last_->next : first_) = &item;
      last_ = &item;
      ++queued_;
    }
    changed_.notify_one();
    return true;
  }

  std::size_t queued() const {
    const std::lock_guard lock(mutex_);
    return queued_;
  }

  std::size_t queue_max() const { return queue_max_; }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || first_ != nullptr; });
      if (first_ == nullptr) return;
      Item& item = *first_;
      first_ = item.next;
      if (first_ == nullptr) last_ = nullptr;
      --queued_;
      lock.unlock();
      item.work();
      item.home.post([&item] { item.finished.open(); });  // the item may be gone from here on
      lock.lock();
    }
  }

  const std::size_t queue_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Item* first_ = nullptr;
  Item* last_ = nullptr;
  std::size_t queued_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

Executor::Executor(unsigned threads, std::size_t queue_max)
    : impl_(std::make_unique<Impl>(threads, queue_max)) {}
Executor::~Executor() = default;

Task<std::expected<void, Error>> Executor::run(std::move_only_function<void()> work) {
  Item item{.work = std::move(work), .home = Reactor::current(), .finished = {}, .next = nullptr};
  if (!impl_->enqueue(item))
    co_return std::unexpected(
        Error{.code = Errc::limit,
              .system_error = 0,
              .context = fmt::format("workers: {} pieces of work wait already", impl_->queue_max())});
  co_await item.finished.wait();
  co_return std::expected<void, Error>();
}

std::size_t Executor::queued() const {
  return impl_->queued();
}

}  // namespace postern::reactor
