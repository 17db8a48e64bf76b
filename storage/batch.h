#pragma once

#include <rocksdb/write_batch.h>

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/codec.h"
#include "storage/counts.h"
#include "storage/database.h"
#include "storage/directory.h"
#include "storage/quarantine/record.h"
#include "storage/queue/record.h"
#include "storage/refusals.h"

namespace postern::storage {

/// Turns transactions and commands into one RocksDB WriteBatch. add() many transactions, or give one command;
/// then sealed() is what to write, and publish() or roll_back() ends it and makes the object ready for the
/// next. The commit thread's own.
class Batch {
 public:
  /// `newest` is the largest message id in the store at open.
  Batch(const Database& database, Directory& directory, MessageId newest, const Options& options);

  /// With all its variants. An error concerns this transaction only and leaves the batch as it was.
  std::expected<void, Error> add(const Transaction& transaction);
  std::expected<void, Error> add(const Refusal& refusal);
  /// Puts in what must go of refusals and counters; a batch of its own, like a command.
  void trim(std::chrono::sys_time<std::chrono::milliseconds> now);
  /// Takes what is too old or too much out of the quarantine; likewise. True: there may be more.
  bool trim_quarantine(std::chrono::sys_time<std::chrono::milliseconds> now);
  /// Whether anybody is told that what is in it is durable. Refusals and trimming alone are lost by a power cut at worst.
  bool needs_sync() const { return writes_.Count() > unhurried_; }
  const Refusals& refusals() const { return refusals_; }
  std::uint64_t counts_overflowed() const { return counts_overflowed_; }

  /// Likewise. Reads the entry, from this batch where it stands in it already.
  std::expected<void, Error> update(const QueueUpdate& update);

  /// Commands read what earlier batches wrote, so each is a batch of its own. The count of entries changed.
  std::expected<std::uint64_t, Error> set_flags(std::string_view mailbox, std::string_view folder,
                                                std::uint32_t uid, std::uint32_t set, std::uint32_t clear);
  std::expected<std::uint64_t, Error> expunge(std::string_view mailbox, std::string_view folder,
                                              const std::vector<std::uint32_t>& uids);
  /// Outcomes of messages accepted before then, at most `count`.
  std::expected<std::uint64_t, Error> prune(std::uint64_t before_ms, std::size_t count);

  /// Takes entries out of the quarantine, one only when it is released; the number that were there.
  std::expected<std::uint64_t, Error> leave_quarantine(const std::vector<QuarantineKey>& keys,
                                                       QuarantineEnd how, std::uint64_t now_ms);

  /// An empty value takes the key away.
  std::uint64_t put_greylist(const Pairs& pairs);

  bool empty() const { return writes_.Count() == 0; }
  rocksdb::WriteBatch& sealed();
  void publish();
  void roll_back();
  /// After the database has been opened and the directory loaded again; the batch is empty.
  void restart(MessageId newest);

 private:
  struct Target {
    Directory::Mailbox* mailbox;
    Directory::Folder* folder;
    std::uint32_t flags;
  };

  std::expected<void, Error> check(const Transaction& transaction) const;
  std::expected<bool, Error> is_known(const MessageId& id) const;
  std::expected<Target, Error> target_for(const Delivery& delivery, std::uint64_t now_ms, std::size_t uids);
  std::expected<void, Error> find_targets(const Transaction& transaction);
  void add_checked(const Transaction& transaction);
  void put_entry(const Target& target, EntryRecord entry);
  void count(const Counted& counted, std::chrono::sys_time<std::chrono::milliseconds> at);
  void put_content(const Transaction& transaction);
  void put_relays(const Transaction& transaction);
  void put_queued(const QueueKey& key, const QueueEntry& entry);
  void put_quarantined(const Transaction& transaction);
  std::expected<void, Error> give_up_reference(const MessageId& id);
  std::expected<void, Error> hand_on(const QuarantineKey& key, const QuarantineEntry& entry,
                                     std::uint64_t now_ms);
  std::expected<bool, Error> leave_quarantine(const QuarantineKey& key, QuarantineEnd how,
                                              std::uint64_t now_ms);
  std::expected<QueueEntry, Error> queued(const QueueKey& key) const;
  std::expected<std::optional<MessageRecord>, Error> shared(const MessageId& id) const;
  void close_entry(const QueueKey& key, const QueueEntry& entry, std::optional<MessageRecord> message);
  void count_end(RecipientState state);
  std::expected<Target, Error> existing(std::string_view mailbox, std::string_view folder);
  std::expected<void, Error> drop_reference(const MessageId& id,
                                            std::unordered_map<std::string, MessageRecord>& messages);
  void put(Table table, std::string_view key, std::string_view value);
  void remove(Table table, std::string_view key);
  void clear();

  const Database& database_;
  Directory& directory_;
  Refusals refusals_;
  Counts counts_;
  std::uint64_t counts_overflowed_ = 0;
  std::uint32_t unhurried_ = 0;  ///< writes of `writes_` that need no sync
  rocksdb::WriteBatch writes_;
  std::vector<MessageId> ids_;  ///< added to this batch
  bool queue_changed_ = false, quarantine_changed_ = false;
  const std::chrono::milliseconds quarantine_age_max_;
  const std::uint64_t quarantine_octets_max_;
  /// What updates of this batch have made of entries and messages, by key; none: removed.
  std::unordered_map<std::string, std::optional<QueueEntry>> entries_here_;
  std::unordered_map<std::string, std::optional<MessageRecord>> messages_here_;
  MessageId newest_at_open_;
  std::array<MessageId, 256> newest_of_core_{};
  std::vector<Target> targets_;
  std::string value_, key_;  ///< scratch
};

/// The parts of a name that can be checked without the store: a caller's mistake is Code::invalid.
std::expected<void, Error> check_names(std::string_view mailbox, std::string_view folder);
/// Likewise of queue entries that are to be made.
std::expected<void, Error> check_relays(const std::vector<QueueEntry>& relays);
std::expected<void, Error> check_quarantined(const std::vector<QuarantineEntry>& entries);

}  // namespace postern::storage
