#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/delivery/attempt.h"
#include "gateway/delivery/runner/runner.h"

namespace postern::delivery {

/// One connection to a destination, and the messages on it one after the other. A task of its runner's core.
class Lane {
 public:
  Lane(Runner& runner, std::string destination);

  reactor::Task<void> run();

 private:
  /// An entry with what is to be sent of it.
  struct Work {
    storage::QueueDue due;
    std::uint8_t priority = 0;
    storage::QueueEntry entry{};
    std::vector<std::size_t> waiting{};
    std::shared_ptr<const std::string> message{};
    std::uint64_t octets = 0;  ///< counted in the runner's memory
  };
  /// How an attempt ended, for the recipients of Work::waiting.
  struct Attempt {
    std::vector<RecipientResult> results;
    std::string host;
    bool talked = false;  ///< the next hop took part in a transaction
  };

  reactor::Task<void> fetch(Scheduler::Take take);
  reactor::Task<bool> linger();
  reactor::Task<void> carry(Scheduler::Take take);
  reactor::Task<bool> load(Work& work);
  reactor::Task<bool> load_message(Work& work);
  reactor::Task<bool> reserve(std::uint64_t octets);
  void release(std::uint64_t octets);
  reactor::Task<Attempt> attempt(const Work& work);
  reactor::Task<std::optional<Attempt>> connect(const Work& work);
  reactor::Task<Plan> make_plan();
  reactor::Task<void> conclude(Work& work, Attempt attempt);
  reactor::Task<void> set_aside(const Work& work, storage::Error error);
  /// False: the entry is gone, or we are to end.
  reactor::Task<bool> write(storage::QueueUpdate update);
  /// Puts the reports that are owed into the update.
  void add_reports(const Work& work, const std::vector<RecipientResult>& results, Settlement& settlement);
  reactor::Task<void> expire(Work& work, std::string reason);
  reactor::Task<void> hang_up();
  void log_outcomes(const Work& work, const Attempt& attempt, const Settlement& settlement) const;

  Runner& runner_;
  const std::string destination_;
  std::shared_ptr<const pipeline::Snapshot> snapshot_;
  std::unique_ptr<Connection> connection_;
  std::size_t messages_ = 0;  ///< on this lane
  std::size_t on_connection_ = 0;
};

}  // namespace postern::delivery
