#pragma once

#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/answers.h"
#include "gateway/pipeline/list_health.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/scope.h"
#include "gateway/reactor/task.h"

namespace postern::pipeline {

/// Tries every DNS list in force on a schedule (RFC 5782 §5), benches those that cannot be believed and takes them back. On one
/// core; what it holds outlives its task.
class ListProber {
 public:
  struct Services {
    const SnapshotHolder& snapshots;
    ListHealth& health;
    Source& source;
    log::Logger& logger;
    metrics::Registry& metrics;
  };
  /// A benched list is tried again that much sooner.
  static constexpr unsigned kBenchedFactor = 6;
  /// How often it is looked whether one is due.
  static constexpr std::chrono::milliseconds kTick{500};

  explicit ListProber(Services services) : services_(services) {}

  /// Until the scope is cancelled.
  reactor::Task<void> run(reactor::Scope& scope);

 private:
  bool is_due(const filters::Blocklist& list, const Snapshot& snapshot) const;
  reactor::Task<void> probe(const filters::Blocklist& list, const Snapshot& snapshot);
  void note(const filters::Blocklist& list, const filters::ListTrial& trial);
  void tidy(const Snapshot& snapshot);

  Services services_;
};

}  // namespace postern::pipeline
