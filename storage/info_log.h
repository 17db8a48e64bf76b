#pragma once

#include <rocksdb/env.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>

namespace postern::storage {

/// RocksDB's warnings and errors, in `rocksdb.txt` in the store's directory, for whoever has to find out what
/// happened to a disk. What cannot be written is lost. RocksDB's own log will not do: in a build with
/// assertions, which Debian's is, its second line after one that failed for want of space ends the process.
class InfoLog final : public rocksdb::Logger {
 public:
  static constexpr std::size_t kLineOctetsMax = 2048;
  static constexpr std::uint64_t kFileOctetsMax = 4U << 20;  ///< then it becomes rocksdb.old.txt

  explicit InfoLog(std::filesystem::path directory);
  ~InfoLog() override;
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  void LogHeader(const char*, va_list) override {}  ///< all options, at every start

 private:
  void open();

  const std::filesystem::path directory_;
  std::mutex mutex_;
  int file_ = -1;
  std::uint64_t octets_ = 0;
};

/// Takes everything and keeps nothing: opening for reading must not write.
class NoInfoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace postern::storage
