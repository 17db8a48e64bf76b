#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/executor.h"
#include "gateway/serve/core.h"
#include "gateway/smtp/body.h"
#include "gateway/smtp/server/admission.h"
#include "storage/store.h"

namespace postern::serve {

/// Register the figures that others keep: reactors (below), store, ledger, certificates, the process. They are read at scrape time;
/// everything referred to outlives the last scrape.
void register_store(metrics::Registry& registry, const storage::Store& store);
void register_process(metrics::Registry& registry, std::chrono::sys_seconds started_at);
void register_load(metrics::Registry& registry, const smtp::BodyBudget& bodies,
                   const reactor::Executor& workers, const log::Logger& logger);

/// Again after every reload: certificates come and go.
void register_certificates(metrics::Registry& registry, const pipeline::SnapshotHolder& snapshots);

/// How busy each core was lately: the share of time between the last two samples that it did not wait. Any thread.
class BusyRatios {
 public:
  explicit BusyRatios(std::size_t cores) : last_(cores), ratios_(cores) {}
  /// Call every few seconds.
  void sample(const std::vector<std::unique_ptr<Core>>& cores);
  std::vector<double> ratios() const;
  double ratio(std::size_t index) const;

 private:
  struct Times {
    std::uint64_t busy_ns = 0, idle_ns = 0;
  };
  mutable std::mutex mutex_;
  std::vector<Times> last_;
  std::vector<double> ratios_;
};

void register_reactors(metrics::Registry& registry, const std::vector<std::unique_ptr<Core>>& cores,
                       const BusyRatios& busy);

}  // namespace postern::serve
