#include "filters/rules/text_shape.h"

#include <gtest/gtest.h>

namespace postern::filters::rules {
namespace {

struct FoldCase {
  std::string_view name, text, folded;
};

constexpr FoldCase kFolds[] = {
    {"nothing", "", ""},
    {"blanks at both ends", "  a  ", "a"},
    {"line ends", "a\r\nb\nc", "a b c"},
    {"paragraphs", "a\r\n\r\n b\n\n\nc", "a\nb\nc"},
    {"tabs and controls", "a\t\x01 b", "a b"},
    {"no-break and wide blanks",
     "a\xc2\xa0"
     "b\xe3\x80\x80"
     "c",
     "a b c"},
    {"without width",
     "a\xe2\x80\x8b"
     "b\xc2\xad"
     "c\xef\xbb\xbf",
     "abc"},
    {"other characters stay",
     "gr\xc3\xbc\xc3\x9f"
     "e \xf0\x9f\x98\x80",
     "gr\xc3\xbc\xc3\x9f"
     "e \xf0\x9f\x98\x80"},
    {"no UTF-8", "a\xff\xc3", "a\xff\xc3"},
};

TEST(TextShape, Folds) {
  for (const FoldCase& c : kFolds) {
    SCOPED_TRACE(c.name);
    std::string out;
    TextShape shape;
    fold_text(c.text, out, shape);
    while (out.ends_with('\n')) out.pop_back();
    EXPECT_EQ(out, c.folded);
  }
}

TEST(TextShape, Counts) {
  const TextShape shape = shape_of(
      "ABc d\xe2\x80\x8b"
      "e p\xd0\xb0y \xd0\xbf\xd1\x80\xd0\xb8");
  EXPECT_EQ(shape.letters, 7U);
  EXPECT_EQ(shape.upper, 2U);
  EXPECT_EQ(shape.invisible, 1U);
  EXPECT_EQ(shape.mixed, 1U);
  EXPECT_EQ(shape_of("").upper_percent(), 0);
}

TEST(TextShape, Skeleton) {
  const struct {
    std::string_view text, skeleton;
  } cases[] = {
      {"Example Bank", "examplebank"},
      {"E\xd1\x85\xd0\xb0mple-B\xd0\xb0nk!", "examplebank"},
      {"\xef\xbc\xa5xample", "example"},      // full-width
      {"\xf0\x9d\x90\x84xample", "example"},  // mathematical bold
      {"Gr\xc3\xbc\xc3\x9f"
       "e",
       "gr\xc3\xbc\xc3\x9f"
       "e"},
      {"a\xc2\xa0"
       "b\xe2\x80\x8b"
       "c",
       "abc"},
      {"", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(skeleton(c.text), c.skeleton);
  }
}

}  // namespace
}  // namespace postern::filters::rules
