#pragma once

#include "gateway/pipeline/answers.h"
#include "gateway/pipeline/journal.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/pipeline/policy.h"
#include "gateway/reactor/scope.h"
#include "storage/message_id.h"

namespace postern::pipeline {

/// What the visits of one core share. That core's thread only; outlives them.
struct Core {
  Core(Services all, unsigned index)
      : services(all), ids(static_cast<std::uint8_t>(index)), journal(all.logger, all.metrics) {}

  Services services;
  storage::MessageIdSource ids;
  Journal journal;
  Source* source = nullptr;  ///< who answers what the local lists do not know; null: nobody
  reactor::Scope asking;     ///< of every question under way for a visit
};

/// The time since then.
inline std::chrono::microseconds since(reactor::Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(reactor::Clock::now() - start);
}

/// How answers are got under this snapshot.
inline Answers answers_of(const Core& core, const Snapshot& snapshot) {
  Answers answers(snapshot.lists, core.source, std::chrono::milliseconds(snapshot.config.dns.timeout_ms),
                  std::chrono::milliseconds(snapshot.config.dns.budget_ms));
  answers.with(core.services.list_health);
  answers.with(core.services.greylist, greylist_rules(snapshot.config.filter.greylist));
  return answers;
}

}  // namespace postern::pipeline
