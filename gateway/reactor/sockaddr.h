#pragma once

#include <sys/socket.h>

#include "gateway/reactor/socket.h"

namespace postern::reactor {

/// An address in the kernel's form.
struct KernelAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// A Unix path longer than the kernel takes is a mistake of the caller: Address::parse and Listener refuse
/// it.
KernelAddress to_kernel(const Address& address);
/// Empty for an unnamed or abstract Unix socket, which is what clients of one usually are.
Address from_kernel(const KernelAddress& address);

/// getsockname() and getpeername().
std::expected<Address, Error> local_address(int descriptor);
std::expected<Address, Error> peer_address(int descriptor);

}  // namespace postern::reactor
