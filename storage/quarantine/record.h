#pragma once

#include <string>
#include <string_view>

#include "storage/codec.h"
#include "storage/quarantine/entry.h"

namespace postern::storage {

// The quarantine's records, both ways; storage/README.md shows the layouts. An entry's key is written as the queue's: queue_key().

inline constexpr std::string_view kQuarantineTotalsKey = "quarantine";  ///< in Table::meta

void encode(const QuarantineEntry& entry, std::string& out);
Decoded<QuarantineEntry> decode_quarantine_entry(std::string_view in);
void encode(const QuarantineTotals& totals, std::string& out);
Decoded<QuarantineTotals> decode_quarantine_totals(std::string_view in);

}  // namespace postern::storage
