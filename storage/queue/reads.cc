#include "storage/queue/reads.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace postern::storage::queue {
namespace {

constexpr std::size_t kReadaheadOctets = 2U << 20;

QueueRow row_of(const QueueKey& key, std::string_view value) {
  QueueRow row{.key = key};
  auto entry = decode_queue_entry(value);
  if (entry) {
    row.entry = std::move(*entry);
  } else {
    row.problem = entry.error().text();
  }
  return row;
}

/// A view of the database that does not move while it is held.
class Frozen {
 public:
  explicit Frozen(const Database& database) : database_(database), snapshot_(database.db().GetSnapshot()) {}
  ~Frozen() { database_.db().ReleaseSnapshot(snapshot_); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  rocksdb::ReadOptions options() const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    options.fill_cache = false;
    options.readahead_size = kReadaheadOctets;
    return options;
  }

 private:
  const Database& database_;
  const rocksdb::Snapshot* snapshot_;
};

template <class T, class Decode>
std::expected<T, Error> meta(const Database& database, const rocksdb::ReadOptions& options,
                             std::string_view key, Decode decode) {
  std::string value;
  const rocksdb::Status status = database.db().Get(options, database.table(Table::meta), slice(key), &value);
  if (status.IsNotFound()) return T{};
  if (!status.ok()) return std::unexpected(error_of(status, key));
  const auto decoded = decode(value);
  if (!decoded)
    return std::unexpected(
        Error{.code = Code::corrupt, .context = fmt::format("{}: {}", key, decoded.error().text())});
  return *decoded;
}

}  // namespace

/// One seek for each destination, whatever the number of its entries.
std::expected<std::vector<QueueHead>, Error> heads(const Database& database, std::string_view destination,
                                                   std::uint8_t priority, std::size_t count) {
  std::vector<QueueHead> result;
  const auto rows = database.iterate(Table::due, rocksdb::ReadOptions());
  std::string from = due_prefix(destination, priority);
  for (rows->Seek(slice(from)); rows->Valid() && result.size() < count; rows->Seek(slice(from))) {
    const auto name = decode_due_key(view(rows->key()));
    if (!name) {  // nobody's key: passed over, verify() names it
      from = rows->key().ToString();
      from.push_back('\0');
      continue;
    }
    result.push_back(
        {.destination = std::string(name->destination), .priority = name->priority, .due_ms = name->due_ms});
    from = due_prefix(name->destination, static_cast<std::uint8_t>(name->priority + 1));
  }
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "queue"));
  return result;
}

std::expected<std::vector<QueueDue>, Error> due(const Database& database, std::string_view destination,
                                                std::uint8_t priority, std::uint64_t from_ms,
                                                std::uint64_t to_ms, std::size_t count) {
  std::vector<QueueDue> result;
  const std::string prefix = due_prefix(destination, priority);
  const std::string from = due_key({.destination = destination, .priority = priority, .due_ms = from_ms});
  const auto rows = database.iterate(Table::due, rocksdb::ReadOptions());
  for (rows->Seek(slice(from)); rows->Valid() && rows->key().starts_with(slice(prefix)); rows->Next()) {
    if (result.size() >= count) break;
    const auto name = decode_due_key(view(rows->key()));
    if (!name) continue;
    if (name->due_ms > to_ms) break;
    result.push_back({.key = name->key, .due_ms = name->due_ms});
  }
  if (!rows->status().ok())
    return std::unexpected(error_of(rows->status(), fmt::format("queue of \"{}\"", destination)));
  return result;
}

std::expected<QueueEntry, Error> entry(const Database& database, const QueueKey& key) {
  const std::string where = "queue entry " + key.text();
  const auto value = database.get(Table::queue, queue_key(key), where);
  if (!value) return std::unexpected(value.error());
  auto decoded = decode_queue_entry(*value);
  if (!decoded)
    return std::unexpected(
        Error{.code = Code::corrupt, .context = fmt::format("{}: {}", where, decoded.error().text())});
  return std::move(*decoded);
}

std::expected<std::vector<QueueRow>, Error> rows(const Database& database,
                                                 const std::optional<QueueKey>& after, std::size_t count) {
  std::vector<QueueRow> result;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const auto rows = database.iterate(Table::queue, options);
  if (after) {
    const std::string last = queue_key(*after);
    rows->Seek(slice(last));
    if (rows->Valid() && view(rows->key()) == last) rows->Next();
  } else {
    rows->SeekToFirst();
  }
  for (; rows->Valid() && result.size() < count; rows->Next()) {
    const auto key = decode_queue_key(view(rows->key()));
    if (key) result.push_back(row_of(*key, view(rows->value())));
  }
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "queue"));
  return result;
}

std::expected<std::vector<QueueRow>, Error> outcomes(const Database& database, const MessageId& id) {
  std::vector<QueueRow> result;
  for (const Table table : {Table::queue, Table::outcomes}) {
    const auto rows = database.iterate(table, rocksdb::ReadOptions());
    for (rows->Seek(slice(message_key(id))); rows->Valid() && rows->key().starts_with(slice(message_key(id)));
         rows->Next()) {
      const auto key = decode_queue_key(view(rows->key()));
      if (key) result.push_back(row_of(*key, view(rows->value())));
    }
    if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "outcomes of " + id.text()));
  }
  return result;
}

std::expected<QueueAudit, Error> audit(const Database& database) {
  QueueAudit audit;
  const Frozen frozen(database);
  const auto ledger = meta<Ledger>(database, frozen.options(), kLedgerKey, decode_ledger);
  if (!ledger) return std::unexpected(ledger.error());
  const auto totals = meta<QueueTotals>(database, frozen.options(), kQueueTotalsKey, decode_queue_totals);
  if (!totals) return std::unexpected(totals.error());
  audit.ledger_open = ledger->open();
  audit.totals = *totals;
  const auto rows = database.iterate(Table::queue, frozen.options());
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    ++audit.entries;
    const auto entry = decode_queue_entry(view(rows->value()));
    if (entry) {
      audit.recipients += entry->waiting();
    } else {
      ++audit.damaged;
    }
  }
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "queue"));
  return audit;
}

}  // namespace postern::storage::queue
