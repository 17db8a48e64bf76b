#include "bench/load/core.h"

namespace postern::load {
namespace {

constexpr std::uint64_t kSpam = 3;  // stream of chance()

/// One step of SplitMix64: every bit of the result depends on every bit of the argument.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

}  // namespace

double chance(std::uint64_t seed, std::uint64_t stream, std::uint64_t number) {
  const std::uint64_t bits = mixed(mixed(mixed(seed) + stream) + number);
  return static_cast<double>(bits >> 11U) * 0x1p-53;
}

std::string_view Core::wire(std::uint64_t ticket) const {
  if (!spam.empty() && chance(options.seed, kSpam, ticket) < options.spam_share) return spam.wire(ticket);
  return corpus.wire(ticket);
}

}  // namespace postern::load
