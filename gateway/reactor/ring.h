#pragma once

#include <liburing.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/reactor/error.h"

namespace postern::reactor {

/// What the kernel may hold a pointer to: one submission, until its last completion. It must not move or die
/// before that.
class Operation {
 public:
  /// A completion. Called while completions are walked: records, makes tasks ready, arms timers; it neither
  /// resumes a coroutine nor submits.
  virtual void completed(int result, std::uint32_t flags) noexcept = 0;

 protected:
  ~Operation() = default;
};

/// The kernel's two queues, and the account of what is in flight. Belongs to the thread that made it.
class Ring {
 public:
  static std::expected<std::unique_ptr<Ring>, Error> create(unsigned submission_entries,
                                                            unsigned completion_entries);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Fills a submission entry by `prepare(io_uring_sqe*)`; it reaches the kernel with the turn's other
  /// submissions.
  template <typename Prepare>
  void submit(Operation& operation, Prepare&& prepare) {
    io_uring_sqe* entry = take_entry();
    prepare(entry);
    io_uring_sqe_set_data(entry, &operation);
    ++in_flight_;
  }
  /// Asks for the end of an operation in flight, whose completion still comes. The answer to the asking does
  /// not matter: done, not found, already running are all fine.
  void cancel(Operation& operation);

  /// Hands over what was submitted and collects what has happened, without waiting.
  void poll();
  /// The same, but waits for a completion, at most `longest` when given.
  void wait(std::optional<std::chrono::nanoseconds> longest);
  /// Calls completed() of every completion that has arrived; the number of them.
  unsigned walk();

  std::size_t in_flight() const { return in_flight_; }
  /// Of those, requests of cancel() whose answer has not come.
  std::size_t cancellations() const { return cancellations_; }
  std::uint64_t submissions() const { return submissions_; }
  std::uint64_t completions() const { return completions_; }
  /// Turns in which the completion queue had overflowed, and completions the kernel dropped.
  std::uint64_t overflows() const { return overflows_; }
  io_uring* raw() { return &ring_; }

 private:
  Ring() = default;
  io_uring_sqe* take_entry();
  void check_entered(int result);

  io_uring ring_{};
  bool made_ = false;
  bool walking_ = false;
  std::size_t in_flight_ = 0;
  std::size_t cancellations_ = 0;
  std::uint64_t submissions_ = 0, completions_ = 0, overflows_ = 0;
};

/// The sentence for an io_uring_setup() that failed with `number`. `disabled` is what
/// /proc/sys/kernel/io_uring_disabled holds ("" when there is no such file), `release` the kernel's release
/// ("5.10.0-30-amd64").
Error explain_setup_failure(int number, std::string_view disabled, std::string_view release);

}  // namespace postern::reactor
