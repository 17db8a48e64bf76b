#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "gateway/admin/server.h"
#include "gateway/config/config.h"
#include "gateway/control/quarantine.h"
#include "gateway/delivery/runner/desk.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/executor.h"
#include "storage/store.h"

namespace postern::control {

/// How a reload ended. With problems nothing has changed.
struct ReloadOutcome {
  std::vector<config::Problem> problems, warnings;
  std::vector<std::string> needs_restart;  ///< keys that have changed and count from the next start on
  bool ok() const { return problems.empty(); }
};

/// What the routes need of the program. Everything outlives the Api.
struct ApiServices {
  storage::Store& store;
  reactor::Executor& workers;    ///< for what blocks; not the one that mail waits for
  pipeline::Pipeline& pipeline;  ///< of the core that serves the socket
  pipeline::SnapshotHolder& snapshots;
  classifier::Classifier* classifier = nullptr;  ///< null: [filter.bayes] enabled = false
  std::function<std::string()> status;           ///< JSON; quick, any thread
  std::function<ReloadOutcome()> reload;         ///< blocks; any thread
  delivery::QueueDesk* queue = nullptr;          ///< null: the queue's routes are not there
  QuarantineDesk* quarantine = nullptr;          ///< likewise
};

/// The control socket's routes; gateway/control/README.md lists them. A reactor's thread.
class Api {
 public:
  /// One read-out of `entries` gives at most so many.
  static constexpr std::size_t kEntriesMax = 10'000;
  static constexpr std::size_t kUidsMax = 100'000;
  static constexpr std::size_t kCountersMax = 100'001;  ///< a day with all its rows

  explicit Api(ApiServices services) : services_(std::move(services)) {}
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  reactor::Task<admin::Response> handle(const admin::Request& request);

 private:
  reactor::Task<admin::Response> scan(const admin::Request& request);
  reactor::Task<admin::Response> queue(const admin::Request& request);
  reactor::Task<admin::Response> quarantine(const admin::Request& request);

  ApiServices services_;
  std::atomic<bool> verifying_{false};
};

/// A store's error as an answer: {"error", "code"} and the status that fits.
admin::Response store_error(const storage::Error& error);

}  // namespace postern::control
