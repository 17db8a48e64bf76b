#include "filters/reputation/test_points.h"

#include <fmt/format.h>

#include <string_view>

#include "filters/dns.h"

namespace postern::filters {
namespace {

/// RFC 5782 §5: one that is listed, one that is not.
struct Pair {
  std::string_view name;  ///< of the entry that must not be listed, for people
  std::string_view listed, unlisted;
  bool must_exist;  ///< whether a list without the first is of no use
};

constexpr Pair kV4 = {"127.0.0.1", "2.0.0.127", "1.0.0.127", true};
// Spelled out: as addresses these are IPv4 to us.
constexpr Pair kV6 = {"::FFFF:7F00:1", "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0",
                      "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0", false};
constexpr Pair kDomain = {"INVALID", "test", "invalid", true};

/// 127.255.255.0/24 is where lists say that they do not want to answer.
bool is_refusal(const Answer& answer) {
  if (answer.status == AnswerStatus::refused) return true;
  for (const std::string& record : answer.records)
    if (record.starts_with("127.255.255.")) return true;
  return false;
}

std::string what_it_says(const Answer& answer) {
  return std::string(answer.records.empty() ? to_string(answer.status)
                                            : std::string_view(answer.records.front()));
}

/// Nothing: pending.
std::optional<ListTrial> try_pair(const Blocklist& list, const Pair& pair, Facts& facts) {
  using enum ListTrial::Outcome;
  const Answer* positive = facts.ask(dns::a(fmt::format("{}.{}", pair.listed, list.zone)));
  const Answer* negative = facts.ask(dns::a(fmt::format("{}.{}", pair.unlisted, list.zone)));
  if (positive == nullptr || negative == nullptr) return std::nullopt;
  for (const Answer* answer : {negative, positive})
    if (is_refusal(*answer))
      return ListTrial{.outcome = wrong, .reason = fmt::format("it refuses: {}", what_it_says(*answer))};
  if (!negative->records.empty())
    return ListTrial{.outcome = wrong,
                     .reason = fmt::format("it lists {}, which must never be listed, as {}", pair.name,
                                           what_it_says(*negative))};
  for (const Answer* answer : {negative, positive})
    if (answer->failed())
      return ListTrial{.outcome = unknown, .reason = fmt::format("no answer: {}", what_it_says(*answer))};
  if (positive->records.empty() && pair.must_exist)
    return ListTrial{.outcome = silent, .reason = "it does not list its test entry"};
  return ListTrial{.outcome = sound, .reason = {}};
}

}  // namespace

std::string_view to_string(ListTrial::Outcome outcome) {
  switch (outcome) {
    case ListTrial::Outcome::sound:
      return "sound";
    case ListTrial::Outcome::silent:
      return "silent";
    case ListTrial::Outcome::wrong:
      return "wrong";
    case ListTrial::Outcome::unknown:
      return "unknown";
  }
  return "unknown";
}

std::optional<ListTrial> try_list(const Blocklist& list, Facts& facts) {
  if (list.kind == BlocklistKind::domain) return try_pair(list, kDomain, facts);
  auto v4 = try_pair(list, kV4, facts);
  const auto v6 = try_pair(list, kV6, facts);
  if (!v4 || !v6) return std::nullopt;
  return v6->outcome == ListTrial::Outcome::wrong && v4->outcome != ListTrial::Outcome::wrong ? v6 : v4;
}

}  // namespace postern::filters
