#pragma once

#include <atomic>
#include <chrono>
#include <expected>
#include <string>

#include "bench/load/corpus.h"
#include "bench/load/options.h"
#include "bench/load/tally.h"

namespace postern::load {

struct RunResult {
  Tally tally;
  std::chrono::nanoseconds elapsed{};  ///< from the start to the last connection's end
  double cpu_seconds = 0;              ///< of this program, user and system, while it ran
};

/// The whole run, on threads of its own. Live figures go to standard error when that is a terminal. `stop` may become
/// true at any time, from a signal handler for instance: what is under way is then ended. The error is one sentence: the
/// kernel lacks io_uring, or TLS cannot be set up.
std::expected<void, std::string> run_load(const Options& options, const Corpus& corpus, const Corpus& spam,
                                          const std::atomic<bool>& stop, RunResult& result);

}  // namespace postern::load
