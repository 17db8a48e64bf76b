#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/codec.h"
#include "storage/database.h"
#include "storage/error.h"

namespace postern::storage {

/// Mailboxes, their folders as far as used, and the ledger, in memory. The commit thread alone changes it: it
/// works on the `working` records while a batch is made, and publish() or roll_back() settles them when the
/// write has succeeded or failed. Other threads see only what publish() let out. Bounded by the number of
/// mailboxes, and by kFoldersCachedMax.
class Directory {
 public:
  static constexpr std::size_t kFoldersCachedMax = 65536;

  struct Folder {
    std::string name;
    FolderRecord working, committed;
    bool stored = false;   ///< has a record on disk
    bool touched = false;  ///< by the batch at hand
    /// Made for a transaction that was then refused: leaves no trace.
    bool unused() const { return !stored && working.uid_next == 1; }
  };
  /// Sums over a mailbox's folders. Not on disk: load() adds them up, so that a delivery writes one record
  /// less and no sum can disagree with its parts.
  struct Totals {
    std::uint64_t messages = 0, octets = 0;
  };
  struct Mailbox {
    std::string address;
    MailboxRecord working, committed;
    Totals working_totals, committed_totals;
    bool stored = false;
    bool touched = false;
    bool unused() const { return !stored && working_totals.messages == 0; }
    std::map<std::string, Folder, std::less<>>
        folders;  ///< the commit thread's only; nodes stay where they are
  };

  /// Reads every mailbox and folder record and the ledger; what this object held before is replaced when all
  /// has been read. A folder record that cannot be read is left out
  /// here: deliveries to that folder fail, verify() names it, and everyone else's mail goes on. A mailbox
  /// record or ledger that cannot be read is an error, for a delivery would write over it; unless `lenient`,
  /// where nothing will be written: then it is left out too.
  std::expected<void, Error> load(const Database& database, bool lenient);

  // The commit thread's side.
  /// Finds or makes a mailbox; made ones are forgotten by roll_back(), and by publish() when nothing was put
  /// in them. Null: all numbers have been given out.
  Mailbox* mailbox(std::string_view address);
  Mailbox* find_mailbox(std::string_view address);
  /// Finds or makes a folder; reads its record on first use. `now_ms` becomes the UIDVALIDITY of a new one.
  std::expected<Folder*, Error> folder(const Database& database, Mailbox& mailbox, std::string_view name,
                                       std::uint64_t now_ms, bool create);
  void touch(Mailbox& mailbox, Folder& folder);
  Ledger& working_ledger() { return working_ledger_; }
  QueueTotals& working_queue() { return working_queue_; }
  QuarantineTotals& working_quarantine() { return working_quarantine_; }
  const std::vector<Mailbox*>& touched_mailboxes() const { return touched_mailboxes_; }
  const std::vector<std::pair<Mailbox*, Folder*>>& touched_folders() const { return touched_folders_; }
  void publish();
  void roll_back();

  // Any thread.
  MailboxInfo usage(std::string_view address) const;
  /// 0: there is no such mailbox.
  std::uint32_t mailbox_id(std::string_view address) const;
  Ledger ledger() const;
  QueueTotals queue() const;
  QuarantineTotals quarantine() const;
  std::pair<Ledger, QueueTotals> books() const;  ///< both of the same moment

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  using Mailboxes = std::unordered_map<std::string, std::unique_ptr<Mailbox>, Hash, std::equal_to<>>;

  static std::expected<Mailboxes, Error> load_mailboxes(const Database& database, bool lenient);
  static std::expected<void, Error> load_totals(const Database& database, Mailboxes& mailboxes);
  void settle();
  void forget(Mailbox& mailbox, const Folder& folder);

  mutable std::shared_mutex
      mutex_;  ///< the commit thread takes it to change what others see; reads its own without
  Mailboxes mailboxes_;
  Ledger working_ledger_, committed_ledger_;
  QueueTotals working_queue_, committed_queue_;
  QuarantineTotals working_quarantine_, committed_quarantine_;
  std::uint64_t next_mailbox_ = 1;  ///< wider than a number is: past the last one nothing is given out
  std::size_t folders_cached_ = 0;
  std::vector<Mailbox*> touched_mailboxes_, made_;
  std::vector<std::pair<Mailbox*, Folder*>> touched_folders_;
};

/// The name under which a folder is kept: INBOX is one folder in any case (RFC 3501 §5.1).
std::string_view folder_name(std::string_view name);

}  // namespace postern::storage
