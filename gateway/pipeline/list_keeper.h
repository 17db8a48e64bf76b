#pragma once

#include <chrono>

#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/executor.h"
#include "gateway/reactor/scope.h"
#include "gateway/reactor/task.h"

namespace postern::pipeline {

/// Watches the files of [filter.allow] and [filter.block] and reads them again, on a worker, when one has changed. While a file
/// cannot be read the lists stay as they are. On one core; what it holds outlives its task.
class ListKeeper {
 public:
  struct Services {
    const SnapshotHolder& snapshots;
    reactor::Executor& workers;
    log::Logger& logger;
    metrics::Registry& metrics;
  };
  static constexpr std::chrono::seconds kInterval{2};

  explicit ListKeeper(Services services) : services_(services) {}

  /// Until the scope is cancelled.
  reactor::Task<void> run(reactor::Scope& scope);

 private:
  reactor::Task<void> look(const Snapshot& snapshot);
  void tell(const lists::FileLists& lists, std::chrono::milliseconds took);

  Services services_;
  std::vector<lists::FileStamp> seen_;
};

/// One line for the log: how many lines of the files were passed over, and the first of them; "" when there are none.
std::string bad_lines_of(const lists::FileLists& lists);

}  // namespace postern::pipeline
