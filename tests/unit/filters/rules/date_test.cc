#include "filters/rules/date.h"

#include <gtest/gtest.h>

namespace postern::filters::rules {
namespace {

struct DateCase {
  std::string_view text;
  std::int64_t seconds;  ///< since 1970; -1: none
};

constexpr DateCase kCases[] = {
    {"Mon, 6 Jan 2025 10:00:00 +0000", 1736157600},
    {"6 Jan 2025 10:00 GMT", 1736157600},
    {"Mon, 6 Jan 2025 12:00:00 +0200 (CEST)", 1736157600},
    {"Mon, 06 January 25 05:00:00 EST", 1736157600},
    {"Thu,  1 Jan 1970 00:00:00 +0000", 0},
    {"1 Jan 99 00:00:00 +0000", 915148800},
    {"31 Feb 2025 10:00:00 +0000", -1},
    {"6 Jan 2025 25:00:00 +0000", -1},
    {"6 Jan 2025", -1},
    {"6 Foo 2025 10:00:00 +0000", -1},
    {"6 Jan 2025 10:00:00 +0070", -1},
    {"6 Jan 99999 10:00:00 +0000", -1},
    {"today", -1},
    {"", -1},
};

TEST(Date, OfRfc5322) {
  for (const DateCase& c : kCases) {
    SCOPED_TRACE(c.text);
    const auto date = parse_date(c.text);
    EXPECT_EQ(date ? date->time_since_epoch().count() : -1, c.seconds);
  }
}

}  // namespace
}  // namespace postern::filters::rules
