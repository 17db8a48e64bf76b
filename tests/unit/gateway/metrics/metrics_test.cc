#include "gateway/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

namespace postern::metrics {
namespace {

using testing::HasSubstr;

TEST(Shard, IsTheLastUnlessSetAndNeverBeyond) {
  std::thread([] {
    EXPECT_EQ(shard(), kShards - 1);
    set_shard(3);
    EXPECT_EQ(shard(), 3U);
    set_shard(kShards - 1);
    EXPECT_EQ(shard(), kShards - 1);
    set_shard(kShards);
    EXPECT_EQ(shard(), kShards - 1);
    set_shard(std::numeric_limits<unsigned>::max());
    EXPECT_EQ(shard(), kShards - 1);
  }).join();
}

TEST(Registry, RendersTheTextFormat) {
  Registry registry;
  registry.counter("postern_messages_total", "Messages by action", {{"action", "accept"}}).add(3);
  registry.gauge("postern_queue_messages", "Messages waiting").set(-2);
  registry.counter("postern_messages_total", "ignored", {{"action", "reject"}}).add();
  Histogram& histogram = registry.histogram("postern_stage_duration_seconds", "Time of a stage",
                                            {0.5, 0.005, 0.5, 2}, {{"stage", "rcpt"}});
  for (const double value : {0.005, 0.25, 0.5, 0.75, 100.0}) histogram.observe(value);
  registry.callback("postern_build_info", "What runs", "gauge", {{"version", "0.1"}}, [] { return 1.0; });
  EXPECT_EQ(registry.render(),
            "# HELP postern_messages_total Messages by action\n"
            "# TYPE postern_messages_total counter\n"
            "postern_messages_total{action=\"accept\"} 3\n"
            "postern_messages_total{action=\"reject\"} 1\n"
            "# HELP postern_queue_messages Messages waiting\n"
            "# TYPE postern_queue_messages gauge\n"
            "postern_queue_messages -2\n"
            "# HELP postern_stage_duration_seconds Time of a stage\n"
            "# TYPE postern_stage_duration_seconds histogram\n"
            "postern_stage_duration_seconds_bucket{stage=\"rcpt\",le=\"0.005\"} 1\n"
            "postern_stage_duration_seconds_bucket{stage=\"rcpt\",le=\"0.5\"} 3\n"
            "postern_stage_duration_seconds_bucket{stage=\"rcpt\",le=\"2\"} 4\n"
            "postern_stage_duration_seconds_bucket{stage=\"rcpt\",le=\"+Inf\"} 5\n"
            "postern_stage_duration_seconds_sum{stage=\"rcpt\"} 101.505\n"
            "postern_stage_duration_seconds_count{stage=\"rcpt\"} 5\n"
            "# HELP postern_build_info What runs\n"
            "# TYPE postern_build_info gauge\n"
            "postern_build_info{version=\"0.1\"} 1\n");
}

TEST(Registry, AnEmptyOneRendersNothing) {
  EXPECT_EQ(Registry().render(), "");
}

TEST(Registry, EscapesHelpAndLabels) {
  Registry registry;
  registry.counter("a_total", "back\\slash \"quote\"\nline", {{"v", "back\\slash \"quote\"\nline"}}).add();
  EXPECT_EQ(registry.render(),
            "# HELP a_total back\\\\slash \"quote\"\\nline\n"
            "# TYPE a_total counter\n"
            "a_total{v=\"back\\\\slash \\\"quote\\\"\\nline\"} 1\n");
}

TEST(Registry, TheSameNameAndLabelsAreTheSameObject) {
  Registry registry;
  Counter& first = registry.counter("c_total", "c", {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(&first, &registry.counter("c_total", "c", {{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(&first, &registry.counter("c_total", "c", {{"b", "2"}, {"a", "1"}}));  // labels have no order
  EXPECT_NE(&first, &registry.counter("c_total", "c", {{"a", "1"}, {"b", "3"}}));
  EXPECT_NE(&first, &registry.counter("c_total", "c"));
  EXPECT_EQ(&registry.gauge("g", "g"), &registry.gauge("g", "g"));
  EXPECT_EQ(&registry.histogram("h", "h", {1}), &registry.histogram("h", "h", {1}));
}

TEST(Registry, ANewCallbackReplacesTheOld) {
  Registry registry;
  registry.callback("k", "k", "gauge", {}, [] { return 1.0; });
  registry.callback("k", "k", "gauge", {}, [] { return 2.5; });
  EXPECT_THAT(registry.render(), HasSubstr("\nk 2.5\n"));
}

struct NumberCase {
  double value;
  const char* text;
};

TEST(Registry, WritesNumbersAsPrometheusReadsThem) {
  const NumberCase cases[] = {
      {0, "0"},
      {-1.5, "-1.5"},
      {1e15, "1000000000000000"},
      {std::nan(""), "NaN"},
      {std::numeric_limits<double>::infinity(), "+Inf"},
      {-std::numeric_limits<double>::infinity(), "-Inf"},
  };
  for (const NumberCase& c : cases) {
    SCOPED_TRACE(c.text);
    Registry registry;
    registry.callback("x", "x", "gauge", {}, [&c] { return c.value; });
    EXPECT_THAT(registry.render(), HasSubstr(std::string("\nx ") + c.text + "\n"));
  }
}

TEST(Histogram, CountsAtBothSidesOfABound) {
  Histogram histogram({1, 10});
  for (const double value : {0.0, 1.0, std::nextafter(1.0, 2.0), 10.0, std::nextafter(10.0, 11.0)}) {
    histogram.observe(value);
  }
  EXPECT_EQ(histogram.snapshot().counts, (std::vector<std::uint64_t>{2, 2, 1}));
}

TEST(Histogram, OddValuesDoNotSpoilTheSum) {
  Histogram histogram({1});
  histogram.observe(std::nan(""));
  histogram.observe(-5);
  histogram.observe(std::numeric_limits<double>::infinity());
  histogram.observe(2);
  EXPECT_EQ(histogram.snapshot().counts, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(histogram.snapshot().sum, 2);
}

TEST(Histogram, BoundsAreOptional) {
  Histogram histogram({std::numeric_limits<double>::infinity()});
  histogram.observe(26'214'400);
  EXPECT_TRUE(histogram.bounds().empty());
  EXPECT_EQ(histogram.snapshot().counts, (std::vector<std::uint64_t>{1}));
}

TEST(Metrics, NothingIsLostBetweenThreads) {
  constexpr std::uint64_t kThreads = 6, kRounds = 20'000;
  Registry registry;
  Counter& counter = registry.counter("c_total", "c");
  Gauge& gauge = registry.gauge("g", "g");
  Histogram& histogram = registry.histogram("h", "h", {1, 2, 3});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      if (t % 2 == 0) set_shard(static_cast<unsigned>(t));  // the others share the last shard
      for (std::uint64_t i = 0; i < kRounds; ++i) {
        counter.add(2);
        gauge.add(i % 2 == 0 ? 3 : -3);
        histogram.observe(static_cast<double>(i % 5));
        if (i % 5000 == 0) registry.counter("late_total", "late", {{"t", std::to_string(t)}}).add();
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_THAT(registry.render(), HasSubstr("c_total"));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 2 * kThreads * kRounds);
  EXPECT_EQ(gauge.value(), 0);
  const Histogram::Snapshot snapshot = histogram.snapshot();
  const std::uint64_t fifth = kThreads * kRounds / 5;
  EXPECT_EQ(snapshot.counts, (std::vector<std::uint64_t>{2 * fifth, fifth, fifth, fifth}));
  EXPECT_EQ(snapshot.sum, static_cast<double>(10 * fifth));
  EXPECT_EQ(registry.counter("late_total", "late", {{"t", "1"}}).value(), kRounds / 5000);
}

TEST(MetricsDeathTest, FaultsOfOursAbort) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(Registry().counter("1st", "x"), "not a metric name: '1st'");
  EXPECT_DEATH(Registry().counter("", "x"), "not a metric name");
  EXPECT_DEATH(Registry().counter("a-b", "x"), "not a metric name");
  EXPECT_DEATH(Registry().counter("a", "x", {{"le:", "1"}}), "not a label name");
  EXPECT_DEATH(Registry().counter("a", "x", {{"__name__", "1"}}), "not a label name");
  EXPECT_DEATH(Registry().callback("a", "x", "histogram", {}, [] { return 0.0; }), "a counter or a gauge");
  EXPECT_DEATH(
      {
        Registry registry;
        registry.counter("a", "x");
        registry.gauge("a", "x");
      },
      "registered as two types: 'a'");
  EXPECT_DEATH(
      {
        Registry registry;
        registry.counter("a", "x");
        registry.callback("a", "x", "counter", {}, [] { return 0.0; });
      },
      "both as an object and as a callback");
}

}  // namespace
}  // namespace postern::metrics
