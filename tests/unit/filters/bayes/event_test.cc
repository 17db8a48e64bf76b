#include "filters/bayes/event.h"

#include <gtest/gtest.h>

namespace postern::filters::bayes {
namespace {

Event example() {
  Event event{.authority = Authority::user, .day = 20'000, .reporter = 77};
  event.digest.fill(0xAB);
  event.step = {.verdict = Class::spam, .words = -500, .grams = 65'536, .count = 16, .blend = {1, -2, 3, -4}};
  event.step.surprising = true;
  event.tokens = {1, 0xFFFFFFFF};
  event.grams = {7};
  return event;
}

TEST(Event, ComesBackAsItWas) {
  std::string record;
  encode(example(), record);
  const auto decoded = decode_event(record);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, example());
}

TEST(Event, NothingElseIsTaken) {
  std::string record;
  encode(example(), record);
  for (std::size_t size = 0; size < record.size(); ++size)
    EXPECT_FALSE(decode_event(std::string_view(record).substr(0, size))) << size;
  EXPECT_FALSE(decode_event(record + '\0'));
  struct Row {
    std::string_view name;
    std::size_t octet;
    char value;
  };
  constexpr Row kRows[] = {{"version", 0, 2}, {"kind 0", 1, 0}, {"kind 5", 1, 5},       {"authority", 2, 3},
                           {"class", 29, 2},  {"flags", 30, 4}, {"gradient", 34, 0x7F}, {"count", 39, 17}};
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    std::string broken = record;
    broken[row.octet] = row.value;
    EXPECT_FALSE(decode_event(broken));
  }
}

}  // namespace
}  // namespace postern::filters::bayes
