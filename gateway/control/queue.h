#pragma once

#include "gateway/admin/server.h"
#include "gateway/control/json.h"
#include "gateway/delivery/runner/desk.h"

namespace postern::control {

inline constexpr std::string_view kQueueRoutes = "/v1/queue";
inline constexpr std::size_t kQueueRowsMax = 10'000;  ///< of one answer
inline constexpr std::size_t kQueueIdsMax = 1000;     ///< of one change

/// Whether the path is one of the queue's routes; gateway/control/README.md lists them.
bool is_queue_route(std::string_view path);
/// Answers it. Blocking: on a worker.
admin::Response queue_route(delivery::QueueDesk& desk, const admin::Request& request);

/// One entry as scripts read it: id, sender, recipients, state, next_try, last_reply, and what else there is.
Json to_json(const delivery::QueueDesk& desk, const storage::QueueRow& row);
/// {entries, next}.
Json to_json(const delivery::QueueDesk& desk, const delivery::QueueDesk::Page& page);
/// Every entry of a message with what became of each recipient.
Json story(const delivery::QueueDesk& desk, const std::vector<storage::QueueRow>& rows);
/// One change of many entries: {done, gone, problems: [{id, problem}]}.
Json act(delivery::QueueDesk& desk, delivery::QueueDesk::Verb verb,
         const std::vector<storage::QueueKey>& keys);

}  // namespace postern::control
