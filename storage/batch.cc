#include "storage/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace postern::storage {
namespace {

constexpr std::uint64_t kMessageOctetsMax =
    1ULL << 30;  // RocksDB's values end at 4 GiB, and everything of one is in memory
constexpr std::size_t kBatchOctetsKept = 64U << 20;  // a batch that grew beyond gives its memory back
constexpr std::uint32_t kUidMax = std::numeric_limits<std::uint32_t>::max();

Error invalid(std::string context) {
  return Error{.code = Code::invalid, .context = std::move(context)};
}

Error corrupt(std::string where, const DecodeError& error) {
  return Error{.code = Code::corrupt, .context = fmt::format("{}: {}", where, error.text())};
}

}  // namespace

std::expected<void, Error> check_names(std::string_view mailbox, std::string_view folder) {
  if (mailbox.empty()) return std::unexpected(invalid("a mailbox without an address"));
  if (mailbox.size() > Store::kMailboxOctetsMax)
    return std::unexpected(invalid(fmt::format("a mailbox address of {} octets, where {} are the most",
                                               mailbox.size(), Store::kMailboxOctetsMax)));
  if (folder.empty())
    return std::unexpected(invalid(fmt::format("mailbox \"{}\": a folder without a name", mailbox)));
  if (folder.size() > Store::kFolderOctetsMax)
    return std::unexpected(
        invalid(fmt::format("mailbox \"{}\": a folder name of {} octets, where {} are the most", mailbox,
                            folder.size(), Store::kFolderOctetsMax)));
  if (!is_utf8(folder))
    return std::unexpected(invalid(fmt::format("mailbox \"{}\": a folder name that is not UTF-8", mailbox)));
  return {};
}

Batch::Batch(const Database& database, Directory& directory, MessageId newest, const Options& options)
    : database_(database),
      directory_(directory),
      refusals_(database, options),
      counts_(database, options),
      quarantine_age_max_(options.quarantine_age_max),
      quarantine_octets_max_(options.quarantine_octets_max),
      newest_at_open_(newest) {}

std::expected<void, Error> Batch::check(const Transaction& transaction) const {
  if (transaction.deliveries.empty() && transaction.relays.empty() && transaction.quarantined.empty() &&
      transaction.discarded == 0)
    return std::unexpected(
        invalid(fmt::format("message {}: a transaction without deliveries", transaction.id.text())));
  if (transaction.header.size() > kMessageOctetsMax ||
      transaction.body.size() > kMessageOctetsMax - transaction.header.size() ||
      transaction.envelope.size() > kMessageOctetsMax || transaction.record.size() > kMessageOctetsMax ||
      transaction.mail_from.size() > kMessageOctetsMax)
    return std::unexpected(
        invalid(fmt::format("message {}: larger than {} octets", transaction.id.text(), kMessageOctetsMax)));
  for (const Delivery& delivery : transaction.deliveries) {
    auto checked = check_names(delivery.mailbox, delivery.folder);
    if (!checked) return std::unexpected(std::move(checked.error()));
  }
  auto relays = check_relays(transaction.relays);
  if (!relays) return relays;
  auto quarantined = check_quarantined(transaction.quarantined);
  if (!quarantined) return quarantined;
  const auto known = is_known(transaction.id);
  if (!known) return std::unexpected(known.error());
  if (*known)
    return std::unexpected(
        invalid(fmt::format("message {}: the id is already in the store", transaction.id.text())));
  return {};
}

/// Ids of one core come in rising order, so a newer one than all before needs no look at the disk. Any other
/// is looked up.
std::expected<bool, Error> Batch::is_known(const MessageId& id) const {
  const bool after_open = id > newest_at_open_;
  const bool after_last = id > newest_of_core_[id.octets[6]];
  if (after_open && after_last) return false;
  if (!after_last && std::ranges::find(ids_, id) != ids_.end()) return true;
  const auto record = database_.get(Table::messages, message_key(id), "message " + id.text());
  if (record) return true;
  if (record.error().code == Code::not_found) return false;
  return std::unexpected(record.error());
}

