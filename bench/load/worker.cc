#include "bench/load/worker.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "bench/load/misbehaviour.h"
#include "bench/load/visit.h"

namespace postern::load {

using reactor::Reactor;
using reactor::Scope;
using reactor::Task;

namespace {

/// The reactor's timers are up to a millisecond late. A worker that waited for its start and began this little after
/// it was on time: the server is not charged with our clock's tick.
constexpr std::chrono::microseconds kTickTolerance{1500};
constexpr std::chrono::milliseconds kPauseMin{20}, kPauseMax{1000};  // after a connect that failed, doubling
constexpr unsigned kOpeners = 64;  // idle connections of a core that are opened at the same time

/// A core's share of `all`, spread evenly.
unsigned share_of(unsigned all, const Core& core) {
  return all / core.options.cores + (core.index < all % core.options.cores ? 1 : 0);
}

/// Waits for the ticket's start; nothing when the run was ended meanwhile. The ticket it gives says what to count from.
Task<std::optional<Ticket>> at_its_time(Core& core, Ticket ticket) {
  if (ticket.intended <= Clock::now()) co_return ticket;
  const auto slept = co_await Reactor::current().sleep_until(ticket.intended, &core.scope);
  if (!slept) co_return std::nullopt;
  const Clock::time_point now = Clock::now();
  if (now - ticket.intended <= kTickTolerance) ticket.intended = now;
  co_return ticket;
}

void count(Tally& tally, Outcome outcome) {
  switch (outcome) {
    case Outcome::accepted:
      break;  // counted where its latency is known
    case Outcome::refused:
      tally.refused.add();
      break;
    case Outcome::failed:
      tally.failed.add();
      break;
    case Outcome::unfinished:
      tally.unfinished.add();
      break;
  }
}

/// One of the connections of the run: again and again a new one.
class Worker {
 public:
  Worker(Core& core, std::uint64_t number) : core_(core), number_(number) {}

  Task<void> run() {
    while (auto ticket = core_.schedule.next(Clock::now())) {
      core_.tally.taken.add();
      const auto timely = co_await at_its_time(core_, *ticket);
      if (!timely) {
        core_.tally.unfinished.add();
        break;
      }
      co_await handle(*timely);
      if (core_.scope.cancelled()) break;
    }
    co_await end_visit();
  }

 private:
  Task<void> handle(Ticket ticket) {
    if (visit_ && !visit_->usable()) {
      co_await end_visit();
    }
    if (!visit_) {
      const std::uint64_t connection = core_.connections_begun++ * core_.options.cores + core_.index;
      const auto misbehaviour = misbehaviour_of(core_.options, connection);
      if (misbehaviour) {
        co_await misbehave(core_, *misbehaviour, number_, ticket);
        co_return;
      }
      const auto opened = co_await open();
      if (!opened) {
        count(core_.tally, opened.error());
        co_await end_visit();
        if (opened.error() == Outcome::failed) {
          co_await pause();
        }
        co_return;
      }
    }
    pause_ = kPauseMin;
    const Outcome outcome = co_await visit_->deliver(ticket);
    count(core_.tally, outcome);
    ++delivered_;
    const unsigned limit = core_.options.messages_per_connection;
    if (limit != 0 && delivered_ >= limit) {
      co_await end_visit();
    }
  }

  Task<std::expected<void, Outcome>> open() {
    delivered_ = 0;
    visit_ = std::make_unique<Visit>(core_, number_, true);
    auto opened = co_await visit_->open(session_);
    co_return opened;
  }

  Task<void> end_visit() {
    if (!visit_) co_return;
    if (TlsSession session = visit_->take_session()) session_ = std::move(session);
    co_await visit_->leave();
    visit_.reset();
  }

  /// A server that is not there is not asked a hundred thousand times a second.
  Task<void> pause() {
    const auto until = Clock::now() + pause_;
    pause_ = std::min(2 * pause_, kPauseMax);
    (void)co_await Reactor::current().sleep_until(until, &core_.scope);  // a cancelled scope is seen by run()
  }

  Core& core_;
  const std::uint64_t number_;
  std::unique_ptr<Visit> visit_;
  TlsSession session_;
  unsigned delivered_ = 0;
  std::chrono::milliseconds pause_ = kPauseMin;
};

Task<void> work(Core& core, unsigned local, unsigned locals) {
  const auto delay = core.options.ramp * local / locals;
  if (delay.count() > 0) {
    const auto slept = co_await Reactor::current().sleep_until(core.start + delay, &core.scope);
    if (!slept) co_return;
  }
  Worker worker(core, std::uint64_t{local} * core.options.cores + core.index);
  co_await worker.run();
}

using Visits = std::vector<std::unique_ptr<Visit>>;

/// Opens every kOpeners-th of the idle connections.
Task<void> open_idle(Core& core, Visits& visits, std::size_t first) {
  const TlsSession none;
  for (std::size_t i = first; i < visits.size() && !core.scope.cancelled(); i += kOpeners) {
    const std::uint64_t number = core.options.connections + i * core.options.cores + core.index;
    visits[i] = std::make_unique<Visit>(core, number, false);
    const auto opened = co_await visits[i]->open(none);
    if (opened) ++core.tally.idle_held;
  }
}

Task<void> close_idle(Visits& visits) {
  for (auto& visit : visits) {
    if (!visit) continue;
    co_await visit->close(true);  // without a word: thousands of farewells would only take time
  }
}

/// Ends what is still under way long after the end.
Task<void> watch(Core& core, Scope& own) {
  const auto end = core.start + *core.options.duration + core.options.timeout;
  const auto slept = co_await Reactor::current().sleep_until(end, &own);
  if (slept) core.scope.cancel();
}

}  // namespace

Task<void> run_core(Core& core, const std::function<Clock::time_point()>& ready) {
  Scope openers, workers, watcher;
  Visits idle(share_of(core.options.idle_connections, core));
  for (std::size_t i = 0; i < std::min<std::size_t>(kOpeners, idle.size()); ++i)
    openers.spawn(open_idle(core, idle, i));
  co_await openers.join();

  core.start = ready();
  const Options& options = core.options;
  const auto until = options.duration ? core.start + *options.duration : Clock::time_point::max();
  const ScheduleOptions schedule{.start = core.start,
                                 .until = until,
                                 .rate = options.rate,
                                 .messages = options.messages,
                                 .core = core.index,
                                 .cores = options.cores};
  core.schedule = Schedule(schedule);
  if (options.duration) watcher.spawn(watch(core, watcher));
  const unsigned connections = share_of(options.connections, core);
  for (unsigned i = 0; i < connections; ++i) {
    workers.spawn(work(core, i, connections));
    if (i % kOpeners == kOpeners - 1) {
      co_await Reactor::current().yield();
    }
  }
  co_await workers.join();
  core.tally.not_started = core.schedule.not_started(Clock::now());
  watcher.cancel();
  co_await watcher.join();

  for (const auto& visit : idle)
    if (visit && visit->lost()) ++core.tally.idle_lost;
  co_await close_idle(idle);
}

}  // namespace postern::load
