#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <utility>

#include "gateway/reactor/socket.h"

namespace postern::reactor {

/// The file of a Unix socket that we made: removed when asked, and only while it is still ours.
class UnixPath {
 public:
  UnixPath() = default;
  UnixPath(std::string path, dev_t device, ino_t inode)
      : path_(std::move(path)), device_(device), inode_(inode) {}
  void remove();

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

struct BoundUnixPath {
  int descriptor = -1;  ///< bound, not yet listening; the caller's
  UnixPath file;
};

/// Binds a Unix socket with the given mode. A socket file on which nobody listens is replaced; one somebody
/// listens on, or a file of another kind, is Errc::address_in_use.
std::expected<BoundUnixPath, Error> bind_unix_path(const Address& address, unsigned mode);

}  // namespace postern::reactor