/// Resolves every delivery before anything is changed: a folder record that cannot be read refuses the whole
/// transaction.
std::expected<void, Error> Batch::find_targets(const Transaction& transaction) {
  targets_.clear();
  const std::uint64_t now = to_ms(transaction.received_at);
  for (const Delivery& delivery : transaction.deliveries) {
    auto target = target_for(delivery, now, transaction.deliveries.size());
    if (!target) return std::unexpected(std::move(target.error()));
    targets_.push_back(*target);
  }
  return {};
}

/// Where there is room for so many uids.
std::expected<Batch::Target, Error> Batch::target_for(const Delivery& delivery, std::uint64_t now_ms,
                                                      std::size_t uids) {
  Directory::Mailbox* mailbox = directory_.mailbox(delivery.mailbox);
  if (mailbox == nullptr)
    return std::unexpected(
        Error{.code = Code::no_space,
              .context = fmt::format("mailbox \"{}\": no mailbox number is left", delivery.mailbox)});
  auto folder = directory_.folder(database_, *mailbox, folder_name(delivery.folder), now_ms, /*create=*/true);
  if (!folder) return std::unexpected(std::move(folder.error()));
  if (kUidMax - (*folder)->working.uid_next < uids)
    return std::unexpected(Error{.code = Code::no_space,
                                 .context = fmt::format("mailbox \"{}\" folder \"{}\": no uid is left",
                                                        delivery.mailbox, delivery.folder)});
  return Target{.mailbox = mailbox, .folder = *folder, .flags = delivery.flags};
}

std::expected<void, Error> Batch::add(const Transaction& transaction) {
  auto checked = check(transaction);
  for (const auto& variant : transaction.variants) {  // all that can be refused, so that none is added alone
    if (checked) checked = check(*variant);
    if (checked) checked = find_targets(*variant);
  }
  if (!checked) return checked;
  auto found = find_targets(transaction);
  if (!found) return found;
  add_checked(transaction);
  for (const auto& variant : transaction.variants) {
    auto again = find_targets(*variant);
    if (!again) return again;
    add_checked(*variant);
  }
  return {};
}

/// Whose targets have been found.
void Batch::add_checked(const Transaction& transaction) {
  count(transaction.counted, transaction.received_at);

  const EntryRecord base{.id = transaction.id,
                         .octets = transaction.header.size() + transaction.body.size(),
                         .received_ms = to_ms(transaction.received_at)};
  for (const Target& target : targets_) put_entry(target, base);
  const bool kept =
      !transaction.deliveries.empty() || !transaction.relays.empty() || !transaction.quarantined.empty();
  if (kept) {
    put_content(transaction);
  } else {  // nobody gets it: why stays readable, as of a refusal
    (void)refusals_.add({.id = transaction.id,
                         .received_at = transaction.received_at,
                         .envelope = transaction.envelope,
                         .record = transaction.record,
                         .counted = {}},
                        writes_);
  }
  put_relays(transaction);
  put_quarantined(transaction);
  Ledger& ledger = directory_.working_ledger();
  ledger.opened += transaction.deliveries.size() + transaction.discarded;
  ledger.delivered += transaction.deliveries.size();
  ledger.discarded += transaction.discarded;
  ids_.push_back(transaction.id);
  MessageId& newest = newest_of_core_[transaction.id.octets[6]];
  newest = std::max(newest, transaction.id);
}

void Batch::put_entry(const Target& target, EntryRecord entry) {
  FolderRecord& folder = target.folder->working;
  Directory::Totals& totals = target.mailbox->working_totals;
  entry.flags = target.flags;
  encode(entry, value_);
  put(Table::entries, view(entry_key(target.mailbox->working.id, folder.id, folder.uid_next)), value_);
  ++folder.uid_next;
  ++folder.messages;
  folder.octets += entry.octets;
  ++totals.messages;
  totals.octets += entry.octets;
  directory_.touch(*target.mailbox, *target.folder);
}

void Batch::count(const Counted& counted, std::chrono::sys_time<std::chrono::milliseconds> at) {
  if (!counted.domain.empty() && !counts_.add(counted, at, writes_)) ++counts_overflowed_;
}

std::expected<void, Error> Batch::add(const Refusal& refusal) {
  const std::uint32_t before = static_cast<std::uint32_t>(writes_.Count());
  const bool kept = !refusal.envelope.empty() || !refusal.record.empty();
  std::expected<void, Error> added;
  if (kept) added = refusals_.add(refusal, writes_);
  count(refusal.counted, refusal.received_at);  // exact, whatever becomes of the record
  unhurried_ += static_cast<std::uint32_t>(writes_.Count()) - before;
  return added;
}

