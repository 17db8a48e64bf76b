#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/queue/entry.h"

namespace postern::storage {

inline constexpr std::size_t kQuarantineTextOctetsMax = 2048;  ///< of each text
inline constexpr std::size_t kQuarantineKeysMax = 1000;        ///< of one deletion; new mail waits behind it

/// The name of an entry: the message and which of its entries. As text the message's id for the first, ID.2, ID.3 … for the
/// others. At most kQueuePartsMax of one message.
using QuarantineKey = QueueKey;

/// One recipient's copy of a message that was kept from him. What is needed to hand it on after all is in it, so that a release
/// asks nobody. Exactly one of `mailbox` and `destination` is set.
struct QuarantineEntry {
  std::string recipient;      ///< normal form, as he was named in RCPT
  std::string mailbox;        ///< of ours: where a release puts it
  std::string destination;    ///< relayed: by which the queue's routes are found
  std::string sender;         ///< normal form; empty: the null reverse-path
  std::string from, subject;  ///< as a listing shows them, UTF-8
  std::string reason;         ///< why it is here: one line
  std::int64_t score_millionths = 0;
  std::uint64_t octets = 0;       ///< of the stored message; set by the store
  std::uint64_t received_ms = 0;  ///< set by the store
  std::uint64_t skip_octets = 0;  ///< relayed: not sent on, of the stored octets at their beginning
  std::string envid, orcpt;       ///< relayed, as of a QueueEntry
  std::uint32_t flags = 0;        ///< QueueFlag
  std::uint8_t notify = 0, priority = 0;
  friend bool operator==(const QuarantineEntry&, const QuarantineEntry&) = default;
};

/// How an entry left.
enum class QuarantineEnd : std::uint8_t {
  released,
  deleted,
  expired,  ///< older than the retention
  evicted,  ///< more than the quota holds
};

/// What is there now, and what has left over the life of the store. From a record that is written with each change.
struct QuarantineTotals {
  std::uint64_t entries = 0, octets = 0;  ///< shared bodies counted in full
  std::uint64_t released = 0, deleted = 0, expired = 0, evicted = 0;
  friend bool operator==(const QuarantineTotals&, const QuarantineTotals&) = default;
};

/// An entry in a listing; without `entry` it cannot be read, and `problem` says why.
struct QuarantineRow {
  QuarantineKey key;
  std::optional<QuarantineEntry> entry;
  std::string problem;
};

}  // namespace postern::storage
