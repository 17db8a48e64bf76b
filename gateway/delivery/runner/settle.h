#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/delivery/attempt.h"
#include "gateway/delivery/runner/scheduler.h"
#include "storage/store.h"

namespace postern::delivery {

/// From the results of one attempt to what is written: pure.
struct Settlement {
  storage::QueueUpdate update;
  std::optional<std::uint64_t> again_ms;  ///< when it is tried again; none: it is closed
  /// Recipients whose sender is to hear of it, as indices of the entry.
  std::vector<std::size_t> failed, expired, delayed, relayed;
};

/// When an entry is given up, and when its sender hears that it waits.
struct Patience {
  std::uint64_t expire_ms = 0, report_expire_ms = 0, warn_ms = 0;
  bool is_over(const storage::QueueEntry& entry, std::uint64_t now_ms) const;
};

/// `tried` are indices of recipients, `results` theirs in the same order. `host`: who said so.
Settlement settle(const storage::QueueKey& key, const storage::QueueEntry& entry,
                  const std::vector<std::size_t>& tried, const std::vector<RecipientResult>& results,
                  const std::string& host, const Patience& patience, const Retries& retries,
                  std::uint64_t now_ms, double chance);
/// Everybody who waits is given up without a further attempt; `reason` where nobody ever replied.
Settlement give_up(const storage::QueueKey& key, const storage::QueueEntry& entry, const std::string& reason,
                   std::uint64_t now_ms);

/// The indices of recipients that wait.
std::vector<std::size_t> waiting_of(const storage::QueueEntry& entry);
/// "451 4.3.0 try later", or our own sentence.
std::string reply_text(const RecipientResult& result);

}  // namespace postern::delivery
