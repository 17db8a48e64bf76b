#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/control/api.h"
#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/snapshot.h"

namespace postern::serve {

/// The keys that differ and that only a start takes up: what a running process is built from.
std::vector<std::string> restart_keys(const config::Config& running, const config::Config& next);

/// Swaps the snapshot, or leaves everything as it is. Any thread, one reload at a time; never a reactor's: it reads files.
class Reloader {
 public:
  struct Services {
    pipeline::SnapshotHolder& snapshots;
    std::shared_ptr<tls::TicketKeys> tickets;
    log::Logger& logger;
    metrics::Registry& metrics;
    std::function<void(const pipeline::Snapshot&)> applied;  ///< after a swap
  };
  struct Last {
    std::chrono::sys_time<std::chrono::milliseconds> at;
    control::ReloadOutcome outcome;
  };

  /// The snapshot in force now is what the process was started with.
  explicit Reloader(Services services);

  control::ReloadOutcome reload();
  std::optional<Last> last() const;  ///< none: not since the start
  std::chrono::sys_time<std::chrono::milliseconds> loaded_at() const;

 private:
  control::ReloadOutcome attempt();
  void log(const control::ReloadOutcome& outcome) const;

  Services services_;
  const config::Config started_;  // what listeners, cores and the store are made of
  metrics::Counter &succeeded_, &failed_;
  std::mutex one_at_a_time_;
  mutable std::mutex mutex_;  // of what follows
  std::optional<Last> last_;
  std::chrono::sys_time<std::chrono::milliseconds> loaded_at_;
};

}  // namespace postern::serve
