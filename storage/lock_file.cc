#include "storage/lock_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace postern::storage {
namespace {

constexpr std::string_view kName = "postern.lock";

std::string reason(int error) {
  return std::generic_category().message(error);
}

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;  // from the start, and length 0: to the end
  return lock;
}

Error held(int descriptor, const std::filesystem::path& directory) {
  std::array<char, 24> text{};
  const ssize_t got = ::pread(descriptor, text.data(), text.size(), 0);
  std::string_view pid(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  pid = pid.substr(0, pid.find_first_not_of("0123456789"));
  return Error{.code = Code::locked,
               .context = fmt::format("{}: another postern (pid {}) has the store open", directory.string(),
                                      pid.empty() ? "unknown" : pid)};
}

}  // namespace

std::expected<LockFile, Error> LockFile::take(const std::filesystem::path& directory) {
  const std::string name = (directory / kName).string();
  LockFile file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.descriptor_ < 0)
    return std::unexpected(Error{.code = errno == ENOSPC ? Code::no_space : Code::io,
                                 .context = fmt::format("{}: cannot be opened: {}", name, reason(errno))});
  struct flock lock = whole_file(F_WRLCK);
  if (::fcntl(file.descriptor_, F_OFD_SETLK, &lock) != 0) {
    if (errno == EAGAIN || errno == EACCES) return std::unexpected(held(file.descriptor_, directory));
    return std::unexpected(
        Error{.code = Code::io, .context = fmt::format("{}: cannot be locked: {}", name, reason(errno))});
  }
  // The pid is for people. A full disk that cannot take it must not keep the store shut.
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(file.descriptor_, 0) == 0) (void)::pwrite(file.descriptor_, pid.data(), pid.size(), 0);
  return file;
}

std::expected<void, Error> LockFile::check(const std::filesystem::path& directory) {
  const std::string name = (directory / kName).string();
  const LockFile file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.descriptor_ < 0)
    return {};  // never opened for writing, or not ours to see: nobody we can name holds it
  struct flock lock = whole_file(F_RDLCK);
  if (::fcntl(file.descriptor_, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
    return std::unexpected(held(file.descriptor_, directory));
  return {};
}

LockFile::LockFile(LockFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  if (this != &other) {
    release();
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

void LockFile::release() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

}  // namespace postern::storage
