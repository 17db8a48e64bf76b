#include "gateway/control/quarantine.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>
#include <utility>

#include "gateway/classifier/own_trace.h"
#include "gateway/control/api.h"

namespace postern::control {
namespace {

using admin::Request;
using admin::Response;

constexpr std::size_t kRowsPerRead = 1000;
constexpr double kMillionths = 1e6;

Response json_response(const Json& json) {
  return {.status = 200, .body = dump(json) + "\n"};
}

std::chrono::sys_time<std::chrono::milliseconds> now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::uint64_t now_ms() {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, now().time_since_epoch().count()));
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_of(std::string_view address, std::string_view wanted) {
  if (!wanted.starts_with('@')) return same(address, wanted);
  return address.size() >= wanted.size() && same(address.substr(address.size() - wanted.size()), wanted);
}

double score_of(const storage::QuarantineEntry& entry) {
  return static_cast<double>(entry.score_millionths) / kMillionths;
}

/// None: it is there and no number.
template <class T>
bool read_number(const Request& request, std::string_view key, std::optional<T>& into) {
  const std::string_view text = request.query_value(key);
  if (text.empty()) return true;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  into = value;
  return true;
}

Response list(const QuarantineDesk& desk, const Request& request) {
  constexpr std::uint64_t kSecondsMax = 1ULL << 40U;
  QuarantineFilter filter{.recipient = std::string(request.query_value("recipient")),
                          .sender = std::string(request.query_value("sender"))};
  std::optional<std::uint64_t> older_s;
  if (!read_number(request, "older_s", older_s) || older_s.value_or(0) > kSecondsMax)
    return admin::error_response(400, "older_s: expected seconds");
  filter.older_ms = older_s.value_or(0) * 1000;
  if (!read_number(request, "score_min", filter.score_min) ||
      !read_number(request, "score_max", filter.score_max))
    return admin::error_response(400, "score_min, score_max: expected numbers");
  std::optional<std::size_t> count;
  if (!read_number(request, "count", count) || count == 0 || count.value_or(1) > kQuarantineRowsMax)
    return admin::error_response(400,
                                 fmt::format("count: expected a number from 1 to {}", kQuarantineRowsMax));
  std::optional<storage::QuarantineKey> after;
  if (const std::string_view text = request.query_value("after"); !text.empty()) {
    after = storage::QuarantineKey::parse(text);
    if (!after) return admin::error_response(400, "after: expected the id of an entry");
  }
  const auto page = desk.list(filter, after, count.value_or(kQuarantineRowsMax));
  if (!page) return store_error(page.error());
  return json_response(to_json(*page));
}

Response show(const QuarantineDesk& desk, std::string_view id) {
  const auto key = storage::QuarantineKey::parse(id);
  if (!key) return admin::error_response(400, fmt::format("\"{}\" is no id", id));
  const auto story = desk.show(key->id);
  if (!story) return store_error(story.error());
  return json_response(*story);
}

std::optional<std::vector<storage::QuarantineKey>> read_keys(const Json& body) {
  const auto found = body.find("ids");
  if (found == body.end() || !found->is_array() || found->empty() || found->size() > kQuarantineRowsMax)
    return std::nullopt;
  std::vector<storage::QuarantineKey> keys;
  for (const Json& id : *found) {
    const auto key = id.is_string() ? storage::QuarantineKey::parse(id.get<std::string>()) : std::nullopt;
    if (!key) return std::nullopt;
    keys.push_back(*key);
  }
  return keys;
}

Response change(QuarantineDesk& desk, std::string_view verb, const Request& request) {
  const auto body = parse(request.body);
  const auto keys = body && body->is_object() ? read_keys(*body) : std::nullopt;
  if (!keys)
    return admin::error_response(
        400, fmt::format("the body is {{\"ids\": […]}} with 1 to {} ids", kQuarantineRowsMax));
  if (verb == "delete") return json_response(to_json(desk.remove(*keys)));
  if (verb == "release") {
    const auto learn = body->find("learn");
    if (learn != body->end() && !learn->is_boolean())
      return admin::error_response(400, "learn: expected true or false");
    return json_response(to_json(desk.release(*keys, learn != body->end() && learn->get<bool>())));
  }
  const auto as = body->find("class");
  const bool spam = as != body->end() && *as == "spam";
  if (!spam && (as == body->end() || *as != "ham"))
    return admin::error_response(400, "class: expected spam or ham");
  return json_response(to_json(desk.learn(*keys, spam ? classifier::Class::spam : classifier::Class::ham)));
}

}  // namespace

