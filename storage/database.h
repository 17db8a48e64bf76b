#pragma once

#include <rocksdb/db.h>

#include <array>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/error.h"
#include "storage/health.h"
#include "storage/store.h"

namespace postern::storage {

/// The column families; storage/README.md says what each holds.
enum class Table : std::size_t {
  meta,
  mailboxes,
  folders,
  entries,
  messages,
  bodies,
  decisions,
  queue,
  due,
  outcomes,
  refusals,
  counts,
  greylist,
  quarantine
};
inline constexpr std::array<std::string_view, 14> kTableNames = {
    "default", "mailboxes", "folders",  "entries",  "messages", "bodies",   "decisions",
    "queue",   "due",       "outcomes", "refusals", "counts",   "greylist", "quarantine"};

/// `doing` is the sentence part in front: "message 0A…: read".
Error error_of(const rocksdb::Status& status, std::string_view doing);

inline rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

/// RocksDB with our column families open. Private to storage/: the only header that shows RocksDB's own.
class Database {
 public:
  /// Opens or makes the column families; what is in them is the caller's business. `path` exists and is a
  /// directory.
  static std::expected<std::unique_ptr<Database>, Error> open(const Options& options,
                                                              std::shared_ptr<Health> health);
  ~Database() { disconnect(); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Closes RocksDB and opens it again, as after a crash: the one way back from a failed write that does not
  /// depend on what state the failure left RocksDB in. (Its own, DB::Resume(), waits for ever in 7.8 when the
  /// failure met a flush that was about to begin.) Nobody else may be using this object meanwhile. After an
  /// error nothing is open, and it may be tried again.
  std::expected<void, Error> reopen();
  /// False only after a reopen() that failed; then nothing below may be called.
  bool is_open() const { return db_ != nullptr; }

  rocksdb::DB& db() const { return *db_; }
  /// Null for a family that an older program did not have, in a store that is only read.
  rocksdb::ColumnFamilyHandle* table(Table table) const { return handles_[static_cast<std::size_t>(table)]; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& tables() const { return handles_; }

  /// Code::not_found when there is no such key.
  std::expected<std::string, Error> get(Table table, std::string_view key, std::string_view doing) const;
  std::unique_ptr<rocksdb::Iterator> iterate(Table table, const rocksdb::ReadOptions& options) const;

 private:
  Database(const Options& options, std::shared_ptr<Health> health)
      : options_(options), health_(std::move(health)) {}
  std::expected<void, Error> connect(const Options& options);
  void disconnect();

  const Options options_;
  const std::shared_ptr<Health> health_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // RocksDB's: given back before the database is closed
};

}  // namespace postern::storage
