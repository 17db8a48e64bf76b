#pragma once

#include <expected>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/database.h"
#include "storage/queue/record.h"

/// What Store offers of the queue for reading; the members of the same names say what they give.
namespace postern::storage::queue {

std::expected<std::vector<QueueHead>, Error> heads(const Database& database, std::string_view destination,
                                                   std::uint8_t priority, std::size_t count);
std::expected<std::vector<QueueDue>, Error> due(const Database& database, std::string_view destination,
                                                std::uint8_t priority, std::uint64_t from_ms,
                                                std::uint64_t to_ms, std::size_t count);
std::expected<QueueEntry, Error> entry(const Database& database, const QueueKey& key);
std::expected<std::vector<QueueRow>, Error> rows(const Database& database,
                                                 const std::optional<QueueKey>& after, std::size_t count);
std::expected<std::vector<QueueRow>, Error> outcomes(const Database& database, const MessageId& id);
std::expected<QueueAudit, Error> audit(const Database& database);

}  // namespace postern::storage::queue
