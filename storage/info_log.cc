#include "storage/info_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <system_error>
#include <utility>

namespace postern::storage {

InfoLog::InfoLog(std::filesystem::path directory)
    : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), directory_(std::move(directory)) {
  open();
}

InfoLog::~InfoLog() {
  if (file_ >= 0) ::close(file_);
}

void InfoLog::open() {
  if (file_ >= 0) ::close(file_);
  file_ = ::open((directory_ / "rocksdb.txt").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                 0600);
  struct stat status{};
  octets_ = file_ >= 0 && ::fstat(file_, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

void InfoLog::Logv(const char* format, va_list arguments) {
  std::array<char, kLineOctetsMax> line;
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  (void)::gmtime_r(&now.tv_sec, &utc);
  std::size_t length = std::strftime(line.data(), line.size(), "%Y-%m-%dT%H:%M:%SZ ", &utc);
  const std::size_t room = line.size() - length;
  const int wanted = std::vsnprintf(line.data() + length, room, format, arguments);
  if (wanted < 0) return;
  length += std::min(static_cast<std::size_t>(wanted), room - 1);
  line[std::min(length, line.size() - 1)] = '\n';
  length = std::min(length + 1, line.size());

  const std::scoped_lock lock(mutex_);
  if (octets_ > kFileOctetsMax) {
    std::error_code ignored;
    std::filesystem::rename(directory_ / "rocksdb.txt", directory_ / "rocksdb.old.txt", ignored);
    open();
  }
  if (file_ < 0) return;
  const ssize_t written = ::write(file_, line.data(), length);
  if (written > 0) octets_ += static_cast<std::uint64_t>(written);
}

}  // namespace postern::storage
