#include "storage/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/quarantine/record.h"

// The quarantine's side of Batch: entries made with a transaction, and how they leave.

namespace postern::storage {
namespace {

Error invalid(std::string context) {
  return Error{.code = Code::invalid, .context = std::move(context)};
}

/// The highest part of the message's keys in the table, and one more; 0 where there is none.
std::uint32_t parts_of(const Database& database, Table table, const MessageId& id) {
  std::uint32_t parts = 0;
  const auto rows = database.iterate(table, rocksdb::ReadOptions());
  for (rows->Seek(slice(message_key(id))); rows->Valid() && rows->key().starts_with(slice(message_key(id)));
       rows->Next())
    if (const auto key = decode_queue_key(view(rows->key()))) parts = key->part + 1U;
  return parts;
}

}  // namespace

std::expected<void, Error> check_quarantined(const std::vector<QuarantineEntry>& entries) {
  if (entries.size() > kQueuePartsMax)
    return std::unexpected(invalid("more quarantine entries than a message has"));
  for (const QuarantineEntry& entry : entries) {
    QuarantineEntry checked = entry;  // octets are the store's to fill in
    checked.octets = std::max(checked.octets, checked.skip_octets);
    std::string value;
    encode(checked, value);
    if (const auto decoded = decode_quarantine_entry(value); !decoded)
      return std::unexpected(invalid(fmt::format("quarantine entry: {}", decoded.error().text())));
  }
  return {};
}

void Batch::put_quarantined(const Transaction& transaction) {
  if (transaction.quarantined.empty()) return;
  QuarantineTotals& totals = directory_.working_quarantine();
  Ledger& ledger = directory_.working_ledger();
  QuarantineKey key{.id = transaction.id};
  for (const QuarantineEntry& one : transaction.quarantined) {
    QuarantineEntry entry = one;
    entry.octets = transaction.header.size() + transaction.body.size();
    entry.skip_octets = std::min(entry.skip_octets, entry.octets);
    entry.received_ms = to_ms(transaction.received_at);
    encode(entry, value_);
    put(Table::quarantine, queue_key(key), value_);
    ++ledger.opened;
    ++ledger.quarantined;
    ++totals.entries;
    totals.octets += entry.octets;
    ++key.part;
  }
  quarantine_changed_ = true;
}

/// One reference less; the last one takes message and body with it, and the decision where no outcome keeps it.
std::expected<void, Error> Batch::give_up_reference(const MessageId& id) {
  auto message = shared(id);
  if (!message) return std::unexpected(std::move(message.error()));
  if (!*message) return {};  // damage that verify() names, and no reason to keep the entry
  const std::string key(message_key(id));
  if ((*message)->references > 1) {
    --(*message)->references;
    encode(**message, value_);
    put(Table::messages, key, value_);
    messages_here_[key] = std::move(*message);
    return {};
  }
  remove(Table::messages, key);
  remove(Table::bodies, key);
  if (parts_of(database_, Table::outcomes, id) == 0) remove(Table::decisions, key);
  messages_here_[key] = std::nullopt;
  return {};
}

/// The reference goes over to what is made here, so the message stays as it is.
std::expected<void, Error> Batch::hand_on(const QuarantineKey& key, const QuarantineEntry& entry,
                                          std::uint64_t now_ms) {
  const auto message = shared(key.id);
  if (!message) return std::unexpected(message.error());
  if (!*message)
    return std::unexpected(
        Error{.code = Code::corrupt, .context = fmt::format("message {}: is missing", key.id.text())});
  Ledger& ledger = directory_.working_ledger();
  if (!entry.mailbox.empty()) {
    auto target = target_for({.mailbox = entry.mailbox}, now_ms, 1);
    if (!target) return std::unexpected(std::move(target.error()));
    put_entry(*target, {.id = key.id, .octets = entry.octets, .received_ms = entry.received_ms});
    ++ledger.opened;
    ++ledger.delivered;
    return {};
  }
  const std::uint32_t part =
      std::max(parts_of(database_, Table::queue, key.id), parts_of(database_, Table::outcomes, key.id));
  if (part >= kQueuePartsMax)
    return std::unexpected(
        Error{.code = Code::no_space,
              .context = fmt::format("message {}: has no room for another queue entry", key.id.text())});
  QueueEntry queued{.destination = entry.destination,
                    .sender = entry.sender,
                    .envid = entry.envid,
                    .flags = entry.flags,
                    .priority = entry.priority,
                    .skip_octets = entry.skip_octets,
                    .octets = entry.octets,
                    .received_ms = now_ms,  // the time that it has for being handed on begins now
                    .due_ms = now_ms};
  queued.recipients.push_back({.address = entry.recipient, .notify = entry.notify, .orcpt = entry.orcpt});
  put_queued({.id = key.id, .part = static_cast<std::uint16_t>(part)}, queued);
  return {};
}

std::expected<bool, Error> Batch::leave_quarantine(const QuarantineKey& key, QuarantineEnd how,
                                                   std::uint64_t now_ms) {
  const std::string name = queue_key(key);
  const std::string where = "quarantine entry " + key.text();
  const auto value = database_.get(Table::quarantine, name, where);
  if (!value && value.error().code == Code::not_found) return false;
  if (!value) return std::unexpected(value.error());
  const auto entry = decode_quarantine_entry(*value);
  if (!entry && how == QuarantineEnd::released)
    return std::unexpected(
        Error{.code = Code::corrupt, .context = fmt::format("{}: {}", where, entry.error().text())});
  // One that cannot be read may be deleted: its key tells the message.
  const auto done = how == QuarantineEnd::released ? hand_on(key, *entry, now_ms) : give_up_reference(key.id);
  if (!done) return std::unexpected(Error(done.error()).with(where));
  remove(Table::quarantine, name);
  QuarantineTotals& totals = directory_.working_quarantine();
  totals.entries -= std::min<std::uint64_t>(totals.entries, 1);
  if (entry) totals.octets -= std::min(totals.octets, entry->octets);
  switch (how) {
    case QuarantineEnd::released:
      ++totals.released;
      break;
    case QuarantineEnd::deleted:
      ++totals.deleted;
      break;
    case QuarantineEnd::expired:
      ++totals.expired;
      break;
    case QuarantineEnd::evicted:
      ++totals.evicted;
      break;
  }
  quarantine_changed_ = true;
  return true;
}

std::expected<std::uint64_t, Error> Batch::leave_quarantine(const std::vector<QuarantineKey>& keys,
                                                            QuarantineEnd how, std::uint64_t now_ms) {
  std::uint64_t left = 0;
  std::vector<QuarantineKey> each =
      keys;  // each once: what this batch takes out still stands in the database
  std::ranges::sort(each);
  const auto [repeated, end] = std::ranges::unique(each);
  each.erase(repeated, end);
  for (const QuarantineKey& key : each) {
    const auto gone = leave_quarantine(key, how, now_ms);
    if (!gone) return std::unexpected(gone.error());
    if (*gone) ++left;
  }
  return left;
}

/// Keys are in the order of acceptance, so the oldest stand in front.
bool Batch::trim_quarantine(std::chrono::sys_time<std::chrono::milliseconds> now) {
  if (directory_.working_quarantine().entries == 0) return false;
  const auto before = static_cast<std::uint32_t>(writes_.Count());
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const auto rows = database_.iterate(Table::quarantine, options);
  std::size_t trimmed = 0;
  for (rows->SeekToFirst(); rows->Valid() && trimmed < kQuarantineKeysMax; rows->Next()) {
    const auto key = decode_queue_key(view(rows->key()));
    if (!key) continue;  // verify() names it
    const bool expired = key->id.made_at() + quarantine_age_max_ <= now;
    if (!expired && directory_.working_quarantine().octets <= quarantine_octets_max_) break;
    const auto gone =
        leave_quarantine(*key, expired ? QuarantineEnd::expired : QuarantineEnd::evicted, to_ms(now));
    if (gone && *gone) ++trimmed;  // what cannot be read now is tried again, and verify() names it
  }
  unhurried_ += static_cast<std::uint32_t>(writes_.Count()) - before;
  return trimmed == kQuarantineKeysMax;
}

}  // namespace postern::storage
