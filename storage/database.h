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
enum class Table : std::size_t { meta, mailboxes, folders, entries, messages, bodies, decisions };
inline constexpr std::array<std::string_view, 7> kTableNames = {
    "default", "mailboxes", "folders", "entries", "messages", "bodies", "decisions"};

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
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* table(Table table) const { return handles_[static_cast<std::size_t>(table)]; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& tables() const { return handles_; }

  /// Code::not_found when there is no such key.
  std::expected<std::string, Error> get(Table table, std::string_view key, std::string_view doing) const;
  std::unique_ptr<rocksdb::Iterator> iterate(Table table, const rocksdb::ReadOptions& options) const;

 private:
  Database(rocksdb::DB* db, std::vector<rocksdb::ColumnFamilyHandle*> handles)
      : db_(db), handles_(std::move(handles)) {}

  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*>
      handles_;  // owned by RocksDB's rules: destroyed before the database
};

}  // namespace postern::storage
