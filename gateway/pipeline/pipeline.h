#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "filters/judge.h"
#include "gateway/classifier/classifier.h"
#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/answers.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/executor.h"
#include "gateway/smtp/server/handler.h"
#include "storage/store.h"

namespace postern::pipeline {

/// Who hands on what is in the queue. Any core's thread.
class Outbound {
 public:
  virtual ~Outbound() = default;
  /// An entry for this destination is in the store, due then.
  virtual void queued(const std::string& destination, std::uint8_t priority, std::uint64_t due_ms) = 0;
};

/// What the pipelines of all cores share. Thread-safe; outlives them.
struct Services {
  storage::Store& store;
  reactor::Executor& workers;
  log::Logger& logger;
  metrics::Registry& metrics;
  SnapshotHolder& snapshots;
  Outbound* outbound = nullptr;       ///< null: nobody hands on what is relayed, and it waits in the store
  ListHealth* list_health = nullptr;  ///< null: every DNS list is believed
  Greylist* greylist = nullptr;       ///< null: nobody has to wait
  classifier::Classifier* classifier =
      nullptr;  ///< null: none, which is as good as one that has learned nothing
};

/// The house of one core: from connect to the durable 250. Its core's thread only.
class Pipeline final : public smtp::House {
 public:
  /// `source`: of this core, outlives the pipeline; null: what only it could know is answered `refused`.
  Pipeline(Services services, unsigned core, Source* source = nullptr);
  ~Pipeline() override;

  bool proxy_expected(std::size_t listener, const filters::Ip& peer) const override;
  smtp::Terms terms(std::size_t listener, const filters::Ip& client) const override;
  std::unique_ptr<smtp::Visit> visit(const smtp::Arrival& arrival) override;

  /// Joins the questions that visits have left under way. Behind the end of the source, which ends them.
  reactor::Task<void> close();

  /// Judges a message as if it had arrived so, stage by stage (connect, mail, each recipient, data), without
  /// delivering anything: `postern scan`. The facts that were gathered come back with the verdict.
  struct Scan {
    filters::Verdict verdict;
    filters::Facts facts;
    filters::Stage decided_at = filters::Stage::data;  ///< the stage whose verdict this is
  };
  reactor::Task<Scan> scan(filters::Envelope envelope, std::string message);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// A scan as JSON for the command line and the adapter: action, score, required, reason, refusal?, findings,
/// incomplete, facts.
std::string to_json(const Pipeline::Scan& scan);

}  // namespace postern::pipeline
