#pragma once

#include <string>
#include <string_view>

#include "storage/codec.h"
#include "storage/queue/entry.h"

namespace postern::storage {

// The queue's records and keys, both ways; storage/README.md shows the layouts.

inline constexpr std::string_view kQueueTotalsKey = "queue";  ///< in Table::meta

void encode(const QueueEntry& entry, std::string& out);
Decoded<QueueEntry> decode_queue_entry(std::string_view in);
void encode(const QueueTotals& totals, std::string& out);
Decoded<QueueTotals> decode_queue_totals(std::string_view in);

/// Key of an open entry, and of its outcome: message id, part.
std::string queue_key(const QueueKey& key);
Decoded<QueueKey> decode_queue_key(std::string_view in);

/// Key in the index of due times: destination, NUL, priority, due time, entry. RocksDB's order is the order in
/// which a destination's entries are due.
struct DueName {
  std::string_view destination;
  std::uint8_t priority = 0;
  std::uint64_t due_ms = 0;
  QueueKey key;
};
std::string due_key(const DueName& name);
/// The part in front of the due time.
std::string due_prefix(std::string_view destination, std::uint8_t priority);
Decoded<DueName> decode_due_key(std::string_view in);

}  // namespace postern::storage
