#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/error.h"
#include "storage/message_id.h"
#include "storage/quarantine/entry.h"
#include "storage/queue/entry.h"

namespace postern::storage {

/// Message flags, as IMAP will need them (RFC 3501 §2.3.2). Bits of Entry::flags.
enum Flag : std::uint32_t { kSeen = 1, kAnswered = 2, kFlagged = 4, kDeleted = 8, kDraft = 16, kRecent = 32 };

/// Where one copy of a message goes. The mailbox is made on first delivery, and so is the folder.
struct Delivery {
  std::string mailbox;           ///< address in normal form, at most kMailboxOctetsMax
  std::string folder = "INBOX";  ///< UTF-8, at most kFolderOctetsMax
  std::uint32_t flags = 0;
};

/// What is counted once, by day: whoever reads the counters knows what `row` says. Nothing is counted without a domain.
struct Counted {
  std::string domain;  ///< rows of one domain stand together; at most kCountDomainOctetsMax
  std::string row;     ///< at most kCountRowOctetsMax
};

/// All that one 250 stands for; written atomically or not at all. Moved into submit() and owned by the store
/// until the completion has been called. The stored octets are `header` followed by `body`, once for all
/// deliveries.
struct Transaction {
  MessageId id;
  std::chrono::sys_time<std::chrono::milliseconds> received_at{};
  std::string mail_from;  ///< normal form, empty for the null reverse-path
  std::string header;     ///< trace fields put in front
  std::shared_ptr<const void>
      owner;              ///< keeps `body` alive; shared because worker, reactor and store may hold it
  std::string_view body;  ///< as received
  std::string envelope;   ///< JSON: the envelope with its ESMTP parameters, kept for explain and relay
  std::string record;     ///< JSON: the decision record
  std::vector<Delivery> deliveries;
  /// Entries of the outbound queue, which are parts 0, 1 … of the message; the store fills in octets and
  /// received_ms. A transaction has at least one delivery or entry, or is discarded for somebody.
  std::vector<QueueEntry> relays;
  std::vector<QuarantineEntry> quarantined;  ///< likewise, entries of the quarantine
  /// Recipients for whom the message is thrown away, because their policy says so: the ledger counts them. A message that nobody
  /// else gets leaves envelope and record, kept like those of a refusal.
  std::uint32_t discarded = 0;
  Counted counted;  ///< in the same write
  /// The same message for other recipients under other fields in front, each with an id of its own: in the same write.
  std::vector<std::shared_ptr<const Transaction>> variants;
};

/// A change to one queue entry. Recipients that have come to their end already are left as they are; when none
/// waits any more the entry is closed: it leaves the queue, and what became of its recipients stays readable
/// by queue_outcomes() until prune_outcomes(). In the same commit `reports` are stored.
struct QueueUpdate {
  QueueKey key;
  std::uint64_t now_ms = 0;
  bool attempted = false;               ///< counts as an attempt
  std::optional<QueueState> state;      ///< none: as it is
  std::optional<std::uint64_t> due_ms;  ///< none: as it is
  std::uint32_t set_flags = 0;          ///< QueueFlag
  std::optional<std::string> reason;    ///< of the entry; none: as it is
  std::vector<QueueOutcome> outcomes;
  /// Every recipient that still waits and that `outcomes` does not name ends so.
  std::optional<RecipientState> close_rest;
  std::string close_reply;  ///< the evidence for close_rest
  /// Stored with it. Shared, because an update that failed for a time is handed in again.
  std::vector<std::shared_ptr<const Transaction>> reports;
  /// Of an entry that cannot be decoded: its key in the index of due times is taken out, so that the runner
  /// does not meet it again. Nothing else of this struct counts.
  std::string set_aside;
};

/// A message that was refused, as far as it is kept: why, and what is counted with it. No body.
struct Refusal {
  MessageId id;
  std::chrono::sys_time<std::chrono::milliseconds> received_at{};
  std::string envelope, record;  ///< JSON, as of a Transaction; both empty: only counted
  Counted counted;
};

/// One counter: so many of `row`, on that day (days since 1970, UTC). Without a domain: what found no room of its own.
struct Count {
  std::uint32_t day = 0;
  std::string domain, row;
  std::uint64_t count = 0;
};

/// Keys and values.
using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Told on the commit thread, exactly once per accepted submit(). Must be quick and must not call into the
/// store.
class Completion {
 public:
  virtual ~Completion() = default;
  /// ok: the write-ahead log that holds the transaction is synced. Otherwise nobody can read any of it now;
  /// but where the sync itself failed, all of it may be there after the store has been opened again, as
  /// after a crash between the sync and the reply. Never a part.
  virtual void done(const std::expected<void, Error>& result) noexcept = 0;
};

struct Options {
  std::filesystem::path path;
  bool create_if_missing = true;
  bool read_only = false;                     ///< for verify and listing beside no server
  std::size_t queue_transactions_max = 4096;  ///< waiting for the commit thread
  std::size_t queue_octets_max =
      256U << 20;  ///< likewise; a single larger transaction passes when the queue is empty
  std::size_t batch_octets_max = 8U << 20;  ///< one WriteBatch
  std::size_t memtable_octets = 32U << 20;  ///< per column family that holds bodies; smaller for the rest
  std::size_t block_cache_octets = 64U << 20;
  std::size_t wal_octets_max = 256U << 20;    ///< flush when the log grows beyond
  std::uint64_t free_octets_min = 64U << 20;  ///< less free on the disk than this: nothing new is taken
  /// How long a batch waits for RocksDB's background work before its members fail as stalled. Clients wait
  /// ten minutes (RFC 5321 §4.5.3.2.6).
  std::chrono::milliseconds stall_patience{10'000};
  /// How long the first transaction of a batch waits for others, but only while so many arrive that several
  /// will come in that time: a sync costs the same for one and for fifty. 0: never.
  std::chrono::microseconds gather_time{1000};
  /// Refusals are kept so long, and so much of them; then the oldest go.
  std::chrono::milliseconds refusals_age_max = std::chrono::days(30);
  std::uint64_t refusals_octets_max = 64U << 20;
  /// The quarantine likewise.
  std::chrono::milliseconds quarantine_age_max = std::chrono::days(30);
  std::uint64_t quarantine_octets_max = 4ULL << 30;
  std::uint32_t count_days_max = 30;  ///< days that are over and kept
  std::size_t count_rows_per_day_max = 100'000;
};

struct MailboxInfo {
  std::string address;
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;  ///< sum of the sizes of its messages, shared bodies counted in full
};
struct FolderInfo {
  std::string name;
  std::uint32_t uid_validity = 0;
  std::uint32_t uid_next = 1;
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;
};
struct Entry {
  std::uint32_t uid = 0;
  MessageId id;
  std::uint32_t flags = 0;
  std::uint64_t octets = 0;
  std::chrono::sys_time<std::chrono::milliseconds> received_at{};
};

/// Opened at the 250, closed once per recipient. Counts recipients, ever, over the life of the store.
struct Ledger {
  std::uint64_t opened = 0, delivered = 0, relayed = 0, bounced = 0, quarantined = 0, expired = 0,
                dropped = 0;
  std::uint64_t discarded = 0;  ///< thrown away at the 250, as the manifest asks for
  std::uint64_t open() const {
    return opened - delivered - relayed - bounced - quarantined - expired - dropped - discarded;
  }
};

/// What verify() found. Problems are sentences that name mailbox, folder, uid or message id.
struct VerifyReport {
  std::uint64_t mailboxes = 0, folders = 0, entries = 0, messages = 0, octets = 0, queued = 0,
                quarantined = 0;
  std::vector<std::string> problems;  ///< at most kProblemsMax, then one line with the count of the rest
};

/// A moment's figures for metrics and `postern status`. Any thread.
struct Statistics {
  std::size_t queued_transactions = 0, queued_octets = 0;
  std::uint64_t commits = 0, committed_transactions = 0, committed_octets = 0, failed_commits = 0;
  std::uint64_t sync_microseconds = 0;  ///< total spent in synced writes
  std::uint64_t refused_full = 0;       ///< submit() said no
  std::uint64_t refusals_kept = 0, refusals_octets = 0;
  std::uint64_t refusals_dropped =
      0;  ///< a Refusal that could not be kept or counted: full, in trouble, too large
  std::uint64_t counts_overflowed = 0;  ///< went to a day's overflow row
  bool stalled = false;
  std::uint64_t disk_octets = 0, free_octets = 0;
  std::string trouble;  ///< why nothing is taken now: one sentence part, empty when all is well
};

/// One RocksDB, its column families and its commit thread. All members may be called from any thread.
/// submit(), usage(), ledger(), statistics() never wait for the disk; everything else may, and belongs on a
/// worker or the command line.
class Store {
 public:
  static constexpr std::size_t kMailboxOctetsMax = 320;  ///< RFC 5321 §4.5.3.1: 64 + @ + 255
  static constexpr std::size_t kFolderOctetsMax = 1000;
  static constexpr std::size_t kProblemsMax = 1000;

