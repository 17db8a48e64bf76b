#pragma once

#include <expected>
#include <string>

#include "bench/load/options.h"
#include "bench/load/runner.h"

namespace postern::load {

/// One HTML page that needs nothing else: the report, and throughput and latency over the run's seconds as SVG.
std::string page_of(const Options& options, const RunResult& result);
/// Writes it; the error is one sentence.
std::expected<void, std::string> write_plot(const std::string& path, const Options& options,
                                            const RunResult& result);

}  // namespace postern::load
