#include "gateway/control/json.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace postern::control {
namespace {

using nlohmann::detail::error_handler_t;

constexpr std::array<std::pair<storage::Flag, std::string_view>, 6> kFlags = {{
    {storage::kSeen, "seen"},
    {storage::kAnswered, "answered"},
    {storage::kFlagged, "flagged"},
    {storage::kDeleted, "deleted"},
    {storage::kDraft, "draft"},
    {storage::kRecent, "recent"},
}};

template <typename T>
bool read(const Json& json, const char* key, T& out) {
  if (!json.is_object()) return false;
  const auto found = json.find(key);
  if (found == json.end()) return false;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
  } else {
    if (!found->is_number_unsigned()) return false;
  }
  out = found->template get<T>();
  return true;
}

/// Exactly `width` digits.
bool digits(std::string_view text, std::size_t at, std::size_t width, int& out) {
  if (text.size() < at + width) return false;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + width, out);
  return error == std::errc() && end == text.data() + at + width && out >= 0;
}

}  // namespace

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, error_handler_t::replace);
}

std::string pretty(const Json& json) {
  return json.dump(2, ' ', false, error_handler_t::replace) + "\n";
}

std::optional<Json> parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

std::string timestamp(std::chrono::sys_time<std::chrono::milliseconds> time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), (time - seconds).count());
}

std::optional<std::chrono::sys_time<std::chrono::milliseconds>> parse_timestamp(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milliseconds = 0;
  constexpr std::string_view kShape = "0000-00-00T00:00:00.000Z";
  if (text.size() != kShape.size()) return std::nullopt;
  for (std::size_t i = 0; i < kShape.size(); ++i)
    if (kShape[i] != '0' && kShape[i] != text[i]) return std::nullopt;
  if (!digits(text, 0, 4, year) || !digits(text, 5, 2, month) || !digits(text, 8, 2, day) ||
      !digits(text, 11, 2, hour) || !digits(text, 14, 2, minute) || !digits(text, 17, 2, second) ||
      !digits(text, 20, 3, milliseconds))
    return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::milliseconds(milliseconds);
}

Json flags_to_json(std::uint32_t flags) {
  Json names = Json::array();
  for (const auto& [flag, name] : kFlags)
    if ((flags & flag) != 0) names.push_back(name);
  return names;
}

std::optional<std::uint32_t> flags_from_json(const Json& names) {
  if (!names.is_array()) return std::nullopt;
  std::uint32_t flags = 0;
  for (const Json& name : names) {
    if (!name.is_string()) return std::nullopt;
    const auto text = name.get<std::string>();
    const auto* known =
        std::find_if(kFlags.begin(), kFlags.end(), [&](const auto& flag) { return flag.second == text; });
    if (known == kFlags.end()) return std::nullopt;
    flags |= known->first;
  }
  return flags;
}

std::int64_t imbalance(const storage::Ledger& ledger, std::uint64_t waiting) {
  return static_cast<std::int64_t>(ledger.open() - waiting);
}

Json to_json(const storage::Ledger& ledger, std::uint64_t waiting) {
  return {{"opened", ledger.opened},
          {"open", ledger.open()},
          {"closed",
           {{"delivered", ledger.delivered},
            {"relayed", ledger.relayed},
            {"bounced", ledger.bounced},
            {"quarantined", ledger.quarantined},
            {"expired", ledger.expired},
            {"dropped", ledger.dropped},
            {"discarded", ledger.discarded}}},
          {"balanced", imbalance(ledger, waiting) == 0}};
}

Json to_json(const storage::Statistics& statistics) {
  return {{"queued_transactions", statistics.queued_transactions},
          {"queued_octets", statistics.queued_octets},
          {"commits", statistics.commits},
          {"committed_transactions", statistics.committed_transactions},
          {"committed_octets", statistics.committed_octets},
          {"failed_commits", statistics.failed_commits},
          {"sync_microseconds", statistics.sync_microseconds},
          {"refused_full", statistics.refused_full},
          {"stalled", statistics.stalled},
          {"disk_octets", statistics.disk_octets},
          {"free_octets", statistics.free_octets},
          {"trouble", statistics.trouble}};
}

Json to_json(const storage::MailboxInfo& mailbox) {
  return {{"address", mailbox.address}, {"messages", mailbox.messages}, {"octets", mailbox.octets}};
}

