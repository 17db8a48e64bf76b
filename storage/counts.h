#pragma once

#include <rocksdb/merge_operator.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "storage/database.h"
#include "storage/store.h"

namespace postern::storage {

/// Adds the counts of the column family `counts` up, so that counting one more is a write without a read. A count that cannot
/// be read counts as nothing: refusing to add would stop every compaction of the store.
std::shared_ptr<rocksdb::MergeOperator> count_adder();

/// Counters of rows by day, exact and in the same batch as what is counted. Rows of one day are bounded: what comes beyond them is
/// counted in one row without domain and text. The commit thread's own.
class Counts {
 public:
  Counts(const Database& database, const Options& options);

  /// Forgets which rows are known; they are read again when they are needed.
  void restart();
  /// One more, of the day of `at`. False: the day has no room for another row, or the row is longer than rows may be, and it went
  /// to the overflow row.
  bool add(const Counted& counted, std::chrono::sys_time<std::chrono::milliseconds> at,
           rocksdb::WriteBatch& writes);
  /// Takes out days that are too old. The number of writes.
  std::size_t trim(std::chrono::sys_time<std::chrono::milliseconds> now, rocksdb::WriteBatch& writes);

  /// Days since 1970, UTC; before 1970 counts as 1970.
  static std::uint32_t day_of(std::chrono::sys_time<std::chrono::milliseconds> at);

 private:
  /// Hashes of the keys of one day. Two rows with one hash count as one against the bound, nothing else.
  using Known = std::unordered_set<std::size_t>;
  static constexpr std::size_t kDaysKnownMax = 2;  ///< around midnight
  Known& known_of(std::uint32_t day);

  const Database& database_;
  const std::size_t rows_max_;
  const std::uint32_t days_max_;
  std::map<std::uint32_t, Known> known_;
  std::uint32_t trimmed_until_ = 0;
  std::string key_, one_;
};

}  // namespace postern::storage
