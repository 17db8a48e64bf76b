#include "storage/training/posix.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace postern::storage::training {

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Error system_error(const std::filesystem::path& path, std::string_view what, int error) {
  const Code code = error == ENOSPC || error == EDQUOT ? Code::no_space
                    : error == ENOENT                  ? Code::not_found
                                                       : Code::io;
  return {.code = code,
          .context = fmt::format("{}: {}: {}", path.string(), what, std::generic_category().message(error))};
}

std::expected<File, Error> File::open(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return std::unexpected(system_error(path, "cannot be opened", errno));
  return File(descriptor);
}

std::expected<void, Error> File::write(std::string_view octets, const std::filesystem::path& path) const {
  while (!octets.empty()) {
    const ssize_t written = ::write(descriptor_, octets.data(), octets.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return std::unexpected(system_error(path, "cannot be written", errno));
    octets.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::expected<void, Error> File::sync(const std::filesystem::path& path) const {
  if (::fdatasync(descriptor_) != 0) return std::unexpected(system_error(path, "cannot be synced", errno));
  return {};
}

std::expected<std::string, Error> read_file(const std::filesystem::path& path) {
  auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(std::move(file.error()));
  struct stat status{};
  if (::fstat(file->descriptor(), &status) != 0)
    return std::unexpected(system_error(path, "cannot be read", errno));
  std::string octets(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t got = 0;
  while (got < octets.size()) {
    const ssize_t more = ::read(file->descriptor(), octets.data() + got, octets.size() - got);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return std::unexpected(system_error(path, "cannot be read", errno));
    if (more == 0) break;
    got += static_cast<std::size_t>(more);
  }
  octets.resize(got);
  return octets;
}

std::expected<void, Error> sync_folder(const std::filesystem::path& folder) {
  auto file = File::open(folder, O_RDONLY | O_DIRECTORY);
  if (!file) return std::unexpected(std::move(file.error()));
  if (::fsync(file->descriptor()) != 0)
    return std::unexpected(system_error(folder, "cannot be synced", errno));
  return {};
}

std::expected<void, Error> rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    return std::unexpected(system_error(from, "cannot be renamed", errno));
  return {};
}

}  // namespace postern::storage::training
