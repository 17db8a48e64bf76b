#include "gateway/pipeline/greylist_keeper.h"

#include <expected>
#include <memory>
#include <utility>

#include "gateway/pipeline/policy.h"

namespace postern::pipeline {

reactor::Task<void> GreylistKeeper::run(reactor::Scope& scope) {
  unsigned intervals = 0;
  while (!scope.cancelled()) {
    const std::shared_ptr<const Snapshot> snapshot = services_.snapshots.get();
    const bool enabled = snapshot->config.filter.greylist.enabled;
    if (enabled && !loaded_) {
      co_await load();
    }
    co_await flush();
    if (enabled && ++intervals % kIntervalsPerSweep == 0) {
      const Greylist::Rules rules = greylist_rules(snapshot->config.filter.greylist);
      const auto now = reactor::Reactor::current().now_utc();
      auto work = [this, rules, now] { services_.greylist.sweep(rules, now); };
      const auto done = co_await services_.workers.run(std::move(work));
      if (!done) --intervals;  // the workers have enough to do: next time
    }
    (void)co_await reactor::Reactor::current().sleep_until(reactor::Clock::now() + kInterval, &scope);
  }
  co_await flush();
}

reactor::Task<void> GreylistKeeper::load() {
  const std::shared_ptr<const Snapshot> snapshot = services_.snapshots.get();
  const Greylist::Rules rules = greylist_rules(snapshot->config.filter.greylist);
  const auto now = reactor::Reactor::current().now_utc();
  std::expected<storage::Pairs, storage::Error> pairs;
  auto work = [&] {
    pairs = services_.store.greylist();
    if (pairs) services_.greylist.load(*pairs, rules, now);
  };
  const auto done = co_await services_.workers.run(std::move(work));
  if (!done) co_return;
  loaded_ = true;  // without it, everybody waits once more: no reason not to serve
  if (!pairs)
    services_.logger.write(
        log::Line(log::Level::error, "greylist_unreadable").field("problem", pairs.error().text()));
}

reactor::Task<void> GreylistKeeper::flush() {
  const storage::Pairs changes = services_.greylist.take_changes();
  if (changes.empty()) co_return;
  std::expected<void, storage::Error> kept;
  auto work = [&] { kept = services_.store.put_greylist(changes); };
  const auto done = co_await services_.workers.run(std::move(work));
  if (done && kept) {
    failing_ = false;
    co_return;
  }
  services_.greylist.give_back(changes);
  if (!std::exchange(failing_, true) && !kept)
    services_.logger.write(
        log::Line(log::Level::warning, "greylist_not_stored").field("problem", kept.error().text()));
}

}  // namespace postern::pipeline
