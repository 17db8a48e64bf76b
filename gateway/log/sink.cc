#include "gateway/log/sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::log {
namespace {

/// What kind of thing the descriptor is, as far as writing goes.
mode_t type_of(int fd) {
  struct stat status{};
  return fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : S_IFREG;
}

}  // namespace

void Sink::close() {
  if (fd_ >= 0) (void)::close(fd_);  // nothing could be done about a failure, and nothing is cached here
  fd_ = -1;
}

/// Standard error is shared with whoever started us, so its flags must not be changed: a pipe is opened anew
/// to have flags of our own.
void Sink::adopt_standard_error() {
  const mode_t type = type_of(STDERR_FILENO);
  if (type == S_IFIFO) {
    fd_ = ::open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    kind_ = fd_ >= 0 ? Kind::nonblocking : Kind::pieces;
  } else {
    kind_ = type == S_IFSOCK ? Kind::socket : type == S_IFCHR ? Kind::pieces : Kind::file;
  }
  if (fd_ < 0) fd_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (fd_ < 0) kind_ = Kind::file;  // closed from the start: every write fails, every line is counted
}

bool Sink::open(const std::string& file, std::string* error) {
  if (file.empty()) {
    close();
    adopt_standard_error();
    return true;
  }
  // O_NONBLOCK: a named pipe without a reader must not hold up the start.
  const int fd =
      ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (fd < 0) {
    if (error != nullptr)
      *error = fmt::format("log file {} cannot be opened: {}", file, std::strerror(errno));
    return false;
  }
  close();
  fd_ = fd;
  kind_ = type_of(fd) == S_IFREG ? Kind::file : Kind::nonblocking;
  return true;
}

Sink::Result Sink::write(std::string_view& octets) {
  pollfd waiting{.fd = fd_, .events = POLLOUT, .revents = 0};
  if (kind_ == Kind::pieces && poll(&waiting, 1, kPatienceMs) == 0) return Result::stuck;
  const std::size_t size =
      kind_ == Kind::pieces ? std::min<std::size_t>(octets.size(), PIPE_BUF) : octets.size();
  const ssize_t written = kind_ == Kind::socket ? send(fd_, octets.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                                : ::write(fd_, octets.data(), size);
  if (written > 0) {
    octets.remove_prefix(static_cast<std::size_t>(written));
    return Result::progress;
  }
  if (written < 0 && errno == EINTR) return Result::progress;
  if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return poll(&waiting, 1, kPatienceMs) == 0 ? Result::stuck : Result::progress;
  }
  return Result::failed;
}

}  // namespace postern::log