void Batch::trim(std::chrono::sys_time<std::chrono::milliseconds> now) {
  unhurried_ += static_cast<std::uint32_t>(refusals_.trim(now, writes_) + counts_.trim(now, writes_));
}

void Batch::put_content(const Transaction& transaction) {
  const MessageRecord message{.references = transaction.deliveries.size() + transaction.relays.size() +
                                            transaction.quarantined.size(),
                              .octets = transaction.header.size() + transaction.body.size(),
                              .header_octets = transaction.header.size(),
                              .received_ms = to_ms(transaction.received_at),
                              .mail_from = transaction.mail_from};
  encode(message, value_);
  put(Table::messages, message_key(transaction.id), value_);

  // The parts go straight from where they are into the batch: no copy puts them together first.
  const rocksdb::Slice key = slice(message_key(transaction.id));
  const rocksdb::SliceParts keys(&key, 1);
  const std::array<rocksdb::Slice, 2> body = {slice(transaction.header), slice(transaction.body)};
  (void)writes_.Put(database_.table(Table::bodies), keys, rocksdb::SliceParts(body.data(), 2));
  encode_decision_prefix(transaction.envelope.size(), value_);
  const std::array<rocksdb::Slice, 3> decision = {slice(value_), slice(transaction.envelope),
                                                  slice(transaction.record)};
  (void)writes_.Put(database_.table(Table::decisions), keys, rocksdb::SliceParts(decision.data(), 3));
}

std::expected<Batch::Target, Error> Batch::existing(std::string_view address, std::string_view name) {
  Directory::Mailbox* mailbox = directory_.find_mailbox(address);
  if (mailbox == nullptr)
    return std::unexpected(
        Error{.code = Code::not_found, .context = fmt::format("there is no mailbox \"{}\"", address)});
  auto folder = directory_.folder(database_, *mailbox, folder_name(name), 0, /*create=*/false);
  if (!folder) return std::unexpected(std::move(folder.error()));
  return Target{.mailbox = mailbox, .folder = *folder, .flags = 0};
}

std::expected<std::uint64_t, Error> Batch::set_flags(std::string_view mailbox, std::string_view folder,
                                                     std::uint32_t uid, std::uint32_t set,
                                                     std::uint32_t clear) {
  const auto target = existing(mailbox, folder);
  if (!target) return std::unexpected(target.error());
  const EntryKey key = entry_key(target->mailbox->working.id, target->folder->working.id, uid);
  const std::string where = fmt::format("mailbox \"{}\" folder \"{}\" uid {}", mailbox, folder, uid);
  const auto value = database_.get(Table::entries, view(key), where);
  if (!value) return std::unexpected(value.error());
  auto entry = decode_entry(*value);
  if (!entry) return std::unexpected(corrupt(where, entry.error()));
  const std::uint32_t flags = (entry->flags | set) & ~clear;
  if (flags == entry->flags) return 0;
  entry->flags = flags;
  encode(*entry, value_);
  put(Table::entries, view(key), value_);
  return 1;
}

std::expected<void, Error> Batch::drop_reference(const MessageId& id,
                                                 std::unordered_map<std::string, MessageRecord>& messages) {
  const std::string key(message_key(id));
  auto known = messages.find(key);
  if (known == messages.end()) {
    const std::string where = "message " + id.text();
    const auto value = database_.get(Table::messages, key, where);
    if (!value) {
      // An entry whose message is gone is damage, but no reason to keep the entry: verify() names it,
      // expunge() removes it.
      if (value.error().code == Code::not_found) return {};
      return std::unexpected(value.error());
    }
    auto record = decode_message(*value);
    if (!record) return std::unexpected(corrupt(where, record.error()));
    known = messages.emplace(key, std::move(*record)).first;
  }
  if (known->second.references > 0) --known->second.references;
  return {};
}

