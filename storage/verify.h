#pragma once

#include <expected>

#include "storage/database.h"
#include "storage/error.h"
#include "storage/store.h"

namespace postern::storage {

/// Store::verify(). All reads are of one snapshot, so it may run beside the commit thread. Memory is bounded
/// by a window of messages, whatever the size of the store.
std::expected<VerifyReport, Error> verify(const Database& database);

}  // namespace postern::storage
