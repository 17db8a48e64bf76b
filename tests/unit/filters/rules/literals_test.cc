#include "filters/rules/literals.h"

#include <gtest/gtest.h>

namespace postern::filters::rules {
namespace {

struct LiteralCase {
  std::string_view expression;
  std::size_t octets;
};

constexpr LiteralCase kCases[] = {
    {"hello", 5},
    {"he.lo", 2},
    {"hel?lo", 2},
    {"hel+o", 3},
    {"\\bhello\\b", 5},
    {"(?:abc|defg)", 3},
    {"(?:abc|d)", 1},
    {"x(?:abc|def)y", 5},  // both branches are three: five in a row
    {"x(?:abc|de)y", 2},
    {"(?:abc)?d", 1},
    {"[abc]def", 3},
    {"[\\]]ab", 2},
    {"[^]]ab", 2},
    {"[[:alpha:]]ab", 2},
    {"\\d{3}abc", 3},
    {"abc{2}", 3},
    {"a{0,3}", 0},
    {"a{2,}", 1},
    {"\\x41bc", 3},
    {"\\x{41}bc", 3},
    {"a\\.b", 3},
    {"a\\wb", 1},
    {"(?=abc)d", 1},
    {"(?!abc)d", 1},
    {"(?<=abc)de", 2},
    {"(?<name>abc)", 3},
    {"(?i)abc", 3},
    {"(?i:abc)", 3},
    {"a(?#comment)b", 2},
    {".*", 0},
    {"", 0},
    {"a|", 0},
    {"\\Qa", 0},
    {"(", 0},
    {"[", 0},
    {"\\", 0},
};

TEST(Literals, ErrOnTheLowSide) {
  for (const LiteralCase& c : kCases) {
    SCOPED_TRACE(c.expression);
    EXPECT_EQ(required_literal(c.expression), c.octets);
  }
  EXPECT_EQ(required_literal("a b c # d", true), 3U);
  EXPECT_EQ(required_literal(std::string(1000, '(') + "abc" + std::string(1000, ')')), 0U);
}

}  // namespace
}  // namespace postern::filters::rules
