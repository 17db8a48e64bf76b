#include "filters/rules/date.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace postern::filters::rules {
namespace {

constexpr std::string_view kMonths = "janfebmaraprmayjunjulaugsepoctnovdec";
constexpr std::size_t kWordsMax = 16;

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<unsigned> month_of(std::string_view word) {
  if (word.size() < 3) return std::nullopt;
  char lower[3];
  for (std::size_t i = 0; i < 3; ++i) lower[i] = static_cast<char>(word[i] | 0x20);
  const std::size_t at = kMonths.find(std::string_view(lower, 3));
  if (at == std::string_view::npos || at % 3 != 0) return std::nullopt;
  return static_cast<unsigned>(at / 3 + 1);
}

/// "+0130" in minutes; a zone by name counts as UTC except those of §4.3.
std::optional<int> zone_of(std::string_view word) {
  if (word.size() == 5 && (word[0] == '+' || word[0] == '-')) {
    const auto digits = number(word.substr(1));
    if (!digits || *digits < 0 || *digits % 100 > 59) return std::nullopt;
    const int minutes = *digits / 100 * 60 + *digits % 100;
    return word[0] == '-' ? -minutes : minutes;
  }
  constexpr std::pair<std::string_view, int> kZones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                                                         {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
  for (const auto& [name, hours] : kZones)
    if (word == name) return hours * 60;
  const bool letters =
      std::ranges::all_of(word, [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; });
  return letters ? std::optional(0) : std::nullopt;
}

struct Words {
  std::array<std::string_view, kWordsMax> word;
  std::size_t count = 0;
};

/// Separated by blanks and commas, without comments.
Words split(std::string_view text) {
  Words words;
  const auto separates = [](char c) { return c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n'; };
  std::size_t at = 0;
  while (at < text.size() && words.count < kWordsMax) {
    if (text[at] == '(') break;  // the comment at the end that names the zone
    if (separates(text[at])) {
      ++at;
      continue;
    }
    const std::size_t start = at;
    while (at < text.size() && !separates(text[at]) && text[at] != '(') ++at;
    words.word[words.count++] = text.substr(start, at - start);
  }
  return words;
}

}  // namespace

std::optional<std::chrono::sys_seconds> parse_date(std::string_view value) {
  const Words words = split(value);
  std::size_t at = 0;
  if (words.count > 0 && !number(words.word[0])) at = 1;  // the day of the week
  if (words.count < at + 4) return std::nullopt;
  const auto day = number(words.word[at]);
  const auto month = month_of(words.word[at + 1]);
  auto year = number(words.word[at + 2]);
  const std::string_view time = words.word[at + 3];
  if (!day || !month || !year || *day < 1 || *day > 31) return std::nullopt;
  if (*year < 50) {
    *year += 2000;  // §4.3
  } else if (*year < 1000) {
    *year += 1900;
  }
  if (*year > 9999) return std::nullopt;
  const std::size_t colon = time.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::size_t second_colon = std::min(time.find(':', colon + 1), time.size());
  const auto hour = number(time.substr(0, colon));
  const auto minute = number(time.substr(colon + 1, second_colon - colon - 1));
  const auto second = second_colon < time.size() ? number(time.substr(second_colon + 1)) : std::optional(0);
  if (!hour || !minute || !second || *hour < 0 || *hour > 23 || *minute < 0 || *minute > 59 || *second < 0 ||
      *second > 60)
    return std::nullopt;
  const auto zone = words.count > at + 4 ? zone_of(words.word[at + 4]) : std::optional(0);
  if (!zone) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*month),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute - *zone) +
         std::chrono::seconds(*second);
}

}  // namespace postern::filters::rules
