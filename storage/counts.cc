#include "storage/counts.h"

#include <functional>
#include <limits>

#include "storage/codec.h"

namespace postern::storage {
namespace {

class CountAdder final : public rocksdb::AssociativeMergeOperator {
 public:
  const char* Name() const override { return "postern.count"; }
  bool Merge(const rocksdb::Slice&, const rocksdb::Slice* existing, const rocksdb::Slice& value,
             std::string* sum, rocksdb::Logger*) const override {
    const std::uint64_t before = existing != nullptr ? decode_count(view(*existing)).value_or(0) : 0;
    const std::uint64_t more = decode_count(view(value)).value_or(0);
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - before;
    encode_count(before + (more < room ? more : room), *sum);
    return true;
  }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> count_adder() {
  return std::make_shared<CountAdder>();
}

Counts::Counts(const Database& database, const Options& options)
    : database_(database), rows_max_(options.count_rows_per_day_max), days_max_(options.count_days_max) {
  encode_count(1, one_);
}

void Counts::restart() {
  known_.clear();
  trimmed_until_ = 0;
}

std::uint32_t Counts::day_of(std::chrono::sys_time<std::chrono::milliseconds> at) {
  constexpr std::uint64_t kDayMs = 86'400'000;
  return static_cast<std::uint32_t>(to_ms(at) / kDayMs);
}

Counts::Known& Counts::known_of(std::uint32_t day) {
  if (const auto found = known_.find(day); found != known_.end()) return found->second;
  if (known_.size() >= kDaysKnownMax) known_.erase(known_.begin());
  Known& known = known_[day];
  std::string first;
  count_key({.day = day, .domain = {}, .row = {}}, first);
  const rocksdb::Slice prefix(first.data(), sizeof(std::uint32_t));
  const auto rows = database_.iterate(Table::counts, rocksdb::ReadOptions());
  for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next())
    known.insert(std::hash<std::string_view>{}(view(rows->key())));
  return known;
}

bool Counts::add(const Counted& counted, std::chrono::sys_time<std::chrono::milliseconds> at,
                 rocksdb::WriteBatch& writes) {
  const std::uint32_t day = day_of(at);
  bool fits = counted.domain.size() <= kCountDomainOctetsMax && counted.row.size() <= kCountRowOctetsMax;
  if (fits) {
    count_key({.day = day, .domain = counted.domain, .row = counted.row}, key_);
    Known& known = known_of(day);
    const std::size_t hash = std::hash<std::string_view>{}(key_);
    fits = known.contains(hash) || known.size() < rows_max_;
    if (fits) known.insert(hash);
  }
  if (!fits) count_key({.day = day, .domain = {}, .row = {}}, key_);
  (void)writes.Merge(database_.table(Table::counts), slice(key_), slice(one_));
  return fits;
}

std::size_t Counts::trim(std::chrono::sys_time<std::chrono::milliseconds> now, rocksdb::WriteBatch& writes) {
  const std::uint32_t today = day_of(now);
  const std::uint32_t first_kept = today > days_max_ ? today - days_max_ : 0;
  if (first_kept <= trimmed_until_) return 0;
  trimmed_until_ = first_kept;
  const auto rows = database_.iterate(Table::counts, rocksdb::ReadOptions());
  rows->SeekToFirst();
  const auto oldest = rows->Valid() ? decode_count_key(view(rows->key())) : std::unexpected(DecodeError{});
  if (!oldest || oldest->day >= first_kept) return 0;
  std::string begin, end;
  count_key({.day = 0, .domain = {}, .row = {}}, begin);
  count_key({.day = first_kept, .domain = {}, .row = {}}, end);
  (void)writes.DeleteRange(database_.table(Table::counts), slice(begin),
                           rocksdb::Slice(end.data(), sizeof(std::uint32_t)));
  return 1;
}

}  // namespace postern::storage
