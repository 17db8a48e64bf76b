#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/delivery/runner/board.h"
#include "gateway/delivery/runner/scheduler.h"
#include "gateway/delivery/runner/settle.h"
#include "gateway/log/log.h"
#include "gateway/pipeline/answers.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/executor.h"
#include "gateway/reactor/scope.h"
#include "storage/message_id.h"
#include "storage/store.h"

namespace postern::delivery {

/// What the runners of all cores share. Thread-safe; outlives them.
struct RunnerServices {
  storage::Store& store;
  reactor::Executor& workers;
  log::Logger& logger;
  pipeline::SnapshotHolder& snapshots;
  Board& board;
};

/// Hands on what is in the queue for the destinations of one core. Its core's thread only.
class Runner {
 public:
  static constexpr std::size_t kHeadsPerReadMax = 1000;
  static constexpr std::chrono::seconds kRescan{300};        ///< a safety net: the whole list of destinations
  static constexpr std::chrono::seconds kRescanFull{15};     ///< when there were more than are kept in memory
  static constexpr std::chrono::hours kBooks{1};             ///< the ledger against the queue
  static constexpr std::chrono::milliseconds kLinger{1000};  ///< a connection waits so long for more
  static constexpr std::chrono::seconds kStorePatience{1};   ///< between tries to write an outcome
  static constexpr std::size_t kPrunedPerCommit = 500;
  /// Ids of reports rise by themselves, beside those of the mail that the core accepts.
  static constexpr unsigned kReportIdsFrom = 128;

  /// `source`: of this core, outlives it; null: no DNS. `cores`: destinations are shared out among so many.
  /// `outbound`: hears of reports that are to be sent on.
  Runner(RunnerServices services, pipeline::Source* source, pipeline::Outbound& outbound, unsigned core,
         unsigned cores);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Runs until stop() and all lanes have ended, or cancel().
  reactor::Task<void> run();
  /// No new message is begun; those that are on their way are finished.
  void stop();
  /// Ends connections as well; what was on its way stays in the queue.
  void cancel();

  /// An entry for this destination of this core is in the store, due then.
  void queued(const std::string& destination, std::uint8_t priority, std::uint64_t due_ms);
  /// Tries a destination that pauses at once; empty: all of them, and looks at the store anew.
  void kick(const std::string& destination);

  /// Which core has a destination.
  static unsigned core_of(std::string_view destination, unsigned cores);

 private:
  friend class Lane;

  reactor::Task<void> serve_lane(std::string destination);
  reactor::Task<void> scan();
  reactor::Task<void> keep_books();
  reactor::Task<void> check_books();
  void configure();
  void wake();
  void wake_lane(std::string_view destination);
  /// A destination has been allowed another lane, or there is more for it: the main loop sleeps until it hears.
  void wake_for_lanes();
  double chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  RunnerServices services_;
  pipeline::Source* source_;
  pipeline::Outbound& outbound_;
  const unsigned core_, cores_;
  Scheduler scheduler_{Scheduler::Limits{}};
  storage::MessageIdSource report_ids_;
  std::mt19937_64 random_{std::random_device{}()};
  reactor::Scope lanes_, connections_, books_;
  std::optional<reactor::Scope> nap_;  ///< the main loop's sleep; cancelled by wake()
  bool woken_ = false;
  bool stopping_ = false, cancelled_ = false;
  bool overfull_ = false;  ///< there are destinations that are not in memory
  bool rescan_ = true;
  /// Lanes that wait for more to do, by destination.
  std::unordered_multimap<std::string, reactor::Scope*> lingering_;
  std::uint64_t octets_ = 0;  ///< of messages in memory
  std::vector<reactor::Scope*> short_of_memory_;
};

/// Milliseconds since 1970 by this turn of the reactor.
std::uint64_t utc_ms();

}  // namespace postern::delivery
