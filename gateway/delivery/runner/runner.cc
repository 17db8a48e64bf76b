#include "gateway/delivery/runner/runner.h"

#include <algorithm>
#include <utility>

#include "gateway/delivery/runner/lane.h"

namespace postern::delivery {
namespace {

using log::Level;
using log::Line;

std::uint64_t ms(std::uint32_t seconds) {
  return std::uint64_t{seconds} * 1000;
}

}  // namespace

std::uint64_t utc_ms() {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, reactor::Reactor::current().now_utc().time_since_epoch().count()));
}

Runner::Runner(RunnerServices services, pipeline::Source* source, pipeline::Outbound& outbound, unsigned core,
               unsigned cores)
    : services_(services),
      source_(source),
      outbound_(outbound),
      core_(core),
      cores_(cores),
      report_ids_(static_cast<std::uint8_t>(kReportIdsFrom + core)) {
  configure();
}

Runner::~Runner() = default;

unsigned Runner::core_of(std::string_view destination, unsigned cores) {
  return static_cast<unsigned>(std::hash<std::string_view>()(destination) % cores);
}

void Runner::configure() {
  const config::QueueConfig& queue = services_.snapshots.get()->config.queue;
  scheduler_.set_limits({.lanes_max = std::max<std::size_t>(1, queue.connections_max / cores_),
                         .lanes_per_destination_max = queue.connections_per_destination_max,
                         .retries = {.first_ms = ms(queue.retry_first_s),
                                     .max_ms = ms(queue.retry_max_s),
                                     .factor = queue.retry_factor,
                                     .jitter = queue.retry_jitter}});
}

void Runner::wake() {
  woken_ = true;
  if (nap_) nap_->cancel();
}

void Runner::wake_lane(std::string_view destination) {
  const auto found = lingering_.find(std::string(destination));
  if (found == lingering_.end()) return;
  reactor::Scope* nap = found->second;
  lingering_.erase(found);
  nap->cancel();
}

void Runner::wake_for_lanes() {
  const auto start = scheduler_.next_start();
  if (start && *start <= utc_ms()) wake();
}

void Runner::queued(const std::string& destination, std::uint8_t priority, std::uint64_t due_ms) {
  if (!scheduler_.note(destination, priority, due_ms)) {
    overfull_ = true;
    return;
  }
  if (lingering_.contains(destination)) {
    wake_lane(destination);
  } else {
    wake();
  }
}

void Runner::kick(const std::string& destination) {
  if (!destination.empty()) {
    scheduler_.kick(destination);
    services_.board.resume(destination);
  }
  rescan_ = true;
  wake();
}

void Runner::stop() {
  stopping_ = true;
  wake();
  for (const auto& [destination, nap] : std::exchange(lingering_, {})) nap->cancel();
  for (reactor::Scope* nap : std::exchange(short_of_memory_, {})) nap->cancel();
  books_.cancel();
}

void Runner::cancel() {
  cancelled_ = true;
  stop();
  connections_.cancel();
}

reactor::Task<void> Runner::run() {
  reactor::Reactor& reactor = reactor::Reactor::current();
  if (core_ == 0) books_.spawn(keep_books());
  auto scanned_at = reactor.now();
  while (!stopping_) {
    const auto since_scan = reactor.now() - scanned_at;
    if (rescan_ || since_scan >= (overfull_ ? kRescanFull : kRescan)) {
      rescan_ = overfull_ = false;
      scanned_at = reactor.now();
      configure();
      co_await scan();
    }
    const std::uint64_t now_ms = utc_ms();
    while (!stopping_) {
      auto next = scheduler_.start(now_ms);
      if (!next) break;
      lanes_.spawn(serve_lane(std::move(*next)));
    }
    if (std::exchange(woken_, false)) {
      co_await reactor.yield();
      continue;
    }
    reactor::Deadline until = scanned_at + (overfull_ ? kRescanFull : kRescan);
    if (const auto start = scheduler_.next_start(); start) {
      const std::uint64_t wait = *start > now_ms ? *start - now_ms : 1;
      until = std::min<reactor::Deadline>(until, reactor.now() + std::chrono::milliseconds(wait));
    }
    nap_.emplace();
    (void)co_await reactor.sleep_until(until, &*nap_);
    nap_.reset();
    woken_ = false;
  }
  co_await lanes_.join();
  co_await books_.join();
}

/// Who has something waiting: at start, after changes by hand, and now and then.
reactor::Task<void> Runner::scan() {
  std::string destination;
  std::uint8_t priority = 0;
  for (bool more = true; more && !stopping_;) {
    std::expected<std::vector<storage::QueueHead>, storage::Error> heads;
    auto work = [&] { heads = services_.store.queue_heads(destination, priority, kHeadsPerReadMax); };
    const auto ran = co_await services_.workers.run(std::move(work));
    if (!ran || !heads) {
      services_.logger.write(
          Line(Level::error, "queue_scan_failed")
              .field("problem", ran ? heads.error().text() : std::string("the workers are busy")));
      overfull_ = true;  // sooner again
      co_return;
    }
    for (const storage::QueueHead& head : *heads) {
      if (core_of(head.destination, cores_) != core_) continue;
      if (!scheduler_.note(head.destination, head.priority, head.due_ms)) overfull_ = true;
    }
    more = heads->size() >= kHeadsPerReadMax;
    if (!more) break;
    destination = heads->back().destination;
    priority = static_cast<std::uint8_t>(heads->back().priority + 1);
  }
}

reactor::Task<void> Runner::serve_lane(std::string destination) {
  services_.board.lanes.fetch_add(1, std::memory_order_relaxed);
  {
    Lane lane(*this, destination);
    co_await lane.run();
  }
  services_.board.lanes.fetch_sub(1, std::memory_order_relaxed);
  scheduler_.lane_ended(destination);
  wake();
}

/// At start and every hour: the books, and what nobody will ask for any more.
reactor::Task<void> Runner::keep_books() {
  reactor::Reactor& reactor = reactor::Reactor::current();
  while (!stopping_) {
    co_await check_books();
    const auto slept = co_await reactor.sleep_until(reactor.now() + kBooks, &books_);
    if (!slept) co_return;
  }
}

reactor::Task<void> Runner::check_books() {
  std::expected<storage::QueueAudit, storage::Error> audit;
  std::uint64_t forgotten = 0;
  const std::uint64_t keep_ms = ms(services_.snapshots.get()->config.queue.keep_outcomes_s);
  const auto before =
      reactor::Reactor::current().now_utc() - std::chrono::milliseconds(static_cast<std::int64_t>(keep_ms));
  auto work = [&] {
    audit = services_.store.queue_audit();
    for (;;) {
      const auto pruned = services_.store.prune_outcomes(before, kPrunedPerCommit);
      if (!pruned) break;
      forgotten += *pruned;
      if (*pruned < kPrunedPerCommit) break;
    }
  };
  const auto ran = co_await services_.workers.run(std::move(work));
  if (!ran) co_return;
  if (!audit) {
    services_.logger.write(Line(Level::error, "ledger_check_failed").field("problem", audit.error().text()));
    co_return;
  }
  const bool balanced = audit->balanced();
  services_.board.audited({.at_ms = utc_ms(), .counts = *audit});
  services_.logger.write(Line(balanced ? Level::info : Level::error, "ledger_checked")
                             .field("balanced", balanced)
                             .field("open", audit->ledger_open)
                             .field("entries", audit->entries)
                             .field("recipients", audit->recipients)
                             .field("damaged", audit->damaged)
                             .field("forgotten", forgotten));
}

}  // namespace postern::delivery
