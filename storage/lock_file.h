#pragma once

#include <expected>
#include <filesystem>

#include "storage/error.h"

namespace postern::storage {

/// One process has the store open for writing: flock on `postern.lock`, which holds its pid for the sentence
/// the next one gets. The kernel releases it when the process dies, so a stale file is no obstacle.
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
