#pragma once

#include <expected>
#include <string>

#include "gateway/cli/view.h"

namespace postern::cli {

/// As much as the control socket takes.
inline constexpr std::size_t kMessageOctetsMax = 64U << 20;

/// The octets of a file, or of standard input for "-"; none and too many are errors.
std::expected<std::string, Stop> read_message(const std::string& name);

}  // namespace postern::cli
