#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "filters/ip.h"
#include "gateway/smtp/server/handler.h"

namespace postern::smtp {

/// Counts connections of all cores, in total and per client network. Thread-safe: a few locked shards, touched twice per
/// connection. Memory is bounded by the connections themselves.
class Admission {
 public:
  enum class Answer : std::uint8_t { admitted, full, network_full };

  /// `admitted` must be followed by exactly one leave() with the same client. A client without an address (Unix socket)
  /// counts in the total only.
  Answer enter(const filters::Ip& client, const AdmissionLimits& limits);
  void leave(const filters::Ip& client);
  std::size_t connections() const { return total_.load(std::memory_order_relaxed); }

  /// An IPv4 address or the /64 of an IPv6 address: what one customer of a provider has.
  static filters::Ip network_of(const filters::Ip& client);

 private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<filters::Ip, std::uint32_t> counts;
  };
  static constexpr std::size_t kShards = 64;
  Shard& shard_of(const filters::Ip& network);

  std::array<Shard, kShards> shards_;
  std::atomic<std::size_t> total_{0};
};

}  // namespace postern::smtp
