#include "gateway/serve/reloader.h"

#include <algorithm>
#include <utility>

#include "gateway/serve/notify.h"

namespace postern::serve {
namespace {

std::chrono::sys_time<std::chrono::milliseconds> wall_clock() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// What a socket is opened for. The networks that may use PROXY and XCLIENT, and implicit TLS, follow a reload.
bool same_sockets(const std::vector<config::ListenerConfig>& a,
                  const std::vector<config::ListenerConfig>& b) {
  return a.size() == b.size() && std::ranges::all_of(a, [&](const config::ListenerConfig& listener) {
           const auto found = std::ranges::find(b, listener.address, &config::ListenerConfig::address);
           return found != b.end() && found->service == listener.service;
         });
}

}  // namespace

std::vector<std::string> restart_keys(const config::Config& running, const config::Config& next) {
  std::vector<std::string> keys;
  const auto compare = [&keys](const char* key, const auto& a, const auto& b) {
    if (!(a == b)) keys.emplace_back(key);
  };
  compare("cores", running.cores, next.cores);
  compare("pin_cores", running.pin_cores, next.pin_cores);
  compare("spread_evenly", running.spread_evenly, next.spread_evenly);
  compare("workers", running.workers, next.workers);
  compare("store.path", running.store.path, next.store.path);
  compare("store.queue_octets_max", running.store.queue_octets_max, next.store.queue_octets_max);
  compare("store.queue_transactions_max", running.store.queue_transactions_max,
          next.store.queue_transactions_max);
  compare("store.gather_us", running.store.gather_us, next.store.gather_us);
  compare("store.memtable_octets", running.store.memtable_octets, next.store.memtable_octets);
  compare("store.block_cache_octets", running.store.block_cache_octets, next.store.block_cache_octets);
  compare("store.free_octets_min", running.store.free_octets_min, next.store.free_octets_min);
  compare("store.refusals_octets_max", running.store.refusals_octets_max, next.store.refusals_octets_max);
  compare("store.refusals_days_max", running.store.refusals_days_max, next.store.refusals_days_max);
  compare("store.quarantine_octets_max", running.store.quarantine_octets_max,
          next.store.quarantine_octets_max);
  compare("store.quarantine_days_max", running.store.quarantine_days_max, next.store.quarantine_days_max);
  compare("store.dmarc_days_max", running.store.dmarc_days_max, next.store.dmarc_days_max);
  compare("store.dmarc_rows_per_day_max", running.store.dmarc_rows_per_day_max,
          next.store.dmarc_rows_per_day_max);
  compare("control.socket", running.control.socket, next.control.socket);
  compare("metrics.listen", running.metrics.listen, next.metrics.listen);
  compare("dns.resolvers", running.dns.resolvers, next.dns.resolvers);
  compare("dns.dnssec", running.dns.dnssec, next.dns.dnssec);
  compare("log.file", running.log.file, next.log.file);
  compare("log.level", running.log.level, next.log.level);
  if (!same_sockets(running.listeners, next.listeners)) keys.emplace_back("listener");
  compare("limits.body_memory_octets_max", running.limits.body_memory_octets_max,
          next.limits.body_memory_octets_max);
  compare("limits.handshakes_per_turn_max", running.limits.handshakes_per_turn_max,
          next.limits.handshakes_per_turn_max);
  return keys;
}

Reloader::Reloader(Services services)
    : services_(std::move(services)),
      started_(services_.snapshots.get()->config),
      succeeded_(services_.metrics.counter("postern_reloads_total", "Reloads of the manifest, by result.",
                                           {{"result", "ok"}})),
      failed_(services_.metrics.counter("postern_reloads_total", "Reloads of the manifest, by result.",
                                        {{"result", "failed"}})),
      loaded_at_(wall_clock()) {}

control::ReloadOutcome Reloader::reload() {
  const std::lock_guard only(one_at_a_time_);
  notify_reloading();
  control::ReloadOutcome outcome = attempt();
  notify("READY=1\n");
  (outcome.ok() ? succeeded_ : failed_).add();
  log(outcome);
  const std::lock_guard guard(mutex_);
  last_ = Last{.at = wall_clock(), .outcome = outcome};
  if (outcome.ok()) loaded_at_ = last_->at;
  return outcome;
}

control::ReloadOutcome Reloader::attempt() {
  config::Loaded loaded = config::load(started_.file);
  control::ReloadOutcome outcome{.problems = std::move(loaded.problems),
                                 .warnings = std::move(loaded.warnings)};
  if (!outcome.ok()) return outcome;
  outcome.needs_restart = restart_keys(started_, loaded.config);
  // A socket goes on speaking the protocol it was opened for.
  for (config::ListenerConfig& listener : loaded.config.listeners) {
    const auto opened =
        std::ranges::find(started_.listeners, listener.address, &config::ListenerConfig::address);
    if (opened != started_.listeners.end()) listener.service = opened->service;
  }
  std::vector<std::string> warnings;
  auto snapshot = pipeline::make_snapshot(loaded.config, services_.tickets, &warnings);
  if (!snapshot) {
    outcome.problems.push_back({.file = started_.file, .what = std::move(snapshot.error())});
    return outcome;
  }
  for (std::string& warning : warnings)
    outcome.warnings.push_back({.file = started_.file, .what = std::move(warning)});
  services_.snapshots.set(*snapshot);
  services_.applied(**snapshot);
  return outcome;
}

void Reloader::log(const control::ReloadOutcome& outcome) const {
  using log::Level;
  using log::Line;
  for (const config::Problem& problem : outcome.problems)
    services_.logger.write(Line(Level::error, "config_problem").field("problem", problem.text()));
  if (!outcome.ok()) {
    services_.logger.write(Line(Level::error, "reload_failed")
                               .field("manifest", started_.file.string())
                               .field("problems", outcome.problems.size()));
    return;
  }
  for (const config::Problem& warning : outcome.warnings)
    services_.logger.write(Line(Level::warning, "config_warning").field("problem", warning.text()));
  if (!outcome.needs_restart.empty())
    services_.logger.write(Line(Level::warning, "restart_needed").field("keys", outcome.needs_restart));
  services_.logger.write(Line(Level::info, "reloaded").field("manifest", started_.file.string()));
}

std::optional<Reloader::Last> Reloader::last() const {
  const std::lock_guard guard(mutex_);
  return last_;
}

std::chrono::sys_time<std::chrono::milliseconds> Reloader::loaded_at() const {
  const std::lock_guard guard(mutex_);
  return loaded_at_;
}

}  // namespace postern::serve
