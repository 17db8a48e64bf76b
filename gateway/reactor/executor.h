#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "gateway/reactor/error.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/task.h"

namespace postern::reactor {

/// A few plain threads for what must not run on a reactor: analysis of large messages, reads of the store,
/// certificates.
class Executor {
 public:
  Executor(unsigned threads, std::size_t queue_max);
  ~Executor();  ///< finishes what is queued, joins the threads
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Runs `work` on a worker and resumes the caller on its own core. Errc::limit when the queue is full:
  /// nothing ran. The work itself has no deadline: it must be bounded.
  Task<std::expected<void, Error>> run(std::move_only_function<void()> work);

  std::size_t queued() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::reactor
