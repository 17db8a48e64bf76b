#include "gateway/serve/spread.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::serve {
namespace {

struct Sample {
  double load;
  std::size_t sessions;
  unsigned times;
  unsigned active;  // after the last of them
};
struct Row {
  std::string name;
  unsigned cores;
  std::vector<Sample> samples;
};

class SpreadRows : public testing::TestWithParam<Row> {};

TEST_P(SpreadRows, TakeAsManyCoresAsTheLoadNeeds) {
  Spread spread(GetParam().cores);
  std::size_t number = 0;
  for (const Sample& sample : GetParam().samples) {
    for (unsigned i = 0; i < sample.times; ++i) {
      const unsigned before = spread.active();
      const auto changed = spread.sample(sample.load, sample.sessions);
      EXPECT_EQ(changed.has_value(), before != spread.active());
      if (changed) {
        EXPECT_EQ(*changed, spread.active());
      }
    }
    EXPECT_EQ(spread.active(), sample.active) << "sample " << number;
    ++number;
  }
}

constexpr unsigned kLong = Spread::kCalmSamples;

INSTANTIATE_TEST_SUITE_P(
    All, SpreadRows,
    testing::Values(
        Row{"idle", 8, {{0, 0, 1, 1}}}, Row{"one_core", 1, {{5, 10'000, 1, 1}}},
        Row{"few_sessions_little_work", 8, {{0.69, 32, 1, 1}}}, Row{"one_session_more", 8, {{0, 33, 1, 2}}},
        Row{"many_sessions", 8, {{0, 10'000, 1, 8}}}, Row{"one_core_is_busy", 8, {{0.71, 1, 1, 2}}},
        Row{"grows_at_once_to_what_is_needed", 8, {{0.1, 1, 1, 1}, {3.6, 20, 1, 6}}},
        Row{"never_beyond_the_machine", 2, {{64, 64'000, 1, 2}}},
        Row{"leaves_slowly_one_by_one",
            8,
            {{0, 96, 1, 3},
             {0, 0, kLong - 1, 3},
             {0, 0, 1, 2},
             {0, 0, kLong - 1, 2},
             {0, 0, 1, 1},
             {0, 0, 500, 1}}},
        Row{"a_burst_begins_the_wait_anew",
            8,
            {{0, 64, 1, 2}, {0, 0, kLong - 1, 2}, {0, 64, 1, 2}, {0, 0, kLong - 1, 2}, {0, 0, 1, 1}}},
        Row{"neither_busy_nor_calm_stays", 8, {{0.8, 1, 1, 2}, {0.6, 1, 500, 2}, {0.49, 1, kLong, 1}}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace postern::serve
