#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace postern::filters::rules {

/// The moment a Date field names: RFC 5322 §3.3 with the obsolete zones of §4.3; comments and a wrong day of the week are passed over.
std::optional<std::chrono::sys_seconds> parse_date(std::string_view value);

}  // namespace postern::filters::rules
