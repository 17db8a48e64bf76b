#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/dns/resolver.h"
#include "gateway/reactor/socket.h"
#include "gateway/serve/failure.h"
#include "storage/store.h"

namespace postern::serve {

/// Descriptors that are needed beside one per connection: the store's files, rings, logs, the control socket.
inline constexpr std::uint64_t kDescriptorsReserved = 2048;
/// What a core's resolver may hold while it asks: UDP ports and TCP connections.
inline constexpr std::uint64_t kDescriptorsPerResolver = 1024 + 32;

/// Raises RLIMIT_NOFILE to what the manifest's connections and cores need, as far as we may. A sentence when it stays short.
std::string raise_descriptor_limit(const config::Config& config);

/// How many cores the manifest asks for; 0 means as many as this process may use.
unsigned core_count(const config::Config& config);

/// [dns] for one core: the cores share the memory for caches, and an expired answer comes before the timeout.
dns::ResolverOptions resolver_options(const config::Config& config);

storage::Options store_options(const config::StoreConfig& config);

struct SocketAddresses {
  std::vector<reactor::Address> listeners;  ///< in the manifest's order
  reactor::Address control;
  reactor::Address metrics;  ///< the default one: off
};
/// The texts of the manifest as addresses; folders of Unix sockets are made.
std::expected<SocketAddresses, Failure> socket_addresses(const config::Config& config);

}  // namespace postern::serve
