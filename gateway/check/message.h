#pragma once

#include <chrono>
#include <optional>

#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "gateway/check/evidence.h"
#include "gateway/check/spf.h"

namespace postern::check {

/// DMARC of a whole message, with SPF (where the client is known) and DKIM as it needs them; each keeps its own part of the
/// report, in the JSON as members spf and dkim. Nothing: answers are missing.
std::optional<Report> check_message(const filters::Analysis& analysis, const std::optional<SpfRequest>& spf,
                                    filters::Facts& facts, std::chrono::sys_seconds now);

}  // namespace postern::check
