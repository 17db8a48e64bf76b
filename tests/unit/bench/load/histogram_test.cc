#include "bench/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <vector>

namespace postern::load {
namespace {

using std::chrono::nanoseconds;

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(0));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
  EXPECT_EQ(histogram.mean_ns(), 0);
}

TEST(Histogram, BucketsCoverEveryValueWithoutGapOrOverlap) {
  // Every bucket begins right behind the one before, and no value is further than 1/1024 from its edge.
  const std::size_t last = Histogram::bucket_of(Histogram::kValueMax);
  std::uint64_t begin = 0;
  for (std::size_t bucket = 0; bucket <= last; ++bucket) {
    const std::uint64_t edge = Histogram::upper_edge(bucket);
    ASSERT_EQ(Histogram::bucket_of(begin), bucket);
    ASSERT_EQ(Histogram::bucket_of(edge), bucket);
    ASSERT_LE(edge - begin, begin / 1024);
    begin = edge + 1;
  }
  EXPECT_EQ(begin, Histogram::kValueMax + 1);
}

struct QuantileCase {
  const char* name;
  double share;
  std::int64_t expected_ns;
};

TEST(Histogram, GivesExactRanksOfSmallValues) {
  Histogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.record(nanoseconds(i));
  const QuantileCase cases[] = {
      {"none", 0, 1},
      {"the first", 0.001, 1},
      {"half", 0.5, 500},
      {"p90", 0.9, 900},
      {"p99", 0.99, 990},
      {"p99.9", 0.999, 999},
      {"everything", 1, 1000},
      {"below the range", -1, 1},
      {"above the range", 2, 1000},
      {"a little more than half", 0.5001, 501},
  };
  for (const QuantileCase& c : cases) EXPECT_EQ(histogram.quantile(c.share).count(), c.expected_ns) << c.name;
  EXPECT_EQ(histogram.min(), nanoseconds(1));
  EXPECT_EQ(histogram.max(), nanoseconds(1000));
  EXPECT_DOUBLE_EQ(histogram.mean_ns(), 500.5);
}

TEST(Histogram, KeepsThreeDigitsOfLargeValues) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(random() >> (22 + random() % 40));
    histogram.record(nanoseconds(values.back()));
  }
  std::ranges::sort(values);
  for (const double share : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * 20000 - 1e-6));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto given = static_cast<double>(histogram.quantile(share).count());
    EXPECT_GE(given, exact) << share;
    EXPECT_LE(given, exact * (1 + 1.0 / 1024)) << share;
  }
}

TEST(Histogram, BearsWhatNoClockShouldGive) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.quantile(1), nanoseconds(0));
  const auto longest = nanoseconds(static_cast<std::int64_t>(Histogram::kValueMax));
  histogram.record(longest);
  EXPECT_EQ(histogram.quantile(1), longest);
  histogram.record(longest + std::chrono::hours(1));  // beyond the last bucket: the maximum is exact
  EXPECT_EQ(histogram.max(), longest + std::chrono::hours(1));
  EXPECT_EQ(histogram.quantile(1), histogram.max());
  EXPECT_EQ(histogram.count(), 3U);
}

TEST(Histogram, MergedIsAsIfRecordedInOne) {
  std::mt19937_64 random(11);
  Histogram together, parts[3], merged;
  for (int i = 0; i < 9000; ++i) {
    const nanoseconds value(random() % 50'000'000);
    together.record(value);
    parts[i % 3 == 0 ? 0 : 1].record(value);  // the third stays empty
  }
  for (const Histogram& part : parts) merged.merge(part);
  EXPECT_EQ(merged.count(), together.count());
  EXPECT_EQ(merged.min(), together.min());
  EXPECT_EQ(merged.max(), together.max());
  EXPECT_NEAR(merged.mean_ns(), together.mean_ns(), 1e-3);
  for (double share = 0; share <= 1; share += 0.01)
    EXPECT_EQ(merged.quantile(share), together.quantile(share)) << share;
}

}  // namespace
}  // namespace postern::load
