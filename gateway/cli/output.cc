#include "gateway/cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace postern::cli {
namespace {

constexpr std::size_t kGap = 2;

/// Characters, not octets: near enough to columns for addresses and numbers.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

void Table::row(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, width_of(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      const std::string padding(widths[i] - width_of(cell), ' ');
      if (i > 0) line.append(kGap, ' ');
      line += columns_[i].align == Align::left ? cell + padding : padding + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&](std::size_t i) -> const std::string& { return row[i]; });
  return out;
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) c = '?';
  }
  return out;
}

std::string human_octets(std::uint64_t octets) {
  constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (octets < 1024) return fmt::format("{} B", octets);
  double value = static_cast<double>(octets) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {  // so that 1024.0 of a unit is never shown
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_duration(std::int64_t seconds) {
  if (seconds < 0) return "-" + human_duration(-seconds);
  const std::int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (minutes == 0) return fmt::format("{} s", seconds);
  if (hours == 0) return fmt::format("{} min", minutes);
  if (days == 0) return fmt::format("{} h {} min", hours, minutes % 60);
  return fmt::format("{} d {} h", days, hours % 24);
}

std::string human_time(std::string_view timestamp) {
  if (!control::parse_timestamp(timestamp)) return std::string(timestamp);
  return fmt::format("{} {}Z", timestamp.substr(0, 10), timestamp.substr(11, 8));
}

void print(std::string_view text) {
  (void)std::fwrite(text.data(), 1, text.size(), stdout);  // run() looks at ferror
}

void print_json(const control::Json& json) {
  print(control::pretty(json));
}

void complain(std::string_view sentence) {
  (void)std::fprintf(stderr, "postern: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
}

const control::Json& member_of(const control::Json& object, const char* key) {
  static const control::Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

std::string text_of(const control::Json& object, const char* key) {
  const control::Json& member = member_of(object, key);
  return member.is_string() ? member.get<std::string>() : std::string();
}

std::int64_t number_of(const control::Json& object, const char* key) {
  const control::Json& member = member_of(object, key);
  return member.is_number_integer() ? member.get<std::int64_t>() : 0;
}

}  // namespace postern::cli
