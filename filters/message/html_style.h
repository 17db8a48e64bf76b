#pragma once

#include <string>
#include <string_view>

namespace postern::filters {

/// What of a style attribute decides whether text is seen.
struct InlineStyle {
  bool not_displayed = false;  ///< display:none, visibility:hidden
  bool no_size =
      false;  ///< font-size, max-height with overflow:hidden, or opacity of (nearly) zero; far off the screen
  std::string color;  ///< normal_color(); empty where not given
  std::string background;
};

InlineStyle parse_inline_style(std::string_view style);

/// "#fff", "#FFFFFF", "white", "rgb(255,255,255)" all to "white", others of those forms to "#rrggbb", names to lower case.
std::string normal_color(std::string_view color);

}  // namespace postern::filters
