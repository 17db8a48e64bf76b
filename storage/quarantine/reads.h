#pragma once

#include <expected>
#include <optional>
#include <vector>

#include "storage/database.h"
#include "storage/quarantine/record.h"
#include "storage/queue/record.h"

/// What Store offers of the quarantine for reading; the members of the same names say what they give.
namespace postern::storage::quarantine {

std::expected<std::vector<QuarantineRow>, Error> rows(const Database& database,
                                                      const std::optional<QuarantineKey>& after,
                                                      std::size_t count);
std::expected<std::vector<QuarantineRow>, Error> of(const Database& database, const MessageId& id);

}  // namespace postern::storage::quarantine
