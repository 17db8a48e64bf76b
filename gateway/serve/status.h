#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "gateway/control/json.h"
#include "gateway/pipeline/list_health.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/serve/core.h"
#include "gateway/serve/reloader.h"
#include "gateway/serve/telemetry.h"

namespace postern::serve {

enum class Phase : unsigned char { starting, serving, draining };
std::string_view to_string(Phase phase);

/// What `postern status` and /readyz are made of. Any thread.
struct StatusSources {
  const std::atomic<Phase>& phase;
  const storage::Store& store;
  const pipeline::SnapshotHolder& snapshots;
  const Reloader& reloader;
  const smtp::Admission& admission;
  const smtp::BodyBudget& bodies;
  const std::vector<std::unique_ptr<Core>>& cores;
  const BusyRatios& busy;
  const pipeline::ListHealth& list_health;
  const delivery::Board& board;
  std::chrono::system_clock::time_point started_at;
};

/// Why nothing should be sent here now; "" when ready.
std::string not_ready(const StatusSources& sources);
/// One JSON object; gateway/serve/README.md describes it.
control::Json status_json(const StatusSources& sources);

}  // namespace postern::serve