bool QuarantineFilter::any() const {
  return !recipient.empty() || !sender.empty() || older_ms != 0 || score_min || score_max;
}

bool QuarantineFilter::matches(const storage::QuarantineRow& row, std::uint64_t now) const {
  if (!row.entry) return !any();
  const storage::QuarantineEntry& entry = *row.entry;
  if (!recipient.empty() && !is_of(entry.recipient, recipient)) return false;
  if (!sender.empty() && !is_of(entry.sender.empty() ? "<>" : std::string_view(entry.sender), sender))
    return false;
  if (older_ms > 0 && now < entry.received_ms + older_ms) return false;
  if (score_min && score_of(entry) < *score_min) return false;
  return !score_max || score_of(entry) <= *score_max;
}

std::expected<QuarantineDesk::Page, storage::Error> QuarantineDesk::list(
    const QuarantineFilter& filter, const std::optional<storage::QuarantineKey>& after,
    std::size_t count) const {
  Page page;
  page.next = after;
  const std::uint64_t at = now_ms();
  for (std::size_t scanned = 0; scanned < kScannedPerPage;) {
    auto rows = store_.quarantine_rows(page.next, kRowsPerRead);
    if (!rows) return std::unexpected(std::move(rows.error()));
    for (storage::QuarantineRow& row : *rows) {
      page.next = row.key;
      ++scanned;
      if (!filter.matches(row, at)) continue;
      page.rows.push_back(std::move(row));
      if (page.rows.size() >= count) return page;
    }
    if (rows->size() < kRowsPerRead) {
      page.next.reset();
      return page;
    }
  }
  return page;
}

std::expected<Json, storage::Error> QuarantineDesk::show(const storage::MessageId& id) const {
  const auto rows = store_.quarantine_of(id);
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty())
    return std::unexpected(
        storage::Error{.code = storage::Code::not_found,
                       .context = fmt::format("nothing of message {} is in the quarantine", id.text())});
  Json entries = Json::array();
  for (const storage::QuarantineRow& row : *rows) entries.push_back(to_json(row));
  const auto record = store_.record(id);
  if (!record) return std::unexpected(record.error());
  const auto envelope = store_.envelope(id);
  if (!envelope) return std::unexpected(envelope.error());
  return Json{{"entries", std::move(entries)}, {"record", explanation(id.text(), *record, *envelope)}};
}

std::expected<void, std::string> QuarantineDesk::learn_message(const storage::MessageId& id,
                                                               classifier::Class verdict) {
  if (classifier_ == nullptr)
    return std::unexpected("there is no classifier: [filter.bayes] enabled = false");
  const auto message = store_.message(id);
  if (!message) return std::unexpected(message.error().text());
  const auto own = classifier::split_own_trace(*message, hostname_());
  const classifier::Lesson lesson{
      .verdict = verdict, .reporter = {}, .day = std::chrono::floor<std::chrono::days>(now())};
  if (const auto done = classifier_->learn(own.message, own.facts, lesson); !done)
    return std::unexpected(done.error().text());
  return {};
}

/// It is released whatever becomes of the lesson, which is told as a problem.
void QuarantineDesk::release_one(const storage::QuarantineKey& key, bool learn, Outcome& outcome) {
  std::string destination;
  if (const auto rows = store_.quarantine_of(key.id))
    for (const storage::QuarantineRow& row : *rows)
      if (row.key == key && row.entry) destination = row.entry->destination;
  const auto learned =
      learn ? learn_message(key.id, classifier::Class::ham) : std::expected<void, std::string>();
  const auto released = store_.leave_quarantine({key}, storage::QuarantineEnd::released, now());
  if (!released) {
    outcome.problems.emplace_back(key.text(), released.error().text());
    return;
  }
  if (*released == 0) {
    ++outcome.gone;
    return;
  }
  ++outcome.done;
  if (!destination.empty() && kick_) kick_(destination);
  if (learn && learned) ++outcome.learned;
  if (!learned) outcome.problems.emplace_back(key.text(), "released, but not learned: " + learned.error());
}

