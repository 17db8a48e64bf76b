#include "gateway/serve/telemetry.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <utility>

#include "gateway/control/json.h"
#include "gateway/pipeline/record.h"

namespace postern::serve {
namespace {

struct ReactorFigure {
  std::string_view name, help, type;
  std::uint64_t reactor::ReactorCounters::* member;
  double scale = 1;
};

constexpr double kNanosecond = 1e-9;

constexpr ReactorFigure kReactorFigures[] = {
    {"postern_reactor_turns_total", "Turns of the loop.", "counter", &reactor::ReactorCounters::turns},
    {"postern_reactor_completions_total", "Completions taken from the ring.", "counter",
     &reactor::ReactorCounters::completions},
    {"postern_reactor_submissions_total", "Operations handed to the ring.", "counter",
     &reactor::ReactorCounters::submissions},
    {"postern_reactor_overflows_total", "Completions that did not fit the queue; growth is a fault.",
     "counter", &reactor::ReactorCounters::overflows},
    {"postern_reactor_busy_seconds_total", "Time spent working.", "counter",
     &reactor::ReactorCounters::busy_ns, kNanosecond},
    {"postern_reactor_idle_seconds_total", "Time spent waiting for something to do.", "counter",
     &reactor::ReactorCounters::idle_ns, kNanosecond},
    {"postern_reactor_longest_turn_seconds", "The longest turn so far.", "gauge",
     &reactor::ReactorCounters::longest_turn_ns, kNanosecond},
    {"postern_reactor_buffers_in_use", "Receive buffers held.", "gauge",
     &reactor::ReactorCounters::buffers_in_use},
    {"postern_reactor_buffers_exhausted_total", "Receives that found no buffer and were tried again.",
     "counter", &reactor::ReactorCounters::buffers_exhausted},
    {"postern_reactor_task_frames", "Coroutine frames alive.", "gauge",
     &reactor::ReactorCounters::task_frames},
    {"postern_reactor_timers", "Timers set.", "gauge", &reactor::ReactorCounters::timers},
    {"postern_reactor_operations_in_flight", "Operations the kernel works on.", "gauge",
     &reactor::ReactorCounters::operations_in_flight},
    {"postern_reactor_accept_pauses_total",
     "Times that no client could be accepted for want of descriptors or memory.", "counter",
     &reactor::ReactorCounters::accept_pauses},
    {"postern_reactor_remote_calls_total", "Calls posted from other threads.", "counter",
     &reactor::ReactorCounters::remote_calls},
};

struct StoreFigure {
  std::string_view name, help, type;
  double (*read)(const storage::Statistics&);
};

constexpr StoreFigure kStoreFigures[] = {
    {"postern_store_queued_transactions", "Messages that wait for the commit thread.", "gauge",
     [](const storage::Statistics& s) { return static_cast<double>(s.queued_transactions); }},
    {"postern_store_queued_octets", "Octets that wait for the commit thread.", "gauge",
     [](const storage::Statistics& s) { return static_cast<double>(s.queued_octets); }},
    {"postern_store_commits_total", "Synced writes.", "counter",
     [](const storage::Statistics& s) { return static_cast<double>(s.commits); }},
    {"postern_store_committed_transactions_total", "Messages made durable.", "counter",
     [](const storage::Statistics& s) { return static_cast<double>(s.committed_transactions); }},
    {"postern_store_committed_octets_total", "Octets made durable.", "counter",
     [](const storage::Statistics& s) { return static_cast<double>(s.committed_octets); }},
    {"postern_store_failed_commits_total", "Synced writes that failed; their messages were deferred.",
     "counter", [](const storage::Statistics& s) { return static_cast<double>(s.failed_commits); }},
    {"postern_store_sync_seconds_total", "Time spent in synced writes.", "counter",
     [](const storage::Statistics& s) { return static_cast<double>(s.sync_microseconds) * 1e-6; }},
    {"postern_store_refusals", "Refused messages whose decision is kept.", "gauge",
     [](const storage::Statistics& s) { return static_cast<double>(s.refusals_kept); }},
    {"postern_store_refusals_octets", "Octets of these.", "gauge",
     [](const storage::Statistics& s) { return static_cast<double>(s.refusals_octets); }},
    {"postern_store_refusals_dropped_total", "Refused messages whose decision could not be kept or counted.",
     "counter", [](const storage::Statistics& s) { return static_cast<double>(s.refusals_dropped); }},
    {"postern_dmarc_rows_overflowed_total", "Messages counted in the overflow row of their day.", "counter",
     [](const storage::Statistics& s) { return static_cast<double>(s.counts_overflowed); }},
    {"postern_store_refused_full_total", "Messages deferred because the commit queue was full.", "counter",
     [](const storage::Statistics& s) { return static_cast<double>(s.refused_full); }},
    {"postern_store_stalled", "1 while RocksDB asks for patience.", "gauge",
     [](const storage::Statistics& s) { return s.stalled ? 1.0 : 0.0; }},
    {"postern_store_disk_octets", "Octets of the store's files.", "gauge",
     [](const storage::Statistics& s) { return static_cast<double>(s.disk_octets); }},
    {"postern_store_free_octets", "Octets free on the store's file system.", "gauge",
     [](const storage::Statistics& s) { return static_cast<double>(s.free_octets); }},
    {"postern_store_healthy", "0 while nothing new is taken.", "gauge",
     [](const storage::Statistics& s) { return s.trouble.empty() ? 1.0 : 0.0; }},
};

struct LedgerFigure {
  std::string_view outcome;
  std::uint64_t storage::Ledger::* member;
};

constexpr LedgerFigure kLedgerFigures[] = {
    {"delivered", &storage::Ledger::delivered}, {"relayed", &storage::Ledger::relayed},
    {"bounced", &storage::Ledger::bounced},     {"quarantined", &storage::Ledger::quarantined},
    {"expired", &storage::Ledger::expired},     {"dropped", &storage::Ledger::dropped},
    {"discarded", &storage::Ledger::discarded},
};

constexpr std::pair<std::string_view, std::uint64_t storage::QuarantineTotals::*> kQuarantineEnds[] = {
    {"released", &storage::QuarantineTotals::released},
    {"deleted", &storage::QuarantineTotals::deleted},
    {"expired", &storage::QuarantineTotals::expired},
    {"evicted", &storage::QuarantineTotals::evicted},
};

double resident_octets() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return std::numeric_limits<double>::quiet_NaN();
  double count = -3;  // ".", ".." and the folder's own
  while (::readdir(folder) != nullptr) ++count;
  (void)::closedir(folder);
  return count;
}

double descriptors_max() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<double>(limit.rlim_cur) : 0;
}

}  // namespace

