#pragma once

#include <chrono>
#include <optional>

#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "gateway/check/evidence.h"

namespace postern::check {

/// The ARC chain of a message (RFC 8617), seal by seal. Nothing: answers are missing. Its JSON: check, result, reason?,
/// seals [{instance, d, s, results}].
std::optional<Report> check_arc(const filters::Analysis& analysis, filters::Facts& facts,
                                std::chrono::sys_seconds now);

}  // namespace postern::check
