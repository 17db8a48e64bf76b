#pragma once

#include <functional>

#include "storage/quarantine/entry.h"
#include "storage/queue/verify.h"

namespace postern::storage::quarantine {

/// Every entry can be read and leads somewhere, and the totals agree. Gives the number of entries.
std::uint64_t verify(const queue::Verification& verification);

/// Calls `visit` for every entry that can be read, in the order of the keys.
void for_each(const queue::Verification& verification,
              const std::function<void(const QuarantineKey&, const QuarantineEntry&)>& visit);

}  // namespace postern::storage::quarantine
