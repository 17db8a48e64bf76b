#pragma once

#include <chrono>

#include "gateway/log/log.h"
#include "gateway/pipeline/greylist.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/executor.h"
#include "gateway/reactor/scope.h"
#include "gateway/reactor/task.h"
#include "storage/store.h"

namespace postern::pipeline {

/// Brings the greylist from the store, puts what changes there, and forgets what has expired; on workers. On one core; what it holds
/// outlives its task.
class GreylistKeeper {
 public:
  struct Services {
    Greylist& greylist;
    storage::Store& store;
    const SnapshotHolder& snapshots;
    reactor::Executor& workers;
    log::Logger& logger;
  };
  static constexpr std::chrono::seconds kInterval{1};
  static constexpr unsigned kIntervalsPerSweep = 600;

  explicit GreylistKeeper(Services services) : services_(services) {}

  /// Until the scope is cancelled; then what has changed goes to the store once more.
  reactor::Task<void> run(reactor::Scope& scope);

 private:
  reactor::Task<void> load();
  reactor::Task<void> flush();

  Services services_;
  bool loaded_ = false, failing_ = false;
};

}  // namespace postern::pipeline
