#include "gateway/serve/preparation.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "gateway/metrics/metrics.h"

namespace postern::serve {
namespace {

std::expected<reactor::Address, Failure> read_address(std::string_view key, std::string_view text) {
  auto address = reactor::Address::parse(text);
  if (!address)
    return std::unexpected(Failure{control::kConfig, fmt::format("{}: {}", key, address.error().text())});
  if (address->is_unix()) {
    std::error_code error;
    const auto folder = std::filesystem::path(address->path).parent_path();
    std::filesystem::create_directories(folder, error);
    if (error)
      return std::unexpected(Failure{
          error == std::errc::permission_denied ? control::kPermission : control::kCannotCreate,
          fmt::format("{}: the folder {} cannot be made: {}", key, folder.string(), error.message())});
  }
  return std::move(*address);
}

}  // namespace

std::string raise_descriptor_limit(const config::Config& config) {
  const rlim_t wanted = config.limits.connections_max + kDescriptorsReserved +
                        std::uint64_t{core_count(config)} * kDescriptorsPerResolver;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  if (limit.rlim_cur >= wanted) return {};
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
    return fmt::format(
        "limits.connections_max = {} needs {} file descriptors, and the system allows {} (LimitNOFILE, "
        "ulimit -n)",
        config.limits.connections_max, wanted, limit.rlim_cur);
  return {};
}

unsigned core_count(const config::Config& config) {
  unsigned count = config.cores;
  if (count == 0) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    // Fails on machines with more CPUs than the set has bits; then all there are.
    count = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? static_cast<unsigned>(CPU_COUNT(&allowed))
                                                                  : std::thread::hardware_concurrency();
  }
  return std::clamp(count, 1U, metrics::kShards - 1);
}

dns::ResolverOptions resolver_options(const config::Config& config) {
  constexpr std::size_t kCachesOctets = 256U << 20, kCacheOctetsMin = 8U << 20, kCacheOctetsMax = 32U << 20;
  constexpr std::chrono::milliseconds kStaleAfterMax{1800};  // RFC 8767 §5
  dns::ResolverOptions options;
  options.resolvers = config.dns.resolvers;
  const bool validate =
      config.dns.dnssec.empty() ? config.dns.resolvers.empty() : config.dns.dnssec == "validate";
  options.dnssec = validate ? dns::Dnssec::validate : dns::Dnssec::off;
  options.cache_octets = std::clamp(kCachesOctets / core_count(config), kCacheOctetsMin, kCacheOctetsMax);
  const std::chrono::milliseconds timeout(config.dns.timeout_ms);
  options.stale_after = std::min(kStaleAfterMax, timeout * 9 / 10);
  return options;
}

storage::Options store_options(const config::StoreConfig& config) {
  storage::Options options;
  options.path = config.path;
  options.queue_transactions_max = config.queue_transactions_max;
  options.queue_octets_max = config.queue_octets_max;
  options.gather_time = std::chrono::microseconds(config.gather_us);
  options.memtable_octets = config.memtable_octets;
  options.block_cache_octets = config.block_cache_octets;
  options.free_octets_min = config.free_octets_min;
  options.refusals_octets_max = config.refusals_octets_max;
  options.refusals_age_max = std::chrono::days(config.refusals_days_max);
  options.quarantine_octets_max = config.quarantine_octets_max;
  options.quarantine_age_max = std::chrono::days(config.quarantine_days_max);
  options.count_days_max = config.dmarc_days_max;
  options.count_rows_per_day_max = config.dmarc_rows_per_day_max;
  return options;
}

std::expected<SocketAddresses, Failure> socket_addresses(const config::Config& config) {
  SocketAddresses addresses;
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    auto address = read_address(fmt::format("listener[{}].address", i), config.listeners[i].address);
    if (!address) return std::unexpected(std::move(address.error()));
    addresses.listeners.push_back(std::move(*address));
  }
  auto control = read_address("control.socket", "unix:" + config.control.socket.string());
  if (!control) return std::unexpected(std::move(control.error()));
  addresses.control = std::move(*control);
  if (!config.metrics.listen.empty()) {
    auto metrics = read_address("metrics.listen", config.metrics.listen);
    if (!metrics) return std::unexpected(std::move(metrics.error()));
    addresses.metrics = std::move(*metrics);
  }
  return addresses;
}

}  // namespace postern::serve
