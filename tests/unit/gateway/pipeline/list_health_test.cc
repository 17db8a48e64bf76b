#include "gateway/pipeline/list_health.h"

#include <gtest/gtest.h>

#include <chrono>

namespace postern::pipeline {
namespace {

using enum filters::ListTrial::Outcome;
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

TEST(ListHealth, BenchesAndTakesBack) {
  struct Step {
    filters::ListTrial trial;
    bool changed, benched;
  };
  const Step steps[] = {
      {{unknown, "no answer"}, false, false},
      {{sound, ""}, false, false},
      {{wrong, "it lists everybody"}, true, true},
      {{unknown, "no answer"}, false, true},
      {{silent, "it lists nobody"}, true, false},
      {{wrong, "it refuses"}, true, true},
      {{sound, ""}, true, false},
  };
  ListHealth health;
  std::chrono::milliseconds now{0};
  for (const Step& step : steps) {
    ++now;
    SCOPED_TRACE(now.count());
    EXPECT_EQ(health.note("bl.test", step.trial, Time(now)), step.changed);
    EXPECT_EQ(!health.answer("bl.test").records.empty(), step.benched);
    EXPECT_EQ(health.all()->at("bl.test").tried_at, Time(now));
  }
}

TEST(ListHealth, SaysWhyWhileTheListIsBenched) {
  ListHealth health;
  (void)health.note("bl.test", {wrong, "it lists everybody"}, Time());
  (void)health.note("bl.test", {unknown, "no answer"}, Time());
  EXPECT_EQ(health.answer("bl.test").records.at(0), "it lists everybody");
  EXPECT_TRUE(health.answer("other.test").records.empty());
  health.keep([](std::string_view zone) { return zone != "bl.test"; });
  EXPECT_TRUE(health.answer("bl.test").records.empty());
}

}  // namespace
}  // namespace postern::pipeline
