#include "storage/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/record.h"

// The queue's side of Batch: entries made with a transaction, and what becomes of them.

namespace postern::storage {
namespace {

Error invalid(std::string context) {
  return Error{.code = Code::invalid, .context = std::move(context)};
}

Error corrupt(std::string where, const DecodeError& error) {
  return Error{.code = Code::corrupt, .context = fmt::format("{}: {}", where, error.text())};
}

std::string bounded(std::string_view text) {
  return std::string(text.substr(0, kQueueTextOctetsMax));
}

std::string due_key_of(const QueueKey& key, const QueueEntry& entry) {
  return due_key(
      {.destination = entry.destination, .priority = entry.priority, .due_ms = entry.due_ms, .key = key});
}

/// Puts the outcomes into the entry; gives the new ends, each once.
std::vector<RecipientState> settle(const QueueUpdate& update, QueueEntry& entry) {
  std::vector<RecipientState> ends;
  std::vector<bool> named(entry.recipients.size());
  for (const QueueOutcome& outcome : update.outcomes) {
    QueueRecipient& recipient = entry.recipients[outcome.recipient];
    named[outcome.recipient] = true;
    if (recipient.state != RecipientState::waiting) continue;
    recipient.state = outcome.state;
    recipient.tried_ms = update.now_ms;
    recipient.host = bounded(outcome.host);
    recipient.reply = bounded(outcome.reply);
    if (outcome.state != RecipientState::waiting) ends.push_back(outcome.state);
  }
  if (!update.close_rest) return ends;
  for (std::size_t i = 0; i < entry.recipients.size(); ++i) {
    QueueRecipient& recipient = entry.recipients[i];
    if (named[i] || recipient.state != RecipientState::waiting) continue;
    recipient.state = *update.close_rest;
    recipient.tried_ms = update.now_ms;
    if (!update.close_reply.empty()) recipient.reply = bounded(update.close_reply);
    ends.push_back(*update.close_rest);
  }
  return ends;
}

}  // namespace

std::expected<void, Error> check_relays(const std::vector<QueueEntry>& relays) {
  if (relays.size() > kQueuePartsMax)
    return std::unexpected(invalid("more queue entries than a message has"));
  for (const QueueEntry& entry : relays) {
    // Octets are the store's to fill in, and what is left out is cut to them there.
    QueueEntry checked = entry;
    checked.octets = std::max(checked.octets, checked.skip_octets);
    std::string value;
    encode(checked, value);
    if (const auto decoded = decode_queue_entry(value); !decoded)
      return std::unexpected(invalid(
          fmt::format("queue entry for \"{}\": {}", bounded(entry.destination), decoded.error().text())));
    if (entry.waiting() != entry.recipients.size())
      return std::unexpected(
          invalid(fmt::format("queue entry for \"{}\": begins with a recipient closed", entry.destination)));
  }
  return {};
}

void Batch::put_relays(const Transaction& transaction) {
  if (transaction.relays.empty()) return;
  QueueKey key{.id = transaction.id};
  for (const QueueEntry& relay : transaction.relays) {
    QueueEntry entry = relay;
    entry.octets = transaction.header.size() + transaction.body.size();
    entry.skip_octets = std::min(entry.skip_octets, entry.octets);
    entry.received_ms = to_ms(transaction.received_at);
    put_queued(key, entry);
    ++key.part;
  }
}

/// A new entry, all of whose recipients wait.
void Batch::put_queued(const QueueKey& key, const QueueEntry& entry) {
  encode(entry, value_);
  put(Table::queue, queue_key(key), value_);
  if (entry.state == QueueState::waiting) put(Table::due, due_key_of(key, entry), {});
  directory_.working_ledger().opened += entry.recipients.size();
  QueueTotals& totals = directory_.working_queue();
  ++totals.entries;
  totals.recipients += entry.recipients.size();
  totals.octets += entry.octets;
  queue_changed_ = true;
}

std::expected<QueueEntry, Error> Batch::queued(const QueueKey& key) const {
  const std::string name = queue_key(key);
  const std::string where = "queue entry " + key.text();
  if (const auto here = entries_here_.find(name); here != entries_here_.end()) {
    if (here->second) return *here->second;
    return std::unexpected(Error{.code = Code::not_found, .context = where + ": is closed"});
  }
  const auto value = database_.get(Table::queue, name, where);
  if (!value) return std::unexpected(value.error());
  auto entry = decode_queue_entry(*value);
  if (!entry) return std::unexpected(corrupt(where, entry.error()));
  return std::move(*entry);
}

/// The message record as this batch has left it. None: there is none, which is damage that verify() names, and
/// no reason to keep the entry.
std::expected<std::optional<MessageRecord>, Error> Batch::shared(const MessageId& id) const {
  const std::string key(message_key(id));
  if (const auto here = messages_here_.find(key); here != messages_here_.end()) return here->second;
  const std::string where = "message " + id.text();
  const auto value = database_.get(Table::messages, key, where);
  if (!value) {
    if (value.error().code == Code::not_found) return std::nullopt;
    return std::unexpected(value.error());
  }
  auto record = decode_message(*value);
  if (!record) return std::unexpected(corrupt(where, record.error()));
  return std::move(*record);
}

std::expected<void, Error> Batch::update(const QueueUpdate& update) {
  if (!update.set_aside.empty()) {
    remove(Table::due, update.set_aside);
    return {};
  }
  auto found = queued(update.key);
  if (!found) return std::unexpected(std::move(found.error()));
  QueueEntry& entry = *found;
  for (const QueueOutcome& outcome : update.outcomes)
    if (outcome.recipient >= entry.recipients.size())
      return std::unexpected(invalid("queue entry " + update.key.text() + ": has no such recipient"));

  const QueueEntry before = entry;
  const std::vector<RecipientState> ends = settle(update, entry);
  if (update.attempted) ++entry.attempts;
  if (update.state) entry.state = *update.state;
  if (update.due_ms) entry.due_ms = std::min(*update.due_ms, record::kTimeMax);
  if (update.reason) entry.reason = bounded(*update.reason);
  entry.flags |= update.set_flags;
  const bool closed = entry.waiting() == 0;

  // Whatever may fail comes before the first change.
  std::optional<MessageRecord> message;
  if (closed) {
    auto shared_by = shared(update.key.id);
    if (!shared_by) return std::unexpected(std::move(shared_by.error()));
    message = std::move(*shared_by);
  }
  for (const auto& report : update.reports) {  // all that add() can refuse, so that none is added alone
    auto fits = check(*report);
    if (fits) fits = find_targets(*report);
    if (!fits) return std::unexpected(std::move(fits.error()).with("report"));
  }
  for (const auto& report : update.reports) {
    auto added = add(*report);
    if (!added) return std::unexpected(std::move(added.error()).with("report"));
  }

  queue_changed_ = true;
  for (const RecipientState end : ends) count_end(end);
  QueueTotals& totals = directory_.working_queue();
  totals.recipients -= std::min<std::uint64_t>(totals.recipients, ends.size());
  if (before.state == QueueState::waiting) remove(Table::due, due_key_of(update.key, before));
  if (closed) {
    close_entry(update.key, entry, std::move(message));
    return {};
  }
  encode(entry, value_);
  put(Table::queue, queue_key(update.key), value_);
  if (entry.state == QueueState::waiting) put(Table::due, due_key_of(update.key, entry), {});
  entries_here_[queue_key(update.key)] = std::move(entry);
  return {};
}

void Batch::close_entry(const QueueKey& key, const QueueEntry& entry, std::optional<MessageRecord> message) {
  const std::string name = queue_key(key);
  QueueTotals& totals = directory_.working_queue();
  totals.entries -= std::min<std::uint64_t>(totals.entries, 1);
  totals.octets -= std::min(totals.octets, entry.octets);
  remove(Table::queue, name);
  encode(entry, value_);
  put(Table::outcomes, name, value_);
  entries_here_[name] = std::nullopt;
  if (!message) return;
  const std::string id(message_key(key.id));
  if (message->references > 1) {
    --message->references;
    encode(*message, value_);
    put(Table::messages, id, value_);
    messages_here_[id] = std::move(message);
    return;
  }
  // The decision record stays as long as the outcome does: whoever asks tomorrow gets an answer.
  remove(Table::messages, id);
  remove(Table::bodies, id);
  messages_here_[id] = std::nullopt;
}

void Batch::count_end(RecipientState state) {
  Ledger& ledger = directory_.working_ledger();
  switch (state) {
    case RecipientState::relayed:
      ++ledger.relayed;
      return;
    case RecipientState::bounced:
      ++ledger.bounced;
      return;
    case RecipientState::expired:
      ++ledger.expired;
      return;
    case RecipientState::dropped:
      ++ledger.dropped;
      return;
    case RecipientState::waiting:
      return;
  }
}

std::expected<std::uint64_t, Error> Batch::prune(std::uint64_t before_ms, std::size_t count) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const auto rows = database_.iterate(Table::outcomes, options);
  std::uint64_t pruned = 0;
  MessageId last;
  for (rows->SeekToFirst(); rows->Valid() && pruned < count; rows->Next()) {
    const auto entry = decode_queue_entry(view(rows->value()));
    // One that cannot be read is of no use to anybody; verify() has named it.
    if (entry && entry->received_ms >= before_ms) break;  // keys are in the order of acceptance
    remove(Table::outcomes, view(rows->key()));
    ++pruned;
    const auto key = decode_queue_key(view(rows->key()));
    if (!key || key->id == last) continue;
    last = key->id;
    const auto message = shared(key->id);
    if (!message) return std::unexpected(message.error());
    if (!*message) remove(Table::decisions, message_key(key->id));
  }
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "outcomes"));
  return pruned;
}

}  // namespace postern::storage
