#include "storage/directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>

#include "storage/quarantine/record.h"
#include "storage/queue/record.h"

namespace postern::storage {
namespace {

constexpr std::string_view kInbox = "INBOX";
constexpr std::uint32_t kNumberMax = std::numeric_limits<std::uint32_t>::max();

Error corrupt(std::string where, const DecodeError& error) {
  return Error{.code = Code::corrupt, .context = fmt::format("{}: {}", where, error.text())};
}

std::uint32_t uid_validity_at(std::uint64_t now_ms) {
  // RFC 3501 §2.3.1.1 suggests the time of making, so that a folder made again under its name gets a larger
  // one.
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(now_ms / 1000, 1, kNumberMax));
}

std::expected<Ledger, Error> load_ledger(const Database& database) {
  const auto value = database.get(Table::meta, kLedgerKey, "ledger");
  if (!value) return std::unexpected(value.error());
  const auto ledger = decode_ledger(*value);
  if (!ledger) return std::unexpected(corrupt("ledger", ledger.error()));
  return *ledger;
}

/// A store of a program that had no queue has no such record, and nothing in the queue.
std::expected<QueueTotals, Error> load_queue(const Database& database) {
  const auto value = database.get(Table::meta, kQueueTotalsKey, "queue totals");
  if (!value && value.error().code == Code::not_found) return QueueTotals{};
  if (!value) return std::unexpected(value.error());
  const auto totals = decode_queue_totals(*value);
  if (!totals) return std::unexpected(corrupt("queue totals", totals.error()));
  return *totals;
}

/// Likewise.
std::expected<QuarantineTotals, Error> load_quarantine(const Database& database) {
  const auto value = database.get(Table::meta, kQuarantineTotalsKey, "quarantine totals");
  if (!value && value.error().code == Code::not_found) return QuarantineTotals{};
  if (!value) return std::unexpected(value.error());
  const auto totals = decode_quarantine_totals(*value);
  if (!totals) return std::unexpected(corrupt("quarantine totals", totals.error()));
  return *totals;
}

}  // namespace

std::string_view folder_name(std::string_view name) {
  if (name.size() != kInbox.size()) return name;
  for (std::size_t i = 0; i < kInbox.size(); ++i)
    if ((static_cast<unsigned char>(name[i]) & 0xdfU) != static_cast<unsigned char>(kInbox[i])) return name;
  return kInbox;
}

std::expected<void, Error> Directory::load(const Database& database, bool lenient) {
  auto mailboxes = load_mailboxes(database, lenient);
  if (!mailboxes) return std::unexpected(std::move(mailboxes.error()));
  auto totals = load_totals(database, *mailboxes);
  if (!totals) return totals;
  const auto ledger = load_ledger(database);
  if (!ledger && !lenient) return std::unexpected(ledger.error());
  const auto queue = load_queue(database);
  if (!queue && !lenient) return std::unexpected(queue.error());
  const auto quarantine = load_quarantine(database);
  if (!quarantine && !lenient) return std::unexpected(quarantine.error());

  const std::unique_lock lock(mutex_);
  mailboxes_ = std::move(*mailboxes);
  working_ledger_ = committed_ledger_ = ledger.value_or(Ledger{});
  working_queue_ = committed_queue_ = queue.value_or(QueueTotals{});
  working_quarantine_ = committed_quarantine_ = quarantine.value_or(QuarantineTotals{});
  // A number is used once. The largest in use is enough to know: mailboxes are never removed.
  next_mailbox_ = 1;
  for (const auto& [address, mailbox] : mailboxes_)
    next_mailbox_ = std::max(next_mailbox_, std::uint64_t{mailbox->committed.id} + 1);
  folders_cached_ = 0;
  touched_folders_.clear();
  touched_mailboxes_.clear();
  made_.clear();
  return {};
}

std::expected<Directory::Mailboxes, Error> Directory::load_mailboxes(const Database& database, bool lenient) {
  Mailboxes mailboxes;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const auto rows = database.iterate(Table::mailboxes, options);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const std::string address = rows->key().ToString();
    const auto record = decode_mailbox(view(rows->value()));
    if (!record) {
      if (lenient) continue;
      return std::unexpected(corrupt(fmt::format("mailbox \"{}\"", address), record.error()));
    }
    auto mailbox = std::make_unique<Mailbox>();
    mailbox->address = address;
    mailbox->working = mailbox->committed = *record;
    mailbox->stored = true;
    mailboxes.emplace(address, std::move(mailbox));
  }
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "mailboxes"));
  return mailboxes;
}

std::expected<void, Error> Directory::load_totals(const Database& database, Mailboxes& mailboxes) {
  std::unordered_map<std::uint32_t, Totals> totals;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const auto rows = database.iterate(Table::folders, options);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto name = decode_folder_key(view(rows->key()));
    const auto record = decode_folder(view(rows->value()));
    if (!name || !record) continue;
    Totals& sum = totals[name->mailbox];
    sum.messages += record->messages;
    sum.octets += record->octets;
  }
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "folders"));
  for (const auto& [address, mailbox] : mailboxes)
    mailbox->working_totals = mailbox->committed_totals = totals[mailbox->committed.id];
  return {};
}

Directory::Mailbox* Directory::find_mailbox(std::string_view address) {
  const auto found = mailboxes_.find(address);
  return found == mailboxes_.end() ? nullptr : found->second.get();
}

