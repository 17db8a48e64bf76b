#pragma once

#include <string>
#include <string_view>

#include "gateway/config/schema.h"

namespace postern::config {

/// What to say about a key that the section does not have: `unknown key; did you mean "recipients_max"?`, or
/// the section where it belongs.
std::string unknown_key(const Section& section, std::string_view key);

}  // namespace postern::config