void register_reactors(metrics::Registry& registry, const std::vector<std::unique_ptr<Core>>& cores,
                       const BusyRatios& busy) {
  for (std::size_t i = 0; i < cores.size(); ++i)
    registry.callback("postern_reactor_busy_ratio", "Share of the last seconds that the core did not wait.",
                      "gauge", {{"core", std::to_string(cores[i]->index())}},
                      [&busy, i] { return busy.ratio(i); });
  for (const ReactorFigure& figure : kReactorFigures)
    for (const auto& core : cores)
      registry.callback(figure.name, figure.help, figure.type, {{"core", std::to_string(core->index())}},
                        [&figure, core = core.get()] {
                          return static_cast<double>(core->counters().*figure.member) * figure.scale;
                        });
}

void register_store(metrics::Registry& registry, const storage::Store& store) {
  for (const StoreFigure& figure : kStoreFigures)
    registry.callback(figure.name, figure.help, figure.type, {},
                      [&figure, &store] { return figure.read(store.statistics()); });
  registry.callback("postern_ledger_opened_total",
                    "Recipients answered for with 250, over the life of the store.", "counter", {},
                    [&store] { return static_cast<double>(store.ledger().opened); });
  for (const LedgerFigure& figure : kLedgerFigures)
    registry.callback("postern_ledger_closed_total", "Recipients whose mail has come to its end, by outcome.",
                      "counter", {{"outcome", std::string(figure.outcome)}},
                      [&figure, &store] { return static_cast<double>(store.ledger().*figure.member); });
  registry.callback("postern_ledger_open", "Recipients whose mail has not come to its end.", "gauge", {},
                    [&store] { return static_cast<double>(store.ledger().open()); });
  registry.callback("postern_ledger_imbalance",
                    "Recipients that are neither closed nor waited for; anything but 0 is an alarm.", "gauge",
                    {}, [&store] {
                      const auto [ledger, queue] = store.books();
                      return static_cast<double>(control::imbalance(ledger, queue.recipients));
                    });
  registry.callback("postern_queue_entries", "Entries of the outbound queue.", "gauge", {},
                    [&store] { return static_cast<double>(store.queue_totals().entries); });
  registry.callback("postern_queue_recipients", "Recipients who wait in the outbound queue.", "gauge", {},
                    [&store] { return static_cast<double>(store.queue_totals().recipients); });
  registry.callback("postern_queue_octets", "Octets of the messages of the outbound queue.", "gauge", {},
                    [&store] { return static_cast<double>(store.queue_totals().octets); });
  registry.callback("postern_quarantine_entries", "Copies of messages in the quarantine.", "gauge", {},
                    [&store] { return static_cast<double>(store.quarantine_totals().entries); });
  registry.callback("postern_quarantine_octets", "Octets of these.", "gauge", {},
                    [&store] { return static_cast<double>(store.quarantine_totals().octets); });
  for (const auto& [end, member] : kQuarantineEnds)
    registry.callback("postern_quarantine_left_total", "Copies that have left the quarantine, by how.",
                      "counter", {{"end", std::string(end)}},
                      [member, &store] { return static_cast<double>(store.quarantine_totals().*member); });
}

