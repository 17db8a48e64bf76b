#include "storage/quarantine/verify.h"

#include <fmt/format.h>

#include "storage/quarantine/record.h"
#include "storage/queue/record.h"

namespace postern::storage::quarantine {

void for_each(const queue::Verification& in,
              const std::function<void(const QuarantineKey&, const QuarantineEntry&)>& visit) {
  const auto rows = in.database.iterate(Table::quarantine, in.read);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto key = decode_queue_key(view(rows->key()));
    if (!key) continue;
    if (const auto entry = decode_quarantine_entry(view(rows->value()))) visit(*key, *entry);
  }
}

std::uint64_t verify(const queue::Verification& in) {
  std::uint64_t entries = 0, octets = 0;
  bool all_read = true;
  const auto rows = in.database.iterate(Table::quarantine, in.read);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    ++entries;
    const auto key = decode_queue_key(view(rows->key()));
    if (!key) {
      in.problem(fmt::format("a quarantine entry's key: {}", key.error().text()));
      all_read = false;
      continue;
    }
    const auto entry = decode_quarantine_entry(view(rows->value()));
    if (!entry) {
      in.problem(fmt::format("quarantine entry {}: {}", key->text(), entry.error().text()));
      all_read = false;
      continue;
    }
    octets += entry->octets;
  }
  if (!rows->status().ok()) {
    in.problem(
        fmt::format("column family quarantine: cannot be read further: {}", rows->status().ToString()));
    return entries;
  }

  std::string value;
  const rocksdb::Status status =
      in.database.db().Get(in.read, in.database.table(Table::meta), slice(kQuarantineTotalsKey), &value);
  QuarantineTotals totals;
  if (status.ok()) {
    const auto decoded = decode_quarantine_totals(value);
    if (!decoded) in.problem("quarantine totals: " + decoded.error().text());
    totals = decoded.value_or(QuarantineTotals{});
  }
  if (all_read && (totals.entries != entries || totals.octets != octets))
    in.problem(fmt::format("quarantine totals: say {} entries of {} octets, there are {} of {}",
                           totals.entries, totals.octets, entries, octets));
  return entries;
}

}  // namespace postern::storage::quarantine
