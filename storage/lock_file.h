#pragma once

#include <expected>
#include <filesystem>

#include "storage/error.h"

namespace postern::storage {

/// One process has the store open for writing: a lock on `postern.lock` that belongs to the open file (fcntl,
/// F_OFD_SETLK). The file holds the pid for the sentence the next one gets. The kernel releases the lock when
/// the process dies, so a stale file is no obstacle. Asking who holds it takes nothing, so a reader that
/// looks never stands in the way of a server that starts.
class LockFile {
 public:
  static std::expected<LockFile, Error> take(const std::filesystem::path& directory);
  /// For read-only opening: says whether a writer has the store, holds nothing.
  static std::expected<void, Error> check(const std::filesystem::path& directory);

  LockFile() = default;
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile() { release(); }
  void release();

 private:
  explicit LockFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace postern::storage