std::expected<std::uint64_t, Error> Batch::expunge(std::string_view mailbox, std::string_view folder,
                                                   const std::vector<std::uint32_t>& uids) {
  const auto target = existing(mailbox, folder);
  if (!target) return std::unexpected(target.error());
  const std::uint32_t mailbox_id = target->mailbox->working.id;
  Directory::Totals& totals = target->mailbox->working_totals;
  FolderRecord& folder_record = target->folder->working;
  directory_.touch(*target->mailbox, *target->folder);

  std::vector<std::uint32_t> sorted = uids;
  std::ranges::sort(sorted);
  const auto [repeated, end] = std::ranges::unique(sorted);
  sorted.erase(repeated, end);
  std::uint64_t removed = 0;
  std::unordered_map<std::string, MessageRecord> messages;
  for (const std::uint32_t uid : sorted) {
    const EntryKey key = entry_key(mailbox_id, folder_record.id, uid);
    const std::string where = fmt::format("mailbox \"{}\" folder \"{}\" uid {}", mailbox, folder, uid);
    const auto value = database_.get(Table::entries, view(key), where);
    if (!value) {
      if (value.error().code == Code::not_found) continue;
      return std::unexpected(value.error());
    }
    const auto entry = decode_entry(*value);
    if (!entry) return std::unexpected(corrupt(where, entry.error()));
    auto dropped = drop_reference(entry->id, messages);
    if (!dropped) return std::unexpected(std::move(dropped.error()));
    remove(Table::entries, view(key));
    for (std::uint64_t* octets : {&folder_record.octets, &totals.octets})
      *octets -= std::min(*octets, entry->octets);
    for (std::uint64_t* count : {&folder_record.messages, &totals.messages})
      *count -= std::min<std::uint64_t>(*count, 1);
    ++removed;
  }
  for (const auto& [key, message] : messages) {
    if (message.references > 0) {
      encode(message, value_);
      put(Table::messages, key, value_);
      continue;
    }
    for (const Table table : {Table::messages, Table::bodies, Table::decisions}) remove(table, key);
  }
  return removed;
}

rocksdb::WriteBatch& Batch::sealed() {
  if (empty()) return writes_;
  for (const auto& [mailbox, folder] : directory_.touched_folders()) {
    if (folder->unused()) continue;
    folder_key(mailbox->working.id, folder->name, key_);
    encode(folder->working, value_);
    put(Table::folders, key_, value_);
  }
  for (const Directory::Mailbox* mailbox : directory_.touched_mailboxes()) {
    if (mailbox->unused() || (mailbox->stored && mailbox->working == mailbox->committed)) continue;
    encode(mailbox->working, value_);
    put(Table::mailboxes, mailbox->address, value_);
  }
  if (!ids_.empty() || queue_changed_ || quarantine_changed_) {
    encode(directory_.working_ledger(), value_);
    put(Table::meta, kLedgerKey, value_);
  }
  if (queue_changed_) {
    encode(directory_.working_queue(), value_);
    put(Table::meta, kQueueTotalsKey, value_);
  }
  if (quarantine_changed_) {
    encode(directory_.working_quarantine(), value_);
    put(Table::meta, kQuarantineTotalsKey, value_);
  }
  return writes_;
}

void Batch::publish() {
  directory_.publish();
  refusals_.publish();
  clear();
}

void Batch::roll_back() {
  directory_.roll_back();
  refusals_.roll_back();
  clear();
}

void Batch::restart(MessageId newest) {
  newest_at_open_ = newest;
  newest_of_core_.fill(MessageId{});
  refusals_.load();
  counts_.restart();
}

// Put and Delete on a WriteBatch fail only for sizes beyond 4 GiB, which check() keeps out.
std::uint64_t Batch::put_greylist(const Pairs& pairs) {
  for (const auto& [key, value] : pairs) {
    if (value.empty()) {
      remove(Table::greylist, key);
    } else {
      put(Table::greylist, key, value);
    }
  }
  return pairs.size();
}

void Batch::put(Table table, std::string_view key, std::string_view value) {
  (void)writes_.Put(database_.table(table), slice(key), slice(value));
}

void Batch::remove(Table table, std::string_view key) {
  (void)writes_.Delete(database_.table(table), slice(key));
}

void Batch::clear() {
  unhurried_ = 0;
  ids_.clear();
  queue_changed_ = quarantine_changed_ = false;
  entries_here_.clear();
  messages_here_.clear();
  if (writes_.GetDataSize() > kBatchOctetsKept) {
    writes_ = rocksdb::WriteBatch();
  } else {
    writes_.Clear();
  }
}

}  // namespace postern::storage