void register_process(metrics::Registry& registry, std::chrono::sys_seconds started_at) {
  registry.callback("postern_build_info", "Always 1; the labels say what runs.", "gauge",
                    {{"version", std::string(pipeline::software_version())}}, [] { return 1.0; });
  registry.callback("process_start_time_seconds", "Start of the process, seconds since 1970.", "gauge", {},
                    [started_at] { return static_cast<double>(started_at.time_since_epoch().count()); });
  registry.callback("process_cpu_seconds_total", "CPU time used, user and system.", "counter", {},
                    cpu_seconds);
  registry.callback("process_resident_memory_bytes", "Memory in use.", "gauge", {}, resident_octets);
  registry.callback("process_open_fds", "File descriptors open.", "gauge", {}, open_descriptors);
  registry.callback("process_max_fds", "File descriptors allowed.", "gauge", {}, descriptors_max);
}

void register_load(metrics::Registry& registry, const smtp::BodyBudget& bodies,
                   const reactor::Executor& workers, const log::Logger& logger) {
  registry.callback("postern_body_octets", "Octets of message bodies that sessions hold.", "gauge", {},
                    [&bodies] { return static_cast<double>(bodies.used()); });
  registry.callback("postern_body_octets_max", "Limit of the same.", "gauge", {},
                    [&bodies] { return static_cast<double>(bodies.octets_max()); });
  registry.callback("postern_workers_queued", "Jobs that wait for a worker thread.", "gauge", {},
                    [&workers] { return static_cast<double>(workers.queued()); });
  registry.callback("postern_log_dropped_total",
                    "Log lines dropped because they could not be written in time.", "counter", {},
                    [&logger] { return static_cast<double>(logger.dropped()); });
}

void register_certificates(metrics::Registry& registry, const pipeline::SnapshotHolder& snapshots) {
  const auto snapshot = snapshots.get();
  if (!snapshot->tls) return;
  for (const tls::CertificateInfo& certificate : snapshot->tls->certificates()) {
    const auto left = [file = certificate.file, &snapshots] {
      const auto now = snapshots.get();
      if (now->tls)
        for (const tls::CertificateInfo& one : now->tls->certificates())
          if (one.file == file)
            return std::chrono::duration<double>(one.not_after - std::chrono::system_clock::now()).count();
      return std::numeric_limits<double>::quiet_NaN();  // no longer in use
    };
    registry.callback("postern_tls_certificate_expiry_seconds",
                      "Time until the certificate expires; negative when it has.", "gauge",
                      {{"file", certificate.file.string()}}, left);
  }
}

void BusyRatios::sample(const std::vector<std::unique_ptr<Core>>& cores) {
  const std::lock_guard guard(mutex_);
  for (std::size_t i = 0; i < cores.size() && i < last_.size(); ++i) {
    const reactor::ReactorCounters now = cores[i]->counters();
    const double busy = static_cast<double>(now.busy_ns - last_[i].busy_ns);
    const double idle = static_cast<double>(now.idle_ns - last_[i].idle_ns);
    ratios_[i] = busy + idle > 0 ? busy / (busy + idle) : 0;
    last_[i] = {.busy_ns = now.busy_ns, .idle_ns = now.idle_ns};
  }
}

double BusyRatios::ratio(std::size_t index) const {
  const std::lock_guard guard(mutex_);
  return ratios_[index];
}

std::vector<double> BusyRatios::ratios() const {
  const std::lock_guard guard(mutex_);
  return ratios_;
}

}  // namespace postern::serve
