#pragma once

#include <chrono>
#include <string>

namespace postern::delivery::report {

/// "Tue, 24 Nov 2026 12:00:00 +0000": RFC 5322 §3.3, in UTC.
std::string date_text(std::chrono::sys_seconds time);

}  // namespace postern::delivery::report
