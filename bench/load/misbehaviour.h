#pragma once

#include "bench/load/core.h"
#include "bench/load/tally.h"
#include "gateway/reactor/task.h"

namespace postern::load {

/// The misbehaviour of a connection, by its number; or good manners.
std::optional<Misbehaviour> misbehaviour_of(const Options& options, std::uint64_t connection);

/// One connection that misbehaves, from start to end, which takes a few seconds at most. Counts itself.
reactor::Task<void> misbehave(Core& core, Misbehaviour kind, std::uint64_t number, Ticket ticket);

}  // namespace postern::load
