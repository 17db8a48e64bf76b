#pragma once

#include <functional>
#include <string>

#include "storage/database.h"
#include "storage/queue/entry.h"

namespace postern::storage::queue {

/// What the queue's part of a verification needs and gives.
struct Verification {
  const Database& database;
  const rocksdb::ReadOptions& read;
  std::function<void(std::string)> problem;
};

/// Every entry against the index of due times and back, the totals, and the ledger's open recipients. Gives the
/// number of open entries.
std::uint64_t verify(const Verification& verification, std::uint64_t ledger_open);

/// Calls `visit` for every open entry that can be read, in the order of the keys.
void for_each(const Verification& verification,
              const std::function<void(const QueueKey&, const QueueEntry&)>& visit);

}  // namespace postern::storage::queue
