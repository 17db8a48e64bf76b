#include "gateway/reactor/unix_path.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "gateway/reactor/sockaddr.h"

namespace postern::reactor {
namespace {

std::unexpected<Error> failed(const Address& address, int number, std::string_view what = "bind") {
  return std::unexpected(Error::from_errno(number, fmt::format("{} {}", what, address.text())));
}

int make_socket() {
  return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/// Removes a socket file that a process left behind when it died: connecting to it is refused.
std::expected<void, Error> remove_stale(const Address& address, const KernelAddress& kernel) {
  struct stat status{};
  if (::lstat(address.path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return failed(address, errno);
  }
  if (!S_ISSOCK(status.st_mode))
    return std::unexpected(
        Error{.code = Errc::address_in_use,
              .system_error = EEXIST,
              .context = fmt::format("bind {}: a file that is not a socket is there", address.text())});
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return failed(address, errno);
  const int connected = ::connect(probe, kernel.get(), kernel.length);
  const int number = errno;
  ::close(probe);
  if (connected == 0 || number != ECONNREFUSED) {
    // Accepted, or a full queue (EAGAIN): somebody listens. Not allowed to look: it is not ours to remove.
    return failed(address, number == EACCES && connected != 0 ? EACCES : EADDRINUSE);
  }
  if (::unlink(address.path.c_str()) != 0 && errno != ENOENT) return failed(address, errno, "replace stale");
  return {};
}

}  // namespace

void UnixPath::remove() {
  if (path_.empty()) return;
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
    (void)::unlink(path_.c_str());
  path_.clear();
}

std::expected<BoundUnixPath, Error> bind_unix_path(const Address& address, unsigned mode) {
  if (address.path.size() >= sizeof(sockaddr_un::sun_path)) return failed(address, ENAMETOOLONG);
  const KernelAddress kernel = to_kernel(address);
  if (auto removed = remove_stale(address, kernel); !removed)
    return std::unexpected(std::move(removed.error()));

  const int descriptor = make_socket();
  if (descriptor < 0) return failed(address, errno);
  // The file is made with the socket's own mode (less the umask), so that it is at no moment wider than
  // asked; then exactly.
  const bool made = ::fchmod(descriptor, mode) == 0 && ::bind(descriptor, kernel.get(), kernel.length) == 0;
  struct stat status{};
  if (!made || ::chmod(address.path.c_str(), mode) != 0 || ::lstat(address.path.c_str(), &status) != 0) {
    const int number = errno;
    ::close(descriptor);
    if (made) (void)::unlink(address.path.c_str());
    return failed(address, number);
  }
  return BoundUnixPath{.descriptor = descriptor,
                       .file = UnixPath(address.path, status.st_dev, status.st_ino)};
}

}  // namespace postern::reactor
