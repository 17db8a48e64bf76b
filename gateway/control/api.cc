#include "gateway/control/api.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "gateway/control/classifier.h"
#include "gateway/control/json.h"
#include "gateway/control/queue.h"
#include "gateway/control/scan.h"

namespace postern::control {
namespace {

using admin::Request;
using admin::Response;

constexpr std::string_view kMailboxes = "/v1/mailboxes/";
constexpr std::string_view kMessages = "/v1/messages/";

Response json_response(const Json& json, unsigned status = 200) {
  return {.status = status, .body = dump(json) + "\n"};
}

Response bad_request(std::string_view sentence) {
  return admin::error_response(400, sentence);
}

unsigned status_of(storage::Code code) {
  switch (code) {
    case storage::Code::not_found:
      return 404;
    case storage::Code::invalid:
      return 400;
    case storage::Code::locked:
    case storage::Code::stalled:
    case storage::Code::stopping:
      return 503;
    case storage::Code::no_space:
      return 507;
    case storage::Code::corrupt:
    case storage::Code::newer_format:
    case storage::Code::io:
      return 500;
  }
  return 500;
}

template <typename T>
Response listing(const char* name, const std::expected<std::vector<T>, storage::Error>& found) {
  if (!found) return store_error(found.error());
  Json list = Json::array();
  for (const T& one : *found) list.push_back(to_json(one));
  return json_response({{name, std::move(list)}});
}

/// A decimal number in the query; the default when it is absent.
template <typename T>
std::optional<T> number(const Request& request, std::string_view key, T fallback) {
  const std::string_view text = request.query_value(key);
  if (text.empty()) return fallback;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// ---- routes that block, on a worker: `argument` is the {…} of the path -----------------------------------------------------------

Response mailboxes(storage::Store& store, const std::string&, const Request&) {
  return listing("mailboxes", store.mailboxes());
}

Response folders(storage::Store& store, const std::string& address, const Request&) {
  return listing("folders", store.folders(address));
}

Response entries(storage::Store& store, const std::string& address, const Request& request) {
  const auto after = number<std::uint32_t>(request, "after", 0);
  if (!after) return bad_request("after: expected a uid");
  const auto count = number<std::size_t>(request, "count", 1000);
  if (!count || *count == 0 || *count > Api::kEntriesMax)
    return bad_request(fmt::format("count: expected a number from 1 to {}", Api::kEntriesMax));
  std::string_view folder = request.query_value("folder");
  if (folder.empty()) folder = "INBOX";
  return listing("entries", store.entries(address, folder, *after, *count));
}

std::optional<std::vector<std::uint32_t>> read_uids(const Json& body) {
  const auto found = body.find("uids");
  if (found == body.end() || !found->is_array() || found->empty() || found->size() > Api::kUidsMax)
    return std::nullopt;
  std::vector<std::uint32_t> uids;
  for (const Json& uid : *found) {
    if (!uid.is_number_unsigned() || uid.get<std::uint64_t>() == 0 || uid.get<std::uint64_t>() > UINT32_MAX)
      return std::nullopt;
    uids.push_back(uid.get<std::uint32_t>());
  }
  return uids;
}

/// What `flags` and `expunge` have in common.
struct Selection {
  Json body;
  std::string folder = "INBOX";
  std::vector<std::uint32_t> uids;
};

std::expected<Selection, Response> read_selection(const Request& request) {
  auto body = parse(request.body);
  if (!body || !body->is_object()) return std::unexpected(bad_request("the body is no JSON object"));
  Selection selection{.body = std::move(*body)};
  if (const auto folder = selection.body.find("folder"); folder != selection.body.end()) {
    if (!folder->is_string()) return std::unexpected(bad_request("folder: expected a string"));
    selection.folder = folder->get<std::string>();
  }
  auto uids = read_uids(selection.body);
  if (!uids)
    return std::unexpected(bad_request(fmt::format("uids: expected a list of 1 to {} uids", Api::kUidsMax)));
  selection.uids = std::move(*uids);
  return selection;
}

std::optional<std::uint32_t> read_flags(const Json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end()) return 0;
  return flags_from_json(*found);
}

Response set_flags(storage::Store& store, const std::string& address, const Request& request) {
  auto selection = read_selection(request);
  if (!selection) return std::move(selection.error());
  const auto set = read_flags(selection->body, "set");
  const auto clear = read_flags(selection->body, "clear");
  if (!set || !clear)
    return bad_request("set, clear: expected lists of seen, answered, flagged, deleted, draft, recent");
  if ((*set & *clear) != 0) return bad_request("set, clear: a flag is in both");
  std::uint64_t changed = 0;
  for (const std::uint32_t uid : selection->uids) {
    const auto done = store.set_flags(address, selection->folder, uid, *set, *clear);
    if (!done)
      return store_error(
          storage::Error(done.error()).with(fmt::format("after {} changed: uid {}", changed, uid)));
    ++changed;
  }
  return json_response({{"changed", changed}});
}

Response expunge(storage::Store& store, const std::string& address, const Request& request) {
  auto selection = read_selection(request);
  if (!selection) return std::move(selection.error());
  const auto removed = store.expunge(address, selection->folder, selection->uids);
  if (!removed) return store_error(removed.error());
  return json_response({{"removed", *removed}});
}

Response message(storage::Store& store, const std::string& id, const Request&) {
  const auto parsed = storage::MessageId::parse(id);
  if (!parsed) return bad_request(fmt::format("\"{}\" is no message id", id));
  auto octets = store.message(*parsed);
  if (!octets) return store_error(octets.error());
  return {.content_type = "message/rfc822", .body = std::move(*octets)};
}

Response record(storage::Store& store, const std::string& id, const Request&) {
  const auto parsed = storage::MessageId::parse(id);
  if (!parsed) return bad_request(fmt::format("\"{}\" is no message id", id));
  const auto decision = store.record(*parsed);
  if (!decision) return store_error(decision.error());
  const auto envelope = store.envelope(*parsed);
  if (!envelope) return store_error(envelope.error());
  return json_response(explanation(parsed->text(), *decision, *envelope));
}

Response verify(storage::Store& store, const std::string&, const Request&) {
  const auto report = store.verify();
  if (!report) return store_error(report.error());
  return json_response(to_json(*report));
}

Response reload(const ApiServices& services) {
  const ReloadOutcome outcome = services.reload();
  Json json = {{"reloaded", outcome.ok()},
               {"problems", to_json(outcome.problems)},
               {"warnings", to_json(outcome.warnings)},
               {"needs_restart", outcome.needs_restart}};
  if (!outcome.ok()) json["error"] = "the manifest is not usable; nothing has changed";
  return json_response(json, outcome.ok() ? 200 : 422);
}

/// The counters of `first` to `last`, days as 2026-11-24; without them all.
Response counters(storage::Store& store, const std::string&, const Request& request) {
  std::uint32_t first = 0, last = UINT32_MAX;
  for (const auto& [key, day] : {std::pair<const char*, std::uint32_t*>{"first", &first}, {"last", &last}}) {
    const std::string_view text = request.query_value(key);
    if (text.empty()) continue;
    const auto parsed = day_from_text(text);
    if (!parsed) return bad_request(fmt::format("{}: expected a day as 2026-11-24", key));
    *day = *parsed;
  }
  return listing("counters", store.counts(first, last, Api::kCountersMax));
}

// ---- the table ----------------------------------------------------------------------------------------------------------------------

enum class Special : unsigned char { none, status, reload, scan, learn, classify, classifier };

struct Route {
  std::string_view method, prefix,
      suffix;  // the path is prefix + argument + suffix; without suffix and '/' it is the prefix
  Response (*run)(storage::Store&, const std::string& argument, const Request&) = nullptr;
  Special special = Special::none;
};

constexpr Route kRoutes[] = {
    {.method = "GET", .prefix = "/v1/status", .special = Special::status},
    {.method = "GET", .prefix = "/v1/mailboxes", .run = mailboxes},
    {.method = "GET", .prefix = kMailboxes, .suffix = "/folders", .run = folders},
    {.method = "GET", .prefix = kMailboxes, .suffix = "/entries", .run = entries},
    {.method = "POST", .prefix = kMailboxes, .suffix = "/flags", .run = set_flags},
    {.method = "POST", .prefix = kMailboxes, .suffix = "/expunge", .run = expunge},
    {.method = "GET", .prefix = kMessages, .suffix = "/record", .run = record},
    {.method = "GET", .prefix = kMessages, .run = message},
    {.method = "GET", .prefix = "/v1/dmarc/counters", .run = counters},
    {.method = "POST", .prefix = "/v1/scan", .special = Special::scan},
    {.method = "GET", .prefix = "/v1/classifier", .special = Special::classifier},
    {.method = "POST", .prefix = "/v1/classifier/learn", .special = Special::learn},
    {.method = "POST", .prefix = "/v1/classifier/classify", .special = Special::classify},
    {.method = "POST", .prefix = "/v1/reload", .special = Special::reload},
    {.method = "POST", .prefix = "/v1/verify", .run = verify},
};

Response ask_classifier(Special what, const ApiServices& services, const Request& request) {
  if (services.classifier == nullptr)
    return admin::error_response(404, "there is no classifier: [filter.bayes] enabled = false");
  if (what == Special::classifier) return classifier_figures(*services.classifier);
  const std::string hostname = services.snapshots.get()->config.hostname;
  return what == Special::learn ? learn(*services.classifier, hostname, request)
                                : classify(*services.classifier, hostname, request);
}

bool matches(const Route& route, std::string_view path) {
  if (!route.prefix.ends_with('/')) return path == route.prefix;
  // A local part may hold a slash, a message id may not; an argument is never empty.
  return path.size() > route.prefix.size() + route.suffix.size() && path.starts_with(route.prefix) &&
         path.ends_with(route.suffix) &&
         (!route.suffix.empty() || path.find('/', route.prefix.size()) == path.npos);
}

std::expected<const Route*, Response> find_route(const Request& request) {
  std::string allow;
  for (const Route& route : kRoutes) {
    if (!matches(route, request.path)) continue;
    if (route.method == request.method) return &route;
    if (!allow.empty()) allow += ", ";
    allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  if (allow.empty())
    return std::unexpected(admin::error_response(404, "there is nothing at " + request.path));
  Response response = admin::error_response(405, request.method + " is not possible here; allowed: " + allow);
  response.allow = std::move(allow);
  return std::unexpected(std::move(response));
}

}  // namespace

admin::Response store_error(const storage::Error& error) {
  return json_response({{"error", error.text()}, {"code", storage::to_string(error.code)}},
                       status_of(error.code));
}

reactor::Task<admin::Response> Api::handle(const admin::Request& request) {
  if (services_.queue != nullptr && is_queue_route(request.path)) {
    Response response = co_await queue(request);
    co_return response;
  }
  if (services_.quarantine != nullptr && is_quarantine_route(request.path)) {
    Response response = co_await quarantine(request);
    co_return response;
  }
  auto found = find_route(request);
  if (!found) co_return std::move(found.error());
  const Route& route = **found;
  if (route.special == Special::status) {
    Response response;
    response.body = services_.status();
    co_return response;
  }
  if (route.special == Special::scan) {
    Response response = co_await scan(request);
    co_return response;
  }
  const bool verifies = route.run == verify;
  if (verifies && verifying_.exchange(true))
    co_return admin::error_response(409, "a verification is under way already");
  Response response;
  auto work = [this, &route, &request, &response] {
    if (route.special == Special::reload) {
      response = reload(services_);
      return;
    }
    if (route.special != Special::none) {
      response = ask_classifier(route.special, services_, request);
      return;
    }
    const std::size_t fixed = route.prefix.size() + route.suffix.size();
    const std::string argument = route.prefix.ends_with('/')
                                     ? request.path.substr(route.prefix.size(), request.path.size() - fixed)
                                     : "";
    response = route.run(services_.store, argument, request);
  };
  auto ran = co_await services_.workers.run(std::move(work));
  if (verifies) verifying_ = false;
  if (!ran) co_return admin::error_response(503, "too many requests at once");
  co_return response;
}

reactor::Task<admin::Response> Api::queue(const admin::Request& request) {
  Response response;
  auto work = [this, &request, &response] { response = queue_route(*services_.queue, request); };
  const auto ran = co_await services_.workers.run(std::move(work));
  if (!ran) co_return admin::error_response(503, "too many requests at once");
  co_return response;
}

reactor::Task<admin::Response> Api::quarantine(const admin::Request& request) {
  Response response;
  auto work = [this, &request, &response] { response = quarantine_route(*services_.quarantine, request); };
  const auto ran = co_await services_.workers.run(std::move(work));
  if (!ran) co_return admin::error_response(503, "too many requests at once");
  co_return response;
}

reactor::Task<admin::Response> Api::scan(const admin::Request& request) {
  ScanParameters parameters{.ip = std::string(request.query_value("ip")),
                            .helo = std::string(request.query_value("helo")),
                            .mail_from = std::string(request.query_value("mail_from"))};
  for (const auto& [key, value] : request.query)
    if (key == "rcpt") parameters.rcpt.push_back(value);
  const auto snapshot = services_.snapshots.get();
  auto envelope = scan_envelope(parameters, snapshot->config.hostname, reactor::Reactor::current().now_utc());
  if (!envelope) co_return bad_request(envelope.error());
  if (request.body.empty()) co_return bad_request("the body is the message to judge, and there is none");
  std::string message = as_received(request.body);
  const pipeline::Pipeline::Scan scan =
      co_await services_.pipeline.scan(std::move(*envelope), std::move(message));
  Response response;
  response.body = pipeline::to_json(scan);
  if (!response.body.ends_with('\n')) response.body += '\n';
  co_return response;
}

}  // namespace postern::control