  static std::expected<std::unique_ptr<Store>, Error> open(const Options& options);
  ~Store();  ///< close()
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Hands the transaction to the commit thread, which calls `completion` when it is durable or has failed.
  /// False: the queue is full, a stall lasts, or close() has begun; nothing was taken, `completion` will not
  /// be called, the client gets 452.
  [[nodiscard]] bool submit(Transaction&& transaction, Completion& completion);
  /// Keeps why a message was refused, without anybody waiting for it: written with the next batch, and synced with the next one that
  /// somebody waits for. A killed process loses none that was written, a power cut may lose the last. What cannot be taken is
  /// dropped and counted.
  void submit(Refusal&& refusal);
  /// Whether a submit() now would be refused; asked at MAIL, so that a body is not carried in vain.
  bool would_refuse() const;
  /// Hands a change of the queue to the commit thread, which groups it with whatever else waits. False: close()
  /// has begun. Nothing else refuses it: an outcome makes room. Code::not_found when the entry is closed.
  [[nodiscard]] bool update(QueueUpdate&& update, Completion& completion);

  /// Octets and messages of a mailbox now, committed ones only; zero when it does not exist. From memory.
  MailboxInfo usage(std::string_view mailbox) const;

  std::expected<std::vector<MailboxInfo>, Error> mailboxes() const;
  std::expected<std::vector<FolderInfo>, Error> folders(std::string_view mailbox) const;
  /// Entries with uid > after, ascending, at most `count`.
  std::expected<std::vector<Entry>, Error> entries(std::string_view mailbox, std::string_view folder,
                                                   std::uint32_t after = 0, std::size_t count = 1000) const;
  /// The stored octets, header and body.
  std::expected<std::string, Error> message(const MessageId& id) const;
  /// The JSON stored with the transaction or the refusal.
  std::expected<std::string, Error> envelope(const MessageId& id) const;
  std::expected<std::string, Error> record(const MessageId& id) const;

