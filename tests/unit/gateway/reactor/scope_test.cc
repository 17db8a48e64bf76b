#include "gateway/reactor/scope.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

/// Writes down how often it was asked.
class Member final : public Cancellable {
 public:
  void cancel() noexcept override {
    ++asked;
    victim.reset();
  }
  int asked = 0;
  std::unique_ptr<Member> victim;  ///< dies when this one is asked
};

TEST(Scope, AsksEveryMemberOnce) {
  Scope scope;
  Member first, second, third;
  scope.enrol(first);
  scope.enrol(second);
  scope.enrol(third);
  scope.cancel();
  scope.cancel();
  EXPECT_TRUE(scope.cancelled());
  EXPECT_EQ(first.asked, 1);
  EXPECT_EQ(second.asked, 1);
  EXPECT_EQ(third.asked, 1);
}

TEST(Scope, AsksWhoeverEnrolsLater) {
  Scope scope;
  scope.cancel();
  Member late;
  scope.enrol(late);
  EXPECT_EQ(late.asked, 1);
}

TEST(Scope, ForgetsMembersThatDieOrGoElsewhere) {
  Scope scope, other;
  Member goes_elsewhere, stays;
  {
    Member dies;
    scope.enrol(dies);
    scope.enrol(goes_elsewhere);
    scope.enrol(stays);
  }
  other.enrol(goes_elsewhere);
  scope.cancel();
  EXPECT_EQ(goes_elsewhere.asked, 0);
  EXPECT_EQ(stays.asked, 1);
  other.cancel();
  EXPECT_EQ(goes_elsewhere.asked, 1);
}

TEST(Scope, SurvivesAMemberThatRemovesItsNeighbour) {
  // Members are asked newest first; each removes the one that would be next.
  Scope scope;
  Member last, first;
  scope.enrol(last);
  first.victim = std::make_unique<Member>();
  scope.enrol(*first.victim);
  scope.enrol(first);
  scope.cancel();
  EXPECT_EQ(first.asked, 1);
  EXPECT_EQ(last.asked, 1);
}

TEST(Scope, AMemberMayOutliveIt) {
  Member member;
  {
    Scope scope;
    scope.enrol(member);
  }
  EXPECT_EQ(member.asked, 0);
  Scope another;
  another.enrol(member);
  another.cancel();
  EXPECT_EQ(member.asked, 1);
}

TEST(Scope, AsksThroughInnerScopes) {
  Scope outer, inner;
  Member member;
  inner.enrol(member);
  outer.enrol(inner);
  outer.cancel();
  EXPECT_TRUE(inner.cancelled());
  EXPECT_EQ(member.asked, 1);
}

Task<void> joins(std::vector<std::string>* order) {
  Scope scope;
  EXPECT_EQ(scope.running(), 0U);
  co_await scope.join();  // nothing to wait for

  const auto child = [](std::vector<std::string>* list, Scope* owner, int generations) -> Task<void> {
    list->push_back("started " + std::to_string(generations));
    co_await Reactor::current().yield();
    if (generations > 0) {
      const auto self = [](std::vector<std::string>* inner_list, int rest) -> Task<void> {
        co_await Reactor::current().yield();
        inner_list->push_back("grandchild " + std::to_string(rest));
      };
      owner->spawn(self(list, generations));
    }
    list->push_back("finished " + std::to_string(generations));
  };
  scope.spawn(child(order, &scope, 1));
  EXPECT_EQ(order->size(), 1U);  // started at once
  scope.spawn(child(order, &scope, 0));
  EXPECT_EQ(scope.running(), 2U);
  co_await scope.join();
  order->push_back("joined");
  EXPECT_EQ(scope.running(), 0U);
}

TEST(Scope, JoinsTasksAndThoseTheySpawn) {
  std::vector<std::string> order;
  test::run(joins(&order));
  ASSERT_EQ(order.size(), 6U);
  EXPECT_EQ(order[4], "grandchild 1");
  EXPECT_EQ(order[5], "joined");
}

Task<void> frees_frames() {
  Scope scope;
  const std::size_t before = task_frames_alive();
  const auto at_once = []() -> Task<void> { co_return; };
  for (int i = 0; i < 100; ++i) scope.spawn(at_once());
  EXPECT_EQ(task_frames_alive(), before);
  const auto later = [](std::shared_ptr<int> holds) -> Task<void> {
    co_await Reactor::current().yield();
    ++*holds;
  };
  auto value = std::make_shared<int>(0);
  for (int i = 0; i < 100; ++i) scope.spawn(later(value));
  EXPECT_EQ(value.use_count(), 101);
  co_await scope.join();
  EXPECT_EQ(value.use_count(), 1);
  EXPECT_EQ(*value, 100);
  EXPECT_EQ(task_frames_alive(), before);
}

TEST(Scope, FreesAFrameWhenItsTaskFinishes) {
  test::run(frees_frames());
}

TEST(ScopeDeathTest, MustBeJoined) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto forgets = []() -> Task<void> {
    const auto sleeper = []() -> Task<void> { co_await Reactor::current().yield(); };
    Scope scope;
    scope.spawn(sleeper());
    co_return;
  };
  EXPECT_DEATH(test::run(forgets()), "check failed: running_ == 0");
}

}  // namespace
}  // namespace postern::reactor