Json to_json(const storage::FolderInfo& folder) {
  return {{"name", folder.name},
          {"uid_validity", folder.uid_validity},
          {"uid_next", folder.uid_next},
          {"messages", folder.messages},
          {"octets", folder.octets}};
}

Json to_json(const storage::Entry& entry) {
  return {{"uid", entry.uid},
          {"id", entry.id.text()},
          {"flags", flags_to_json(entry.flags)},
          {"octets", entry.octets},
          {"received_at", timestamp(entry.received_at)}};
}

Json to_json(const storage::VerifyReport& report) {
  return {{"ok", report.problems.empty()}, {"mailboxes", report.mailboxes}, {"folders", report.folders},
          {"entries", report.entries},     {"messages", report.messages},   {"octets", report.octets},
          {"problems", report.problems}};
}

Json to_json(const std::vector<config::Problem>& problems) {
  Json list = Json::array();
  for (const config::Problem& problem : problems)
    list.push_back({{"file", problem.file.string()},
                    {"line", problem.line},
                    {"key", problem.key},
                    {"what", problem.what},
                    {"text", problem.text()}});
  return list;
}

std::optional<storage::MailboxInfo> mailbox_from_json(const Json& json) {
  storage::MailboxInfo mailbox;
  if (!read(json, "address", mailbox.address) || !read(json, "messages", mailbox.messages) ||
      !read(json, "octets", mailbox.octets))
    return std::nullopt;
  return mailbox;
}

std::optional<storage::FolderInfo> folder_from_json(const Json& json) {
  storage::FolderInfo folder;
  if (!read(json, "name", folder.name) || !read(json, "uid_validity", folder.uid_validity) ||
      !read(json, "uid_next", folder.uid_next) || !read(json, "messages", folder.messages) ||
      !read(json, "octets", folder.octets))
    return std::nullopt;
  return folder;
}

std::optional<storage::Entry> entry_from_json(const Json& json) {
  storage::Entry entry;
  std::string id, received_at;
  if (!read(json, "uid", entry.uid) || !read(json, "id", id) || !read(json, "octets", entry.octets) ||
      !read(json, "received_at", received_at) || !json.contains("flags"))
    return std::nullopt;
  const auto parsed = storage::MessageId::parse(id);
  const auto flags = flags_from_json(json.at("flags"));
  const auto time = parse_timestamp(received_at);
  if (!parsed || !flags || !time) return std::nullopt;
  entry.id = *parsed;
  entry.flags = *flags;
  entry.received_at = *time;
  return entry;
}

std::optional<storage::VerifyReport> report_from_json(const Json& json) {
  storage::VerifyReport report;
  if (!read(json, "mailboxes", report.mailboxes) || !read(json, "folders", report.folders) ||
      !read(json, "entries", report.entries) || !read(json, "messages", report.messages) ||
      !read(json, "octets", report.octets) || !json.contains("problems") || !json.at("problems").is_array())
    return std::nullopt;
  for (const Json& problem : json.at("problems")) {
    if (!problem.is_string()) return std::nullopt;
    report.problems.push_back(problem.get<std::string>());
  }
  return report;
}

Json to_json(const storage::Count& count) {
  const std::chrono::sys_days day{std::chrono::days(count.day)};
  Json json = {{"day", timestamp(day).substr(0, 10)}};
  if (count.domain.empty()) {
    json["overflow"] = true;
    json["count"] = count.count;
    return json;
  }
  json["policy_domain"] = count.domain;
  json["count"] = count.count;
  const auto row = parse(count.row);
  if (row && row->is_object())
    json.update(*row);
  else
    json["row"] = count.row;
  return json;
}

std::optional<std::uint32_t> day_from_text(std::string_view text) {
  const auto time = parse_timestamp(std::string(text) + "T00:00:00.000Z");
  if (!time || time->time_since_epoch().count() < 0) return std::nullopt;
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::days>(time->time_since_epoch()).count());
}

Json explanation(std::string_view id, std::string_view record, std::string_view envelope) {
  Json json = {{"id", id}};
  const auto decision = parse(record);
  if (decision && decision->is_object())
    json.update(*decision);
  else
    json["record"] = record;
  if (!json.contains("envelope")) {
    const auto sent = parse(envelope);
    json["envelope"] = sent ? *sent : Json(envelope);
  }
  return json;
}

}  // namespace postern::control
