#include "gateway/config/suggestion.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postern::config {
namespace {

constexpr std::size_t kNameOctetsMax = 40;  // longer than any key: a longer word resembles none

/// Insertions, deletions, substitutions and swaps of neighbours that lead from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, kNameOctetsMax + 1>;
  if (a.size() > kNameOctetsMax || b.size() > kNameOctetsMax) return kNameOctetsMax;
  Row before_last{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substituted});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

/// The key or section inside `section` that the word resembles most; empty when none does.
std::string_view closest(const Section& section, std::string_view word) {
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string_view best;
  const auto consider = [&](std::string_view name) {
    const std::size_t steps = distance(word, name);
    if (steps < least && steps < name.size()) {
      least = steps;
      best = name;
    }
  };
  for (const Key& key : section.keys) consider(key.name);
  for (const Section& other : sections()) {
    const std::size_t dot = other.name.rfind('.');
    const std::string_view parent = dot == std::string_view::npos ? "" : other.name.substr(0, dot);
    if (!other.name.empty() && parent == section.name) consider(other.name.substr(dot + 1));  // npos + 1 is 0
  }
  return best;
}

}  // namespace

std::string unknown_key(const Section& section, std::string_view key) {
  for (const Section& other : sections()) {
    if (other.repeated || other.name == section.name ||
        std::ranges::find(other.keys, key, &Key::name) == other.keys.end()) {
      continue;
    }
    if (other.name.empty()) return "unknown key; it belongs at the top, before the first section";
    return fmt::format("unknown key; it belongs in [{}]", other.name);
  }
  const std::string_view suggestion = closest(section, key);
  if (suggestion.empty()) return "unknown key";
  return fmt::format("unknown key; did you mean \"{}\"?", suggestion);
}

}  // namespace postern::config
