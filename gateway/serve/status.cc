#include "gateway/serve/status.h"

#include <unistd.h>

#include <cmath>

#include "gateway/pipeline/record.h"

namespace postern::serve {
namespace {

using control::Json;

std::int64_t seconds_since(std::chrono::system_clock::time_point time) {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now() - time).count();
}

Json listeners_json(const StatusSources& sources, const pipeline::Snapshot& snapshot) {
  Json list = Json::array();
  const auto& addresses = sources.cores.front()->bound();
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    Json one = {{"address", addresses[i].text()}};
    if (i < snapshot.config.listeners.size())
      one["service"] = config::to_string(snapshot.config.listeners[i].service);
    list.push_back(std::move(one));
  }
  return list;
}

Json cores_json(const StatusSources& sources) {
  Json list = Json::array();
  const std::vector<double> busy = sources.busy.ratios();
  for (std::size_t i = 0; i < sources.cores.size(); ++i) {
    const reactor::ReactorCounters counters = sources.cores[i]->counters();
    list.push_back({{"core", sources.cores[i]->index()},
                    {"busy", std::round(busy[i] * 1e4) / 1e4},
                    {"operations_in_flight", counters.operations_in_flight},
                    {"task_frames", counters.task_frames},
                    {"buffers_in_use", counters.buffers_in_use},
                    {"longest_turn_us", counters.longest_turn_ns / 1000}});
  }
  return list;
}

Json certificates_json(const pipeline::Snapshot& snapshot) {
  Json list = Json::array();
  if (!snapshot.tls) return list;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  for (const tls::CertificateInfo& certificate : snapshot.tls->certificates())
    list.push_back({{"file", certificate.file.string()},
                    {"names", certificate.names},
                    {"key_type", certificate.key_type},
                    {"not_after", control::timestamp(certificate.not_after)},
                    {"expires_in_s", (certificate.not_after - now).count()}});
  return list;
}

Json blocklists_json(const pipeline::ListHealth& health) {
  Json list = Json::array();
  for (const auto& [zone, state] : *health.all())
    list.push_back({{"zone", zone},
                    {"state", state.benched ? "benched" : to_string(state.last.outcome)},
                    {"reason", state.last.reason},
                    {"since", control::timestamp(state.since)},
                    {"tried_at", control::timestamp(state.tried_at)}});
  return list;
}

Json local_lists_json(const pipeline::Snapshot& snapshot) {
  const auto files = snapshot.lists.files();
  return {{"entries", files->entries()}, {"octets", files->octets()}, {"bad_lines", files->bad_lines()}};
}

/// Balanced: no recipient is open whom the queue does not know, and the last count of all entries agreed.
Json ledger_json(const StatusSources& sources) {
  const auto [ledger, queue] = sources.store.books();
  Json json = control::to_json(ledger, queue.recipients);
  const auto audit = sources.board.audit();
  if (audit && !audit->counts.balanced()) json["balanced"] = false;
  return json;
}

Json queue_json(const StatusSources& sources) {
  const storage::QueueTotals totals = sources.store.queue_totals();
  Json json = {{"entries", totals.entries},
               {"recipients", totals.recipients},
               {"octets", totals.octets},
               {"connections", sources.board.lanes.load()},
               {"destinations_paused", sources.board.pauses()}};
  if (const auto audit = sources.board.audit()) {
    const auto at = std::chrono::milliseconds(static_cast<std::int64_t>(audit->at_ms));
    json["checked"] = {{"at", control::timestamp(std::chrono::sys_time<std::chrono::milliseconds>(at))},
                       {"balanced", audit->counts.balanced()},
                       {"entries", audit->counts.entries},
                       {"recipients", audit->counts.recipients},
                       {"damaged", audit->counts.damaged}};
  }
  return json;
}

Json quarantine_json(const StatusSources& sources) {
  const storage::QuarantineTotals totals = sources.store.quarantine_totals();
  return {{"entries", totals.entries}, {"octets", totals.octets},   {"released", totals.released},
          {"deleted", totals.deleted}, {"expired", totals.expired}, {"evicted", totals.evicted}};
}

Json reload_json(const std::optional<Reloader::Last>& last) {
  if (!last) return nullptr;
  return {{"at", control::timestamp(last->at)},
          {"ok", last->outcome.ok()},
          {"problems", control::to_json(last->outcome.problems)},
          {"warnings", control::to_json(last->outcome.warnings)},
          {"needs_restart", last->outcome.needs_restart}};
}

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::starting:
      return "starting";
    case Phase::serving:
      return "serving";
    case Phase::draining:
      return "draining";
  }
  return "";
}

std::string not_ready(const StatusSources& sources) {
  const Phase phase = sources.phase.load();
  if (phase != Phase::serving) return std::string(to_string(phase));
  const std::string trouble = sources.store.statistics().trouble;
  return trouble.empty() ? std::string() : "store: " + trouble;
}

control::Json status_json(const StatusSources& sources) {
  const auto snapshot = sources.snapshots.get();
  const auto loaded_at = sources.reloader.loaded_at();
  const std::string reason = not_ready(sources);
  Json store = {{"path", snapshot->config.store.path.string()}};
  store.update(control::to_json(sources.store.statistics()));
  return {
      {"running", true},
      {"state", to_string(sources.phase.load())},
      {"ready", reason.empty()},
      {"not_ready", reason},
      {"version", pipeline::software_version()},
      {"hostname", snapshot->config.hostname},
      {"pid", ::getpid()},
      {"started_at", control::timestamp(std::chrono::floor<std::chrono::milliseconds>(sources.started_at))},
      {"uptime_s", seconds_since(sources.started_at)},
      {"listeners", listeners_json(sources, *snapshot)},
      {"connections", sources.admission.connections()},
      {"connections_max", snapshot->config.limits.connections_max},
      {"body_octets", sources.bodies.used()},
      {"body_octets_max", sources.bodies.octets_max()},
      {"ledger", ledger_json(sources)},
      {"queue", queue_json(sources)},
      {"quarantine", quarantine_json(sources)},
      {"store", std::move(store)},
      {"cores", cores_json(sources)},
      {"certificates", certificates_json(*snapshot)},
      {"blocklists", blocklists_json(sources.list_health)},
      {"local_lists", local_lists_json(*snapshot)},
      {"manifest", snapshot->config.file.string()},
      {"snapshot", {{"loaded_at", control::timestamp(loaded_at)}, {"age_s", seconds_since(loaded_at)}}},
      {"last_reload", reload_json(sources.reloader.last())}};
}

}  // namespace postern::serve
