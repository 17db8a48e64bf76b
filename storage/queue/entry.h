#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/message_id.h"

namespace postern::storage {

/// Bounds of a queue entry. The gateway splits what is larger into several entries of one message.
inline constexpr std::size_t kQueueRecipientsMax = 100;  ///< RFC 5321 §4.5.3.1.8: what every server takes
inline constexpr std::size_t kQueueDestinationOctetsMax = 300;  ///< a domain, or a literal in brackets
inline constexpr std::size_t kQueueTextOctetsMax = 2048;        ///< of each text; replies are cut to it
inline constexpr std::uint16_t kQueuePartsMax = 10'000;         ///< entries of one message
inline constexpr std::uint8_t kQueuePriorities = 2;             ///< 0: small mail and reports, 1: the rest

/// The name of a queue entry: the message and which of its entries. As text the message's id for the first,
/// ID.2, ID.3 … for the others.
struct QueueKey {
  MessageId id;
  std::uint16_t part = 0;

  std::string text() const;
  static std::optional<QueueKey> parse(std::string_view text);
  friend auto operator<=>(const QueueKey&, const QueueKey&) = default;
};

/// What became of one recipient. All but `waiting` are ends, and the ledger counts each once.
enum class RecipientState : std::uint8_t { waiting, relayed, bounced, expired, dropped };
std::string_view to_string(RecipientState state);

enum class QueueState : std::uint8_t {
  waiting,  ///< tried when it is due
  held,     ///< until somebody releases it
  damaged,  ///< its message cannot be read: set aside until somebody looks
};
std::string_view to_string(QueueState state);

/// Flags of an entry, carried for the gateway.
enum QueueFlag : std::uint32_t {
  kReport = 1,           ///< a delivery report: never reported about (RFC 3461 §6.2)
  kMayReport = 2,        ///< its sender is plausible, so that a report to it hits no bystander
  kSmtpUtf8 = 4,         ///< RFC 6531 §3.4
  kEightBit = 8,         ///< BODY=8BITMIME (RFC 6152)
  kBinary = 16,          ///< BODY=BINARYMIME (RFC 3030)
  kReturnFull = 32,      ///< RET=FULL (RFC 3461 §4.3)
  kReturnHeaders = 64,   ///< RET=HDRS
  kDelayReported = 128,  ///< the sender has been told that it waits
};
inline constexpr std::uint32_t kQueueFlagsAll = 255;

struct QueueRecipient {
  std::string address;      ///< normal form
  std::uint8_t notify = 0;  ///< NOTIFY of RFC 3461 §4.1 in the gateway's bits
  std::string orcpt;        ///< ORCPT, decoded; empty: none
  RecipientState state = RecipientState::waiting;
  std::uint64_t tried_ms = 0;  ///< when `reply` was given; 0: not yet
  std::string host;            ///< who gave it
  std::string reply;           ///< the last reply or what else went wrong: the evidence
  friend bool operator==(const QueueRecipient&, const QueueRecipient&) = default;
};

/// Recipients of one message that share one destination and are tried together. The store knows nothing of
/// what the fields mean beyond state and due time.
struct QueueEntry {
  std::string destination;  ///< what the runner schedules by; not empty, no NUL
  std::string sender;       ///< normal form; empty: the null reverse-path
  std::string envid;        ///< ENVID (RFC 3461 §4.4), decoded
  std::uint32_t flags = 0;  ///< QueueFlag
  std::uint8_t priority = 0;
  QueueState state = QueueState::waiting;
  std::uint64_t skip_octets = 0;  ///< of the stored octets, at their beginning: not sent on
  std::uint64_t octets = 0;       ///< of the stored message; set by the store
  std::uint64_t received_ms = 0;  ///< set by the store
  std::uint64_t due_ms = 0;       ///< when it is tried next
  std::uint64_t attempts = 0;
  std::string reason;  ///< why it waits, of the entry as a whole
  std::vector<QueueRecipient> recipients;

  std::size_t waiting() const;  ///< recipients whose state is that
  friend bool operator==(const QueueEntry&, const QueueEntry&) = default;
};

/// One recipient's part in an update; only recipients that still wait are touched.
struct QueueOutcome {
  std::size_t recipient = 0;  ///< index in the entry
  RecipientState state = RecipientState::waiting;
  std::string host, reply;
};

/// Open entries over all, from a record that is written with each change.
struct QueueTotals {
  std::uint64_t entries = 0, recipients = 0, octets = 0;
  friend bool operator==(const QueueTotals&, const QueueTotals&) = default;
};

struct QueueDue {
  QueueKey key;
  std::uint64_t due_ms = 0;
};
/// What waits for one destination at one priority.
struct QueueHead {
  std::string destination;
  std::uint8_t priority = 0;
  std::uint64_t due_ms = 0;  ///< of the first
};
/// An entry in a listing; without `entry` it cannot be read, and `problem` says why.
struct QueueRow {
  QueueKey key;
  std::optional<QueueEntry> entry;
  std::string problem;
};
/// The books, counted anew from the entries themselves.
struct QueueAudit {
  std::uint64_t ledger_open = 0;  ///< opened and not closed, says the ledger
  std::uint64_t entries = 0, recipients = 0, damaged = 0;
  QueueTotals totals;  ///< what the record says
  bool balanced() const {
    return damaged == 0 && ledger_open == recipients && totals.entries == entries &&
           totals.recipients == recipients;
  }
};

}  // namespace postern::storage
