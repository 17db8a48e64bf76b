#include "gateway/pipeline/answers.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "tests/support/run_task.h"

namespace postern::pipeline {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::Question;
using filters::QuestionKind;

/// Answers after a time of its own for each name, or not before the deadline.
class SlowSource final : public Source {
 public:
  std::map<std::string, std::chrono::milliseconds> delays;
  unsigned asked = 0, at_once = 0, at_once_max = 0;

  reactor::Task<Answer> ask(Question question, reactor::Deadline deadline) override {
    ++asked;
    at_once_max = std::max(at_once_max, ++at_once);
    auto& reactor = reactor::Reactor::current();
    const auto ready = reactor::Clock::now() + delays[question.name];
    const auto until = std::min(ready, deadline);
    (void)co_await reactor.sleep_until(until);
    --at_once;
    Answer answer{.status = ready <= deadline ? AnswerStatus::data : AnswerStatus::timed_out};
    if (!answer.failed()) answer.records = {"answer to " + question.name};
    co_return answer;
  }
};

LocalLists lists() {
  return LocalLists({}, {.senders = {"@bad.example"}});
}

Question dns(std::string name) {
  return {.kind = QuestionKind::dns_txt, .name = std::move(name)};
}

TEST(Answers, LocalOnesAreThereAtOnce) {
  const LocalLists local = lists();
  const auto task = [](const LocalLists& from) -> reactor::Task<void> {
    const Answers answers(from, nullptr, std::chrono::seconds(1));
    filters::Facts facts;
    EXPECT_TRUE(answers.answer_local(facts));
    const Question bad{.kind = QuestionKind::sender_list, .name = "a@bad.example"};
    const Question good{.kind = QuestionKind::sender_list, .name = "a@good.example"};
    (void)facts.ask(bad);
    (void)facts.ask(good);
    EXPECT_TRUE(answers.answer_local(facts));
    EXPECT_TRUE(facts.questions().empty());
    EXPECT_EQ(facts.find(bad)->records.at(0), "block:@bad.example");
    EXPECT_EQ(facts.find(good)->status, AnswerStatus::no_data);
    EXPECT_GT(facts.find(good)->asked_at.time_since_epoch().count(), 0);
    co_return;
  };
  test::run(task(local));
}

TEST(Answers, WithoutASourceWhatIsNotLocalIsRefusedNotDenied) {
  const LocalLists local = lists();
  const auto task = [](const LocalLists& from) -> reactor::Task<void> {
    const Answers answers(from, nullptr, std::chrono::seconds(1));
    filters::Facts facts;
    (void)facts.ask(dns("x.example"));
    EXPECT_FALSE(answers.answer_local(facts));
    EXPECT_EQ(facts.questions().size(), 1U);
    co_await answers.answer_all(facts);
    EXPECT_TRUE(facts.questions().empty());
    EXPECT_TRUE(facts.find(dns("x.example"))->failed());
    EXPECT_EQ(facts.find(dns("x.example"))->status, AnswerStatus::refused);
  };
  test::run(task(local));
}

TEST(Answers, AllAreAskedAtOnceAndNoneBeyondTheDeadline) {
  const LocalLists local = lists();
  SlowSource source;
  source.delays["slow.example"] = std::chrono::milliseconds(20);
  source.delays["silent.example"] = std::chrono::hours(1);
  const auto task = [](const LocalLists& from, SlowSource* asked) -> reactor::Task<void> {
    const Answers answers(from, asked, std::chrono::milliseconds(100));
    filters::Facts facts;
    for (const char* name : {"fast.example", "slow.example", "silent.example"}) (void)facts.ask(dns(name));
    (void)facts.ask({.kind = QuestionKind::sender_list, .name = "a@bad.example"});
    const auto start = reactor::Clock::now();
    co_await answers.answer_all(facts);
    EXPECT_LT(reactor::Clock::now() - start, std::chrono::seconds(30));
    EXPECT_TRUE(facts.questions().empty());
    EXPECT_EQ(facts.answers().size(), 4U);
    EXPECT_EQ(facts.find(dns("fast.example"))->records.at(0), "answer to fast.example");
    EXPECT_EQ(facts.find(dns("slow.example"))->status, AnswerStatus::data);
    EXPECT_GE(facts.find(dns("slow.example"))->took, std::chrono::milliseconds(15));
    EXPECT_EQ(facts.find(dns("silent.example"))->status, AnswerStatus::timed_out);
  };
  test::run(task(local, &source));
  EXPECT_EQ(source.asked, 3U);
  EXPECT_EQ(source.at_once_max, 3U);
}

TEST(JudgeAndAsk, ComesToAVerdict) {
  const LocalLists local = lists();
  const auto task = [](const LocalLists& from) -> reactor::Task<void> {
    const Answers answers(from, nullptr, std::chrono::seconds(1));
    filters::Facts facts;
    filters::Policy policy;
    policy.has_sender_list = true;
    filters::Envelope envelope;
    envelope.mail_from = "a@bad.example";
    const auto verdict =
        co_await judge_and_ask(filters::Stage::mail, envelope, nullptr, facts, policy, answers);
    EXPECT_EQ(verdict.action, filters::Action::reject);
    EXPECT_EQ(verdict.score, 100);
  };
  test::run(task(local));
}

}  // namespace
}  // namespace postern::pipeline