Directory::Mailbox* Directory::mailbox(std::string_view address) {
  if (Mailbox* known = find_mailbox(address)) return known;
  if (next_mailbox_ > kNumberMax) return nullptr;
  auto fresh = std::make_unique<Mailbox>();
  fresh->address = std::string(address);
  fresh->working.id = static_cast<std::uint32_t>(next_mailbox_++);
  Mailbox* result = fresh.get();
  made_.push_back(result);
  const std::unique_lock lock(mutex_);
  mailboxes_.emplace(result->address, std::move(fresh));
  return result;
}

std::expected<Directory::Folder*, Error> Directory::folder(const Database& database, Mailbox& mailbox,
                                                           std::string_view name, std::uint64_t now_ms,
                                                           bool create) {
  const auto known = mailbox.folders.find(name);
  if (known != mailbox.folders.end()) return &known->second;
  Folder folder;
  folder.name = std::string(name);
  if (mailbox.stored) {
    std::string key;
    folder_key(mailbox.working.id, name, key);
    const auto value = database.get(Table::folders, key, "folder");
    if (value) {
      const auto record = decode_folder(*value);
      if (!record)
        return std::unexpected(
            corrupt(fmt::format("mailbox \"{}\" folder \"{}\"", mailbox.address, name), record.error()));
      folder.working = folder.committed = *record;
      folder.stored = true;
    } else if (value.error().code != Code::not_found) {
      return std::unexpected(value.error());
    }
  }
  if (!folder.stored) {
    if (!create)
      return std::unexpected(
          Error{.code = Code::not_found,
                .context = fmt::format("mailbox \"{}\" has no folder \"{}\"", mailbox.address, name)});
    if (mailbox.working.next_folder == kNumberMax)  // kept back: a record says which comes next
      return std::unexpected(
          Error{.code = Code::no_space,
                .context = fmt::format("mailbox \"{}\": no folder number is left", mailbox.address)});
    folder.working.id = mailbox.working.next_folder++;
    folder.working.uid_validity = uid_validity_at(now_ms);
  }
  ++folders_cached_;
  Folder& kept = mailbox.folders.emplace(std::string(name), std::move(folder)).first->second;
  if (!kept.stored) touch(mailbox, kept);  // so that roll_back() finds it
  return &kept;
}

void Directory::touch(Mailbox& mailbox, Folder& folder) {
  if (!folder.touched) {
    folder.touched = true;
    touched_folders_.emplace_back(&mailbox, &folder);
  }
  if (!mailbox.touched) {
    mailbox.touched = true;
    touched_mailboxes_.push_back(&mailbox);
  }
}

void Directory::publish() {
  const std::unique_lock lock(mutex_);
  committed_ledger_ = working_ledger_;
  committed_queue_ = working_queue_;
  committed_quarantine_ = working_quarantine_;
  for (const auto& [mailbox, folder] : touched_folders_) {
    folder->touched = false;
    if (folder->unused()) {
      forget(*mailbox, *folder);
      continue;
    }
    folder->committed = folder->working;
    folder->stored = true;
  }
  for (Mailbox* mailbox : touched_mailboxes_) {
    if (mailbox->unused()) continue;
    mailbox->committed = mailbox->working;
    mailbox->committed_totals = mailbox->working_totals;
    mailbox->stored = true;
  }
  settle();
}

void Directory::roll_back() {
  const std::unique_lock lock(mutex_);
  working_ledger_ = committed_ledger_;
  working_queue_ = committed_queue_;
  working_quarantine_ = committed_quarantine_;
  for (const auto& [mailbox, folder] : touched_folders_) {
    folder->touched = false;
    folder->working = folder->committed;
    if (!folder->stored) forget(*mailbox, *folder);
  }
  for (Mailbox* mailbox : touched_mailboxes_) {
    mailbox->working = mailbox->committed;
    mailbox->working_totals = mailbox->committed_totals;
  }
  settle();
}

void Directory::forget(Mailbox& mailbox, const Folder& folder) {
  mailbox.folders.erase(mailbox.folders.find(folder.name));
  --folders_cached_;
}

/// Forgets mailboxes that were made and not stored, and the folder cache when it has grown too large.
void Directory::settle() {
  touched_folders_.clear();
  for (Mailbox* mailbox : touched_mailboxes_) mailbox->touched = false;
  touched_mailboxes_.clear();
  for (const Mailbox* mailbox : made_)
    if (!mailbox->stored) mailboxes_.erase(mailboxes_.find(mailbox->address));
  made_.clear();
  if (folders_cached_ <= kFoldersCachedMax) return;
  for (auto& [address, mailbox] : mailboxes_) mailbox->folders.clear();
  folders_cached_ = 0;
}

MailboxInfo Directory::usage(std::string_view address) const {
  MailboxInfo info{.address = std::string(address)};
  const std::shared_lock lock(mutex_);
  const auto found = mailboxes_.find(address);
  if (found == mailboxes_.end() || !found->second->stored) return info;
  info.messages = found->second->committed_totals.messages;
  info.octets = found->second->committed_totals.octets;
  return info;
}

std::uint32_t Directory::mailbox_id(std::string_view address) const {
  const std::shared_lock lock(mutex_);
  const auto found = mailboxes_.find(address);
  return found == mailboxes_.end() || !found->second->stored ? 0 : found->second->committed.id;
}

Ledger Directory::ledger() const {
  const std::shared_lock lock(mutex_);
  return committed_ledger_;
}

std::pair<Ledger, QueueTotals> Directory::books() const {
  const std::shared_lock lock(mutex_);
  return {committed_ledger_, committed_queue_};
}

QuarantineTotals Directory::quarantine() const {
  const std::shared_lock lock(mutex_);
  return committed_quarantine_;
}

QueueTotals Directory::queue() const {
  const std::shared_lock lock(mutex_);
  return committed_queue_;
}

}  // namespace postern::storage
