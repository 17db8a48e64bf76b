#pragma once

#include "gateway/control/json.h"

namespace postern::cli {

/// What `scan` and `explain` show of a verdict: decision, reason, findings, what could not be found out, and the answers it
/// rests on.
void print_verdict(const control::Json& verdict);

}  // namespace postern::cli
