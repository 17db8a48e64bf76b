#pragma once

#include <functional>

#include "bench/load/core.h"
#include "gateway/reactor/task.h"

namespace postern::load {

/// A core's part of the run. `ready` is called once the idle connections stand, and gives the start of the run: it may
/// block until all cores are ready. Ends when the schedule has nothing more and every message has its outcome, or when
/// a message was still without one --timeout after the end.
reactor::Task<void> run_core(Core& core, const std::function<Clock::time_point()>& ready);

}  // namespace postern::load
