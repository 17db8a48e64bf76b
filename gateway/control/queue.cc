#include "gateway/control/queue.h"

#include <fmt/format.h>

#include <charconv>

#include "gateway/control/api.h"

namespace postern::control {
namespace {

using admin::Request;
using admin::Response;
using delivery::QueueDesk;

Response json_response(const Json& json) {
  return {.status = 200, .body = dump(json) + "\n"};
}

Json time_of(std::uint64_t ms) {
  using Time = std::chrono::sys_time<std::chrono::milliseconds>;
  if (ms == 0) return nullptr;
  return timestamp(Time(std::chrono::milliseconds(static_cast<std::int64_t>(ms))));
}

template <class T>
std::optional<T> number(std::string_view text, T fallback) {
  if (text.empty()) return fallback;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Json recipient_json(const storage::QueueRecipient& recipient) {
  Json json = {{"address", recipient.address}, {"state", storage::to_string(recipient.state)}};
  if (recipient.tried_ms != 0) json["tried_at"] = time_of(recipient.tried_ms);
  if (!recipient.host.empty()) json["host"] = recipient.host;
  if (!recipient.reply.empty()) json["reply"] = recipient.reply;
  return json;
}

Response list(QueueDesk& desk, const Request& request) {
  delivery::QueueFilter filter{.destination = std::string(request.query_value("domain")),
                               .sender = std::string(request.query_value("sender")),
                               .recipient = std::string(request.query_value("recipient")),
                               .state = std::string(request.query_value("state")),
                               .reply = std::string(request.query_value("reply"))};
  constexpr std::uint64_t kSecondsMax = 1ULL << 40U;
  const auto older_s = number<std::uint64_t>(request.query_value("older_s"), 0);
  if (!older_s || *older_s > kSecondsMax) return admin::error_response(400, "older_s: expected seconds");
  filter.older_ms = *older_s * 1000;
  const auto count = number<std::size_t>(request.query_value("count"), 1000);
  if (!count || *count == 0 || *count > kQueueRowsMax)
    return admin::error_response(400, fmt::format("count: expected a number from 1 to {}", kQueueRowsMax));
  std::optional<storage::QueueKey> after;
  if (const std::string_view text = request.query_value("after"); !text.empty()) {
    after = storage::QueueKey::parse(text);
    if (!after) return admin::error_response(400, "after: expected the id of an entry");
  }
  const auto page = desk.list(filter, after, *count);
  if (!page) return store_error(page.error());
  return json_response(to_json(desk, *page));
}

Response show(QueueDesk& desk, std::string_view id) {
  const auto key = storage::QueueKey::parse(id);
  if (!key) return admin::error_response(400, fmt::format("\"{}\" is no id", id));
  const auto rows = desk.show(key->id);
  if (!rows) return store_error(rows.error());
  if (rows->empty())
    return store_error(
        {.code = storage::Code::not_found, .context = fmt::format("nothing is queued for {}", id)});
  return json_response(story(desk, *rows));
}

Response change(QueueDesk& desk, QueueDesk::Verb verb, const Request& request) {
  const auto body = parse(request.body);
  const auto found = body && body->is_object() ? body->find("ids") : Json::const_iterator();
  const bool usable = body && body->is_object() && found != body->end() && found->is_array() &&
                      !found->empty() && found->size() <= kQueueIdsMax;
  if (!usable)
    return admin::error_response(400,
                                 fmt::format("the body is {{\"ids\": […]}} with 1 to {} ids", kQueueIdsMax));
  std::vector<storage::QueueKey> keys;
  for (const Json& id : *found) {
    const auto key = id.is_string() ? storage::QueueKey::parse(id.get<std::string>()) : std::nullopt;
    if (!key) return admin::error_response(400, "ids: one of them is no id");
    keys.push_back(*key);
  }
  return json_response(act(desk, verb, keys));
}

}  // namespace

bool is_queue_route(std::string_view path) {
  return path == kQueueRoutes || (path.starts_with(kQueueRoutes) && path[kQueueRoutes.size()] == '/');
}

Response queue_route(QueueDesk& desk, const Request& request) {
  const std::string_view path = request.path;
  const bool get = request.method == "GET";
  if (path == kQueueRoutes && get) return list(desk, request);
  const std::string_view rest = path == kQueueRoutes ? "" : path.substr(kQueueRoutes.size() + 1);
  const auto verb = QueueDesk::verb_of(rest);
  if (verb && request.method == "POST") return change(desk, *verb, request);
  if (!verb && !rest.empty() && get) return show(desk, rest);
  Response response = admin::error_response(405, request.method + " is not possible here");
  response.allow = verb ? "POST" : "GET, HEAD";
  return response;
}

Json to_json(const QueueDesk& desk, const storage::QueueRow& row) {
  if (!row.entry)
    return {{"id", row.key.text()}, {"sender", nullptr},   {"recipients", Json::array()},
            {"state", "damaged"},   {"next_try", nullptr}, {"last_reply", row.problem}};
  const storage::QueueEntry& entry = *row.entry;
  Json recipients = Json::array();
  for (const storage::QueueRecipient& recipient : entry.recipients)
    if (recipient.state == storage::RecipientState::waiting) recipients.push_back(recipient.address);
  const auto next = desk.next_try_ms(entry);
  return {{"id", row.key.text()},
          {"sender", entry.sender},
          {"recipients", std::move(recipients)},
          {"state", storage::to_string(entry.state)},
          {"next_try", next ? time_of(*next) : Json(nullptr)},
          {"last_reply", desk.last_reply(entry)},
          {"destination", entry.destination},
          {"octets", entry.octets},
          {"received_at", time_of(entry.received_ms)},
          {"attempts", entry.attempts},
          {"report", (entry.flags & storage::kReport) != 0}};
}

Json to_json(const QueueDesk& desk, const QueueDesk::Page& page) {
  Json entries = Json::array();
  for (const storage::QueueRow& row : page.rows) entries.push_back(to_json(desk, row));
  return {{"entries", std::move(entries)}, {"next", page.next ? Json(page.next->text()) : Json(nullptr)}};
}

Json story(const QueueDesk& desk, const std::vector<storage::QueueRow>& rows) {
  Json entries = Json::array();
  for (const storage::QueueRow& row : rows) {
    Json json = to_json(desk, row);
    if (row.entry && row.entry->waiting() == 0) json["state"] = "closed";
    Json outcomes = Json::array();
    if (row.entry)
      for (const storage::QueueRecipient& recipient : row.entry->recipients)
        outcomes.push_back(recipient_json(recipient));
    json["outcomes"] = std::move(outcomes);
    entries.push_back(std::move(json));
  }
  return {{"entries", std::move(entries)}};
}

Json act(QueueDesk& desk, QueueDesk::Verb verb, const std::vector<storage::QueueKey>& keys) {
  std::uint64_t done = 0, gone = 0;
  Json problems = Json::array();
  for (const storage::QueueKey& key : keys) {
    std::string problem;
    switch (desk.act(verb, key, &problem)) {
      case QueueDesk::Done::done:
        ++done;
        break;
      case QueueDesk::Done::gone:
        ++gone;
        break;
      case QueueDesk::Done::damaged:
      case QueueDesk::Done::failed:
        problems.push_back({{"id", key.text()}, {"problem", problem}});
        break;
    }
  }
  return {{"done", done}, {"gone", gone}, {"problems", std::move(problems)}};
}

}  // namespace postern::control
