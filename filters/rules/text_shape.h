#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postern::filters::rules {

/// What is striking about the letters of a text.
struct TextShape {
  std::size_t letters = 0, upper = 0;  ///< of ASCII
  std::size_t invisible = 0;           ///< characters without width, soft hyphens, direction marks
  std::size_t mixed = 0;               ///< places where a Latin letter touches a Cyrillic or Greek one
  double upper_percent() const;
};

/// UTF-8 text as patterns look at it, appended to `out`: runs of blanks and single line ends become one space, an empty line ends a
/// paragraph with '\n', no-break and other wide blanks are blanks, characters without width go. One pass.
void fold_text(std::string_view text, std::string& out, TextShape& shape);

/// The shape of a short text alone.
TextShape shape_of(std::string_view text);

/// The text as a careless eye reads it, for comparing names: lower case, letters of other scripts that look like Latin ones and
/// full-width and mathematical forms as ASCII, digits that stand for letters left alone; everything that is no letter or digit goes.
std::string skeleton(std::string_view text);

}  // namespace postern::filters::rules
