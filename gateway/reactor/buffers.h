#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>
#include <vector>

#include "gateway/reactor/error.h"
#include "gateway/reactor/ring.h"

namespace postern::reactor {

/// A receive that found no buffer and stands in the queue for one.
class BufferWaiter {
 public:
  BufferWaiter() = default;
  BufferWaiter(const BufferWaiter&) = delete;
  BufferWaiter& operator=(const BufferWaiter&) = delete;
  bool waits() const { return waits_; }

 protected:
  ~BufferWaiter();
  /// A buffer is there (for now): makes the waiting task ready to try again.
  virtual void buffer_available() noexcept = 0;

 private:
  friend class BufferPool;
  BufferWaiter* next_ = nullptr;
  BufferWaiter* previous_ = nullptr;
  bool waits_ = false;
};

/// The provided receive buffers of one core. Only some are offered to the kernel at a time, the last returned
/// first out of the reserve: the kernel goes round all that it is offered, and a small circle stays in the
/// processor's cache and keeps untouched buffers out of resident memory. Belongs to the ring's thread.
class BufferPool {
 public:
  /// `count` is a power of two, at most 32,768; `octets` at least 256.
  static std::expected<std::unique_ptr<BufferPool>, Error> create(Ring& ring, unsigned count,
                                                                  unsigned octets);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  static constexpr std::uint16_t kGroup = 0;

  /// A completion named this buffer: it is ours until give_back().
  void taken(std::uint16_t id);
  void give_back(std::uint16_t id);
  std::string_view view(std::uint16_t id, std::size_t octets) const;

  /// The kernel had no buffer to give: `waiter` is told, in turn, when there is one.
  void wait(BufferWaiter& waiter);
  void forget(BufferWaiter& waiter) noexcept;
  /// Once per turn: offers more to the kernel where needed, and lets as many waiters try again as there are
  /// buffers.
  void serve();
  /// serve() would let somebody go on, so the loop must not sleep.
  bool can_serve() const { return first_ != nullptr && in_use_ < count_; }

  std::size_t in_use() const { return in_use_; }
  /// Receives that had to wait because every buffer of the core was in use.
  std::uint64_t exhausted() const { return exhausted_; }

 private:
  BufferPool(Ring& ring, unsigned count, unsigned octets);
  void offer(std::uint16_t id);

  Ring& ring_;
  const unsigned count_;
  const unsigned octets_;
  const unsigned offered_aim_;
  char* memory_ = nullptr;
  io_uring_buf_ring* offers_ = nullptr;
  bool registered_ = false;
  std::size_t offered_ = 0;  ///< as far as the completions walked tell
  std::size_t in_use_ = 0;
  std::size_t waiting_ = 0;
  std::uint64_t exhausted_ = 0;
  std::vector<std::uint16_t> reserve_;
  BufferWaiter* first_ = nullptr;
  BufferWaiter* last_ = nullptr;
};

}  // namespace postern::reactor
