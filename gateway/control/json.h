#pragma once

#include <chrono>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/config.h"
#include "storage/store.h"

namespace postern::control {

/// Keys keep the order in which they were put in: a person reads these texts, too.
using Json = nlohmann::ordered_json;

/// One line, whatever octets are in it: what is not UTF-8 becomes U+FFFD.
std::string dump(const Json& json);
/// The same over several lines, for a terminal.
std::string pretty(const Json& json);
/// None: it is no JSON.
std::optional<Json> parse(std::string_view text);

/// RFC 3339 in UTC, with milliseconds: 2026-11-24T12:00:00.000Z.
std::string timestamp(std::chrono::sys_time<std::chrono::milliseconds> time);
std::optional<std::chrono::sys_time<std::chrono::milliseconds>> parse_timestamp(std::string_view text);

/// Flags by name, in the order of their bits: ["seen", "flagged"].
Json flags_to_json(std::uint32_t flags);
/// None: a name that is no flag.
std::optional<std::uint32_t> flags_from_json(const Json& names);

/// {opened, open, closed: {delivered, …}, balanced}. `waiting`: recipients in the queue.
Json to_json(const storage::Ledger& ledger, std::uint64_t waiting = 0);
/// How many recipients are neither closed nor waited for. 0, or the books are wrong. `waiting`: those still in a queue.
std::int64_t imbalance(const storage::Ledger& ledger, std::uint64_t waiting = 0);
Json to_json(const storage::Statistics& statistics);
Json to_json(const storage::MailboxInfo& mailbox);
Json to_json(const storage::FolderInfo& folder);
Json to_json(const storage::Entry& entry);
Json to_json(const storage::VerifyReport& report);
/// {day: "2026-11-24", policy_domain, count} and the members of the row; of what found no room of its own: {day, overflow: true, count}.
Json to_json(const storage::Count& count);
/// "2026-11-24" as days since 1970, UTC. None: it is no date, or one before 1970.
std::optional<std::uint32_t> day_from_text(std::string_view text);
/// {file, line, key, what, text} of each.
Json to_json(const std::vector<config::Problem>& problems);

/// The way back, for the command line. None: a key is missing or of another type.
std::optional<storage::MailboxInfo> mailbox_from_json(const Json& json);
std::optional<storage::FolderInfo> folder_from_json(const Json& json);
std::optional<storage::Entry> entry_from_json(const Json& json);
std::optional<storage::VerifyReport> report_from_json(const Json& json);

/// The decision record of a message with its id and its envelope, as `explain` shows it. A record that is no JSON object is
/// given as the string "record".
Json explanation(std::string_view id, std::string_view record, std::string_view envelope);

}  // namespace postern::control