  /// The counters of the days first to last, ordered by day and domain; at most `count`.
  std::expected<std::vector<Count>, Error> counts(std::uint32_t first_day, std::uint32_t last_day,
                                                  std::size_t count = 1'000'000) const;

  /// Through the commit thread, synced before they return.
  std::expected<void, Error> set_flags(std::string_view mailbox, std::string_view folder, std::uint32_t uid,
                                       std::uint32_t set, std::uint32_t clear);
  /// Removes entries; bodies that no entry refers to any more go with them.
  std::expected<std::uint64_t, Error> expunge(std::string_view mailbox, std::string_view folder,
                                              const std::vector<std::uint32_t>& uids);

  // The queue. Rows of a listing that cannot be read say so and do not end it.
  /// What waits for whom, in the order of the names, from (`destination`, `priority`) on; at most `count`.
  std::expected<std::vector<QueueHead>, Error> queue_heads(std::string_view destination,
                                                           std::uint8_t priority, std::size_t count) const;
  /// The entries of one destination in the order in which they are due, from `from_ms` to `to_ms` inclusive.
  std::expected<std::vector<QueueDue>, Error> queue_due(std::string_view destination, std::uint8_t priority,
                                                        std::uint64_t from_ms, std::uint64_t to_ms,
                                                        std::size_t count) const;
  std::expected<QueueEntry, Error> queue_entry(const QueueKey& key) const;
  /// Open entries in the order of their keys, those after `after`.
  std::expected<std::vector<QueueRow>, Error> queue_rows(const std::optional<QueueKey>& after,
                                                         std::size_t count) const;
  /// Every entry of one message, open ones and closed ones that are still kept.
  std::expected<std::vector<QueueRow>, Error> queue_outcomes(const MessageId& id) const;
  /// Counts the queue anew, in one snapshot. Reads every entry.
  std::expected<QueueAudit, Error> queue_audit() const;
  QueueTotals queue_totals() const;  ///< from memory
  /// The ledger and the queue at the same moment, from memory.
  std::pair<Ledger, QueueTotals> books() const;
  /// Forgets what became of closed entries accepted before then, and the decision records of messages of which
  /// nothing else is left. At most `count` of them; the number forgotten.
  std::expected<std::uint64_t, Error> prune_outcomes(std::chrono::sys_time<std::chrono::milliseconds> before,
                                                     std::size_t count);

  // The quarantine.
  /// Entries in the order of their keys, which is that of acceptance within a core, those after `after`.
  std::expected<std::vector<QuarantineRow>, Error> quarantine_rows(const std::optional<QuarantineKey>& after,
                                                                   std::size_t count) const;
  /// Every entry of one message.
  std::expected<std::vector<QuarantineRow>, Error> quarantine_of(const MessageId& id) const;
  QuarantineTotals quarantine_totals() const;  ///< from memory
  /// Takes entries out, in batches of kQuarantineKeysMax; the number that were there. `released`: in the same write the message is
  /// put into the mailbox that the entry names, INBOX, or into the queue, as it is stored, and the ledger opens a recipient anew.
  /// A message that nothing else refers to goes otherwise. Through the commit thread, synced before it returns.
  std::expected<std::uint64_t, Error> leave_quarantine(const std::vector<QuarantineKey>& keys,
                                                       QuarantineEnd how,
                                                       std::chrono::sys_time<std::chrono::milliseconds> now);

  /// What the gateway remembers of clients that were asked to come again: its own keys and values, kept as they are. An empty value
  /// takes a key away. Through the commit thread, synced before it returns.
  std::expected<void, Error> put_greylist(const Pairs& pairs);
  std::expected<Pairs, Error> greylist() const;

  Ledger ledger() const;
  Statistics statistics() const;

  /// Checks every reference both ways: entry → message → body, reference counts, folder and mailbox sums,
  /// ledger.
  std::expected<VerifyReport, Error> verify() const;
  /// Asks RocksDB to write what is in memory (before a backup).
  std::expected<void, Error> flush();
  /// Commits what is queued, stops the commit thread, closes RocksDB. Idempotent.
  void close();

 private:
  class Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::storage
