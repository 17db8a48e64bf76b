#pragma once

#include <expected>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "storage/commit_thread.h"
#include "storage/database.h"
#include "storage/directory.h"
#include "storage/health.h"
#include "storage/lock_file.h"
#include "storage/store.h"

namespace postern::storage {

/// The largest id of a stored message.
std::expected<MessageId, Error> newest_message(const Database& database);

/// Readers hold `open` shared, close() and reopen() hold it alone: RocksDB is never taken from under a
/// reader.
class Store::Impl {
 public:
  std::shared_ptr<Health> health = std::make_shared<Health>();
  LockFile lock;
  std::unique_ptr<Database> database;  // null once closed
  Directory directory;
  std::unique_ptr<CommitThread> commit;  // null when read-only; lives on after close() for its counters
  mutable std::shared_mutex open;

  template <class Read>
  auto reading(Read read) const -> decltype(read(*database)) {
    const std::shared_lock guard(open);
    if (!database) return std::unexpected(Error{.code = Code::stopping, .context = "the store is closed"});
    if (!database->is_open())
      return std::unexpected(Error{.code = Code::io, .context = "the store is not open: " + health->text()});
    return read(*database);
  }

  /// On the commit thread.
  std::expected<MessageId, Error> reopen() {
    const std::unique_lock alone(open);
    auto opened = database->reopen();
    if (!opened) return std::unexpected(std::move(opened.error()));
    auto loaded = directory.load(*database, /*lenient=*/false);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    return newest_message(*database);
  }

  std::expected<std::uint64_t, Error> run(Command& command) {
    if (!commit)
      return std::unexpected(Error{.code = Code::io, .context = "the store is open for reading only"});
    return commit->run(command);
  }
};

}  // namespace postern::storage
