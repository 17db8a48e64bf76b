#pragma once

#include <cstdint>

#include "bench/load/corpus.h"
#include "bench/load/options.h"
#include "bench/load/schedule.h"
#include "bench/load/tally.h"
#include "bench/load/tls_client.h"
#include "gateway/reactor/scope.h"

namespace postern::load {

/// What the connections of one core share. Belongs to that core's thread, but for the live counts of the tally.
struct Core {
  const Options& options;
  const Corpus& corpus;
  const Corpus& spam;  ///< empty when there is none
  const TlsClientContext& tls;
  unsigned index = 0;

  Clock::time_point start;  ///< of the run, when every core is ready
  Schedule schedule{ScheduleOptions{}};
  Tally tally;
  reactor::Scope scope;  ///< all connections: cancelled when the run must end
  std::uint64_t connections_begun = 0;

  /// The message of a ticket.
  std::string_view wire(std::uint64_t ticket) const;
};

/// A number of [0, 1) that depends on its arguments only.
double chance(std::uint64_t seed, std::uint64_t stream, std::uint64_t number);

}  // namespace postern::load
