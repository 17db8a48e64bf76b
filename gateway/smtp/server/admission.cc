#include "gateway/smtp/server/admission.h"

#include <functional>

#include "gateway/reactor/check.h"

namespace postern::smtp {
namespace {

/// RFC 4291 §2.5.4: what is behind the first 64 bits is the customer's own to vary.
constexpr unsigned kIpv6NetworkBits = 64;

}  // namespace

filters::Ip Admission::network_of(const filters::Ip& client) {
  return client.is_v6() ? client.masked(kIpv6NetworkBits) : client;
}

Admission::Shard& Admission::shard_of(const filters::Ip& network) {
  return shards_[std::hash<filters::Ip>()(network) % kShards];
}

Admission::Answer Admission::enter(const filters::Ip& client, const AdmissionLimits& limits) {
  if (total_.fetch_add(1, std::memory_order_relaxed) >= limits.connections_max) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Answer::full;
  }
  if (client.empty()) return Answer::admitted;

  // Clients without a bound are counted too: a reload may give them one while they are here.
  const filters::Ip network = network_of(client);
  Shard& shard = shard_of(network);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.counts.find(network);
  const std::uint32_t here = found == shard.counts.end() ? 0 : found->second;
  if (!limits.unlimited && here >= limits.connections_per_network_max) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Answer::network_full;
  }
  if (found == shard.counts.end()) {
    shard.counts.emplace(network, 1);
  } else {
    ++found->second;
  }
  return Answer::admitted;
}

void Admission::leave(const filters::Ip& client) {
  const std::size_t before = total_.fetch_sub(1, std::memory_order_relaxed);
  POSTERN_CHECK(before > 0);
  if (client.empty()) return;
  const filters::Ip network = network_of(client);
  Shard& shard = shard_of(network);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.counts.find(network);
  POSTERN_CHECK(found != shard.counts.end());
  if (--found->second == 0) shard.counts.erase(found);
}

}  // namespace postern::smtp
