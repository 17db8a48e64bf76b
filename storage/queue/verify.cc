#include "storage/queue/verify.h"

#include <fmt/format.h>

#include "storage/queue/record.h"

namespace postern::storage::queue {
namespace {

void check_end(const Verification& in, const rocksdb::Iterator& rows, Table table) {
  if (!rows.status().ok())
    in.problem(fmt::format("column family {}: cannot be read further: {}",
                           kTableNames[static_cast<std::size_t>(table)], rows.status().ToString()));
}

bool exists(const Verification& in, Table table, std::string_view key) {
  std::string value;
  if (in.database.table(table) == nullptr) return false;
  return in.database.db().Get(in.read, in.database.table(table), slice(key), &value).ok();
}

/// Every due time belongs to an entry that says the same.
void check_due(const Verification& in) {
  const auto rows = in.database.iterate(Table::due, in.read);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto name = decode_due_key(view(rows->key()));
    if (!name) {
      in.problem(fmt::format("a due time's key: {}", name.error().text()));
      continue;
    }
    std::string value;
    const rocksdb::Status status =
        in.database.db().Get(in.read, in.database.table(Table::queue), slice(queue_key(name->key)), &value);
    if (!status.ok()) {
      in.problem(fmt::format("queue entry {}: is due, but not there", name->key.text()));
      continue;
    }
    const auto entry = decode_queue_entry(value);
    if (!entry) continue;  // reported with the entry
    if (entry->destination != name->destination || entry->priority != name->priority ||
        entry->due_ms != name->due_ms || entry->state != QueueState::waiting)
      in.problem(fmt::format("queue entry {}: is due otherwise than it says", name->key.text()));
  }
  check_end(in, *rows, Table::due);
}

void check_outcomes(const Verification& in) {
  const auto rows = in.database.iterate(Table::outcomes, in.read);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto key = decode_queue_key(view(rows->key()));
    if (!key) {
      in.problem(fmt::format("an outcome's key: {}", key.error().text()));
      continue;
    }
    const auto entry = decode_queue_entry(view(rows->value()));
    if (!entry) {
      in.problem(fmt::format("outcome {}: {}", key->text(), entry.error().text()));
    } else if (entry->waiting() != 0) {
      in.problem(fmt::format("outcome {}: a recipient still waits", key->text()));
    }
    if (exists(in, Table::queue, view(rows->key())))
      in.problem(fmt::format("queue entry {}: is open and closed", key->text()));
  }
  check_end(in, *rows, Table::outcomes);
}

}  // namespace

void for_each(const Verification& in, const std::function<void(const QueueKey&, const QueueEntry&)>& visit) {
  const auto rows = in.database.iterate(Table::queue, in.read);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto key = decode_queue_key(view(rows->key()));
    if (!key) continue;
    if (const auto entry = decode_queue_entry(view(rows->value()))) visit(*key, *entry);
  }
}

std::uint64_t verify(const Verification& in, std::uint64_t ledger_open) {
  QueueTotals counted;
  bool all_read = true;
  const auto rows = in.database.iterate(Table::queue, in.read);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    ++counted.entries;
    const auto key = decode_queue_key(view(rows->key()));
    if (!key) {
      in.problem(fmt::format("a queue entry's key: {}", key.error().text()));
      all_read = false;
      continue;
    }
    const auto entry = decode_queue_entry(view(rows->value()));
    if (!entry) {
      in.problem(fmt::format("queue entry {}: {}", key->text(), entry.error().text()));
      all_read = false;
      continue;
    }
    counted.recipients += entry->waiting();
    counted.octets += entry->octets;
    if (entry->waiting() == 0) in.problem(fmt::format("queue entry {}: nobody waits any more", key->text()));
    const DueName due{
        .destination = entry->destination, .priority = entry->priority, .due_ms = entry->due_ms, .key = *key};
    if (entry->state == QueueState::waiting && !exists(in, Table::due, due_key(due)))
      in.problem(fmt::format("queue entry {}: waits, but is never due", key->text()));
  }
  check_end(in, *rows, Table::queue);
  check_due(in);
  check_outcomes(in);

  std::string value;
  const rocksdb::Status status =
      in.database.db().Get(in.read, in.database.table(Table::meta), slice(kQueueTotalsKey), &value);
  QueueTotals totals;
  if (status.ok()) {
    const auto decoded = decode_queue_totals(value);
    if (!decoded) in.problem("queue totals: " + decoded.error().text());
    totals = decoded.value_or(QueueTotals{});
  }
  if (!all_read) return counted.entries;
  if (totals != counted)
    in.problem(fmt::format("queue totals: say {} entries, {} recipients, {} octets, there are {}, {}, {}",
                           totals.entries, totals.recipients, totals.octets, counted.entries,
                           counted.recipients, counted.octets));
  if (ledger_open != counted.recipients)
    in.problem(fmt::format("ledger: {} recipients are open, but {} wait in the queue", ledger_open,
                           counted.recipients));
  return counted.entries;
}

}  // namespace postern::storage::queue