QuarantineDesk::Outcome QuarantineDesk::release(const std::vector<storage::QuarantineKey>& keys, bool learn) {
  Outcome outcome;
  for (const storage::QuarantineKey& key : keys) release_one(key, learn, outcome);
  if (outcome.learned > 0)
    if (const auto synced = classifier_->sync(); !synced)
      outcome.problems.emplace_back("classifier", synced.error().text());
  return outcome;
}

QuarantineDesk::Outcome QuarantineDesk::remove(const std::vector<storage::QuarantineKey>& keys) {
  Outcome outcome;
  const auto removed = store_.leave_quarantine(keys, storage::QuarantineEnd::deleted, now());
  if (!removed) {
    outcome.problems.emplace_back("delete", removed.error().text());
    return outcome;
  }
  outcome.done = *removed;
  outcome.gone = keys.size() - std::min<std::uint64_t>(keys.size(), *removed);
  return outcome;
}

QuarantineDesk::Outcome QuarantineDesk::learn(const std::vector<storage::QuarantineKey>& keys,
                                              classifier::Class verdict) {
  Outcome outcome;
  std::set<storage::MessageId> messages;
  for (const storage::QuarantineKey& key : keys) {
    if (!messages.insert(key.id).second) continue;
    if (const auto learned = learn_message(key.id, verdict)) {
      ++outcome.learned;
    } else {
      outcome.problems.emplace_back(key.text(), learned.error());
    }
  }
  outcome.done = outcome.learned;
  if (outcome.learned > 0)
    if (const auto synced = classifier_->sync(); !synced)
      outcome.problems.emplace_back("classifier", synced.error().text());
  return outcome;
}

bool is_quarantine_route(std::string_view path) {
  return path == kQuarantineRoutes ||
         (path.starts_with(kQuarantineRoutes) && path[kQuarantineRoutes.size()] == '/');
}

Response quarantine_route(QuarantineDesk& desk, const Request& request) {
  const std::string_view path = request.path;
  const bool get = request.method == "GET";
  if (path == kQuarantineRoutes && get) return list(desk, request);
  const std::string_view rest = path == kQuarantineRoutes ? "" : path.substr(kQuarantineRoutes.size() + 1);
  const bool verb = rest == "release" || rest == "delete" || rest == "learn";
  if (verb && request.method == "POST") return change(desk, rest, request);
  if (!verb && !rest.empty() && get) return show(desk, rest);
  Response response = admin::error_response(405, request.method + " is not possible here");
  response.allow = verb ? "POST" : "GET, HEAD";
  return response;
}

Json to_json(const storage::QuarantineRow& row) {
  if (!row.entry) return {{"id", row.key.text()}, {"problem", row.problem}};
  const storage::QuarantineEntry& entry = *row.entry;
  const auto received = std::chrono::sys_time<std::chrono::milliseconds>(
      std::chrono::milliseconds(static_cast<std::int64_t>(entry.received_ms)));
  Json json = {
      {"id", row.key.text()},   {"recipient", entry.recipient}, {"sender", entry.sender},
      {"from", entry.from},     {"subject", entry.subject},     {"score", score_of(entry)},
      {"reason", entry.reason}, {"octets", entry.octets},       {"received_at", timestamp(received)}};
  if (entry.destination.empty()) {
    json["mailbox"] = entry.mailbox;
  } else {
    json["destination"] = entry.destination;
  }
  return json;
}

Json to_json(const QuarantineDesk::Page& page) {
  Json entries = Json::array();
  for (const storage::QuarantineRow& row : page.rows) entries.push_back(to_json(row));
  return {{"entries", std::move(entries)}, {"next", page.next ? Json(page.next->text()) : Json(nullptr)}};
}

Json to_json(const QuarantineDesk::Outcome& outcome) {
  Json problems = Json::array();
  for (const auto& [id, problem] : outcome.problems) problems.push_back({{"id", id}, {"problem", problem}});
  return {{"done", outcome.done},
          {"gone", outcome.gone},
          {"learned", outcome.learned},
          {"problems", std::move(problems)}};
}

}  // namespace postern::control
