#pragma once

#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "storage/database.h"
#include "storage/message_id.h"
#include "storage/store.h"

namespace postern::storage {

/// Why messages were refused: kept for a time, as far as they fit, so that `explain` can say it. The oldest go first. Knows
/// the id and the size of each, and writes into the batch that it is given; what it changed counts once publish() says so. The
/// commit thread's own.
class Refusals {
 public:
  /// Of one refusal, envelope and decision together; and how many go in one batch.
  static constexpr std::size_t kOctetsMax = 1U << 20;
  static constexpr std::size_t kTrimmedMax = 1000;

  Refusals(const Database& database, const Options& options);

  /// Reads what is there, as after opening. What cannot be read is left for verify() to name.
  void load();
  std::expected<void, Error> add(const Refusal& refusal, rocksdb::WriteBatch& writes);
  /// Takes out what is too old or too much. The number of writes.
  std::size_t trim(std::chrono::sys_time<std::chrono::milliseconds> now, rocksdb::WriteBatch& writes);
  void publish();
  void roll_back();

  std::uint64_t octets() const { return octets_; }
  std::size_t count() const { return known_.size(); }

 private:
  struct Known {
    MessageId id;
    std::uint32_t octets = 0;
  };
  const Database& database_;
  const std::uint64_t octets_max_;
  const std::chrono::milliseconds age_max_;
  std::deque<Known> known_;  ///< oldest first
  std::uint64_t octets_ = 0;
  std::vector<Known> added_;
  std::size_t trimmed_ = 0;  ///< from the front
  std::string value_;        ///< scratch
};

}  // namespace postern::storage
