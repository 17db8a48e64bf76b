#pragma once

#include <string>

#include "bench/load/options.h"
#include "bench/load/runner.h"

namespace postern::load {

/// For people: a few tables.
std::string table_of(const Options& options, const RunResult& result);
/// For programs: one JSON object, ended by a newline. Latencies are in milliseconds.
std::string json_of(const Options& options, const RunResult& result);

}  // namespace postern::load
