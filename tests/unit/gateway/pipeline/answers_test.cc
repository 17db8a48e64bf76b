#include "gateway/pipeline/answers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "tests/support/run_task.h"

namespace postern::pipeline {
namespace {

using filters::AnswerStatus;
using filters::Question;
using filters::QuestionKind;

TEST(Answers, LocalOnesAreThereAtOnceAndOthersStayOpen) {
  const LocalLists local({}, {.senders = {"@bad.example"}});
  const auto task = [](const LocalLists& from) -> reactor::Task<void> {
    const Answers answers(from, nullptr, std::chrono::seconds(1), std::chrono::seconds(2));
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
    (void)facts.ask({.kind = QuestionKind::dns_txt, .name = "x.example"});
    EXPECT_FALSE(answers.answer_some(facts));
    EXPECT_FALSE(answers.answer_local(facts));
    EXPECT_EQ(facts.questions().size(), 1U);
    co_return;
  };
  test::run(task(local));
}

}  // namespace
}  // namespace postern::pipeline
