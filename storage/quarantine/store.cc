#include "storage/quarantine/reads.h"
#include "storage/store_impl.h"

// The quarantine's side of Store. Writing is in quarantine/batch.cc.

namespace postern::storage {
namespace quarantine {
namespace {

QuarantineRow row_of(const QuarantineKey& key, std::string_view value) {
  QuarantineRow row{.key = key};
  auto entry = decode_quarantine_entry(value);
  if (entry) {
    row.entry = std::move(*entry);
  } else {
    row.problem = entry.error().text();
  }
  return row;
}

}  // namespace

std::expected<std::vector<QuarantineRow>, Error> rows(const Database& database,
                                                      const std::optional<QuarantineKey>& after,
                                                      std::size_t count) {
  std::vector<QuarantineRow> result;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const auto rows = database.iterate(Table::quarantine, options);
  if (after) {
    const std::string last = queue_key(*after);
    rows->Seek(slice(last));
    if (rows->Valid() && view(rows->key()) == last) rows->Next();
  } else {
    rows->SeekToFirst();
  }
  for (; rows->Valid() && result.size() < count; rows->Next())
    if (const auto key = decode_queue_key(view(rows->key())))
      result.push_back(row_of(*key, view(rows->value())));
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "quarantine"));
  return result;
}

std::expected<std::vector<QuarantineRow>, Error> of(const Database& database, const MessageId& id) {
  std::vector<QuarantineRow> result;
  const auto rows = database.iterate(Table::quarantine, rocksdb::ReadOptions());
  for (rows->Seek(slice(message_key(id))); rows->Valid() && rows->key().starts_with(slice(message_key(id)));
       rows->Next())
    if (const auto key = decode_queue_key(view(rows->key())))
      result.push_back(row_of(*key, view(rows->value())));
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "quarantine of " + id.text()));
  return result;
}

}  // namespace quarantine

std::expected<std::vector<QuarantineRow>, Error> Store::quarantine_rows(
    const std::optional<QuarantineKey>& after, std::size_t count) const {
  return impl_->reading([&](const Database& database) { return quarantine::rows(database, after, count); });
}

std::expected<std::vector<QuarantineRow>, Error> Store::quarantine_of(const MessageId& id) const {
  return impl_->reading([&](const Database& database) { return quarantine::of(database, id); });
}

QuarantineTotals Store::quarantine_totals() const {
  return impl_->directory.quarantine();
}

std::expected<std::uint64_t, Error> Store::leave_quarantine(
    const std::vector<QuarantineKey>& keys, QuarantineEnd how,
    std::chrono::sys_time<std::chrono::milliseconds> now) {
  static const std::vector<std::uint32_t> kNoUids;
  std::uint64_t left = 0;
  // A release looks up in the store which parts of the queue its message has: what the one before it made must be there.
  const std::size_t together = how == QuarantineEnd::released ? 1 : kQuarantineKeysMax;
  for (std::size_t at = 0; at < keys.size(); at += together) {
    const auto first = keys.begin() + static_cast<std::ptrdiff_t>(at);
    const std::vector<QuarantineKey> some(
        first, first + static_cast<std::ptrdiff_t>(std::min(together, keys.size() - at)));
    Command command{.kind = Command::Kind::quarantine,
                    .mailbox = {},
                    .folder = {},
                    .uids = kNoUids,
                    .before_ms = to_ms(now),
                    .keys = &some,
                    .end = how};
    const auto changed = impl_->run(command);
    if (!changed) return changed;
    left += *changed;
  }
  return left;
}

}  // namespace postern::storage
