#include "gateway/config/places.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "gateway/config/schema.h"

namespace postern::config {
namespace {

struct Numbers {
  unsigned section = 0;
  unsigned key = Places::kTable;
};

Numbers numbers_of(std::string_view section, std::string_view key) {
  const auto all = sections();
  const auto found = std::ranges::find(all, section, &Section::name);
  Numbers result{.section = static_cast<unsigned>(found - all.begin())};
  if (found == all.end() || key.empty()) return result;
  const auto key_found = std::ranges::find(found->keys, key, &Key::name);
  if (key_found != found->keys.end()) result.key = static_cast<unsigned>(key_found - found->keys.begin());
  return result;
}

/// Those of one line stay in the order they were found.
void sort_by_line(std::vector<Problem>& problems) {
  std::multimap<unsigned, Problem> sorted;
  for (Problem& problem : problems) sorted.emplace(problem.line, std::move(problem));
  problems.clear();
  for (auto& [line, problem] : sorted) problems.push_back(std::move(problem));
}

}  // namespace

unsigned Places::line(std::uint64_t place) const {
  const auto found = lines_.find(place);
  return found == lines_.end() ? 0 : found->second;
}

unsigned Places::line(std::string_view section, std::size_t index, std::string_view key,
                      std::uint64_t element) const {
  const Numbers numbers = numbers_of(section, key);
  if (const unsigned at = line(packed(numbers.section, index, numbers.key, element))) return at;
  if (const unsigned at = line(packed(numbers.section, index, numbers.key))) return at;
  if (const unsigned at = line(packed(numbers.section, index, kTable))) return at;
  const std::size_t dot = section.rfind('.');
  return dot == std::string_view::npos ? 1 : line(section.substr(0, dot), 0, {});
}

bool Places::given(std::string_view section, std::size_t index, std::string_view key) const {
  const Numbers numbers = numbers_of(section, key);
  return line(packed(numbers.section, index, numbers.key)) != 0;
}

std::vector<std::uint64_t> Places::all_keys() const {
  std::vector<std::uint64_t> keys;
  keys.reserve(lines_.size());
  for (const auto& [place, line] : lines_) {
    const bool is_table = ((place >> 52U) & kTable) == kTable;
    if (!is_table && (place & kWhole) == kWhole) keys.push_back(place);
  }
  std::ranges::sort(keys);
  return keys;
}

void Report::problem(unsigned line, std::string key, std::string what) {
  if (loaded_.problems.size() >= kProblemsMax) {
    ++left_out_;
    return;
  }
  loaded_.problems.push_back({.file = file_, .line = line, .key = std::move(key), .what = std::move(what)});
}

void Report::warning(unsigned line, std::string key, std::string what) {
  if (loaded_.warnings.size() >= kProblemsMax) return;
  loaded_.warnings.push_back({.file = file_, .line = line, .key = std::move(key), .what = std::move(what)});
}

void Report::finish() {
  sort_by_line(loaded_.problems);
  sort_by_line(loaded_.warnings);
  if (left_out_ > 0) {
    loaded_.problems.push_back(
        {.file = file_, .what = fmt::format("{} more mistakes are not listed", left_out_)});
  }
}

std::string key_name(std::string_view section, bool repeated, std::size_t index, std::string_view key) {
  std::string name(section);
  if (repeated) fmt::format_to(std::back_inserter(name), "[{}]", index);
  if (!key.empty()) name.append(name.empty() ? "" : ".").append(key);
  return name;
}

}  // namespace postern::config
