#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>
#include <iterator>

#include "gateway/reactor/socket.h"

namespace postern::reactor {

std::expected<void, Error> steer(int listener, unsigned members) {
  if (members == 0) {
    const int unused = 0;
    if (::setsockopt(listener, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0) return {};
    if (errno == ENOENT) return {};  // nothing was attached
    return std::unexpected(Error::from_errno(errno, "SO_DETACH_REUSEPORT_BPF"));
  }
  // What the program returns is the listener's place in the group (socket(7), SO_ATTACH_REUSEPORT_CBPF): random modulo members.
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(SKF_AD_OFF + SKF_AD_RANDOM)),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, members),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  const sock_fprog attached{.len = std::size(program), .filter = program};
  if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached, sizeof attached) == 0)
    return {};
  return std::unexpected(Error::from_errno(errno, "SO_ATTACH_REUSEPORT_CBPF"));
}

}  // namespace postern::reactor
