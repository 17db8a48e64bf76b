#include "filters/message/html_style.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "filters/message/content_field.h"

namespace postern::filters {
namespace {

constexpr double kSmallestSeen = 1.5;   // px or pt: letters of one are a line
constexpr double kFaintestSeen = 0.05;  // opacity
constexpr double kFarthestSeen = -500;  // text-indent, left, margin-left: beyond it is off the screen

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

/// The number at the start; `unit` is what follows. False where there is none.
bool number(std::string_view text, double& value, std::string_view& unit) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  unit = trimmed(text.substr(static_cast<std::size_t>(end - text.data())));
  return true;
}

}  // namespace

std::string normal_color(std::string_view color) {
  std::string name = to_lower(trimmed(color));
  if (name.starts_with("rgb(") && name.ends_with(')')) {
    std::string_view rest = std::string_view(name).substr(4);
    std::string hex = "#";
    for (int i = 0; i < 3; ++i) {
      rest = trimmed(rest);
      int value = 0;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
      if (error != std::errc() || value < 0 || value > 255) return name;
      hex += "0123456789abcdef"[value / 16];
      hex += "0123456789abcdef"[value % 16];
      rest = trimmed(rest.substr(static_cast<std::size_t>(end - rest.data())));
      if (rest.starts_with(',')) rest.remove_prefix(1);
    }
    name = hex;
  } else if (name.size() == 4 && name.starts_with('#')) {
    name = {'#', name[1], name[1], name[2], name[2], name[3], name[3]};
  } else if (name.size() == 6 && name.find_first_not_of("0123456789abcdef") == std::string::npos) {
    name.insert(0, 1, '#');  // the attributes of old take it so
  }
  if (name == "#ffffff") return "white";
  if (name == "#000000") return "black";
  return name;
}

InlineStyle parse_inline_style(std::string_view style) {
  InlineStyle result;
  bool flat = false;
  bool clipped = false;
  while (!style.empty()) {
    const std::size_t end = std::min(style.find(';'), style.size());
    const std::string_view declaration = style.substr(0, end);
    style.remove_prefix(std::min(end + 1, style.size()));
    const std::size_t colon = declaration.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string name = to_lower(trimmed(declaration.substr(0, colon)));
    std::string lowered = to_lower(trimmed(declaration.substr(colon + 1)));
    if (const std::size_t important = lowered.find('!'); important != std::string::npos)
      lowered.resize(important);
    const std::string_view value = trimmed(lowered);
    double amount = 0;
    std::string_view unit;
    if (name == "display") {
      result.not_displayed |= value == "none";
    } else if (name == "visibility") {
      result.not_displayed |= value == "hidden" || value == "collapse";
    } else if (name == "color") {
      result.color = normal_color(value);
    } else if (name == "background-color" || name == "background") {
      if (value.find("url(") == std::string_view::npos) result.background = normal_color(value);
    } else if (name == "overflow") {
      clipped |= value == "hidden";
    } else if (!number(value, amount, unit)) {
      continue;
    } else if (name == "font-size") {
      result.no_size |= amount <= 0 || ((unit == "px" || unit == "pt") && amount < kSmallestSeen);
    } else if (name == "max-height" || name == "height") {
      flat |= amount <= 0;
    } else if (name == "opacity") {
      result.no_size |= amount < kFaintestSeen;
    } else if (name == "text-indent" || name == "left" || name == "margin-left" || name == "top") {
      result.no_size |= amount < kFarthestSeen;
    }
  }
  // A height of nothing hides only what it cuts off.
  result.no_size |= flat && clipped;
  return result;
}

}  // namespace postern::filters
