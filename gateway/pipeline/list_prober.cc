#include "gateway/pipeline/list_prober.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace postern::pipeline {
namespace {

/// A trial asks once; another round would be for what the first brought, and there is nothing that it could lead to.
constexpr int kRoundsMax = 2;

}  // namespace

reactor::Task<void> ListProber::run(reactor::Scope& scope) {
  std::shared_ptr<const Snapshot> seen;
  while (!scope.cancelled()) {
    const std::shared_ptr<const Snapshot> snapshot = services_.snapshots.get();
    if (snapshot != seen) tidy(*snapshot);
    seen = snapshot;
    for (const filters::Blocklist& list : snapshot->policy.blocklists) {
      if (scope.cancelled()) break;
      if (!is_due(list, *snapshot)) continue;
      co_await probe(list, *snapshot);
    }
    (void)co_await reactor::Reactor::current().sleep_until(reactor::Clock::now() + kTick, &scope);
  }
}

bool ListProber::is_due(const filters::Blocklist& list, const Snapshot& snapshot) const {
  if (!snapshot.policy.blocklists_probed) return false;
  const auto states = services_.health.all();
  const auto found = states->find(list.zone);
  if (found == states->end()) return true;
  const std::chrono::milliseconds interval = std::chrono::seconds(snapshot.config.filter.blocklist_probe_s);
  const auto wait = found->second.benched ? interval / kBenchedFactor : interval;
  return reactor::Reactor::current().now_utc() - found->second.tried_at >= wait;
}

reactor::Task<void> ListProber::probe(const filters::Blocklist& list, const Snapshot& snapshot) {
  const std::chrono::milliseconds timeout(snapshot.config.dns.timeout_ms);
  const Answers answers(snapshot.lists, &services_.source, timeout, timeout);
  filters::Facts facts;
  for (int round = 0; round < kRoundsMax; ++round) {
    if (const auto trial = filters::try_list(list, facts)) {
      note(list, *trial);
      co_return;
    }
    co_await answers.answer_all(facts, answers.end());
  }
  if (const auto trial = filters::try_list(list, facts)) note(list, *trial);
}

void ListProber::note(const filters::Blocklist& list, const filters::ListTrial& trial) {
  services_.metrics
      .counter("postern_blocklist_probes_total", "Trials of DNS lists by their test points.",
               {{"zone", list.zone}, {"result", std::string(to_string(trial.outcome))}})
      .add();
  const bool changed = services_.health.note(list.zone, trial, reactor::Reactor::current().now_utc());
  const bool benched = !services_.health.answer(list.zone).records.empty();
  services_.metrics
      .gauge("postern_blocklist_benched", "1 while the list is not believed and not asked.",
             {{"zone", list.zone}})
      .set(benched ? 1 : 0);
  if (!changed) return;
  services_.logger.write(log::Line(benched ? log::Level::warning : log::Level::info,
                                   benched ? "blocklist_benched" : "blocklist_returned")
                             .field("zone", list.zone)
                             .field("reason", trial.reason));
}

void ListProber::tidy(const Snapshot& snapshot) {
  services_.health.keep([&snapshot](std::string_view zone) {
    return std::ranges::find(snapshot.policy.blocklists, zone, &filters::Blocklist::zone) !=
           snapshot.policy.blocklists.end();
  });
}

}  // namespace postern::pipeline
