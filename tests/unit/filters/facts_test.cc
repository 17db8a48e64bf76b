#include "filters/facts.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::filters {
namespace {

Question client(std::string name) {
  return {.kind = QuestionKind::client_list, .name = std::move(name)};
}

Answer data(std::string record) {
  return {.status = AnswerStatus::data, .records = {std::move(record)}};
}

TEST(Facts, NotesAQuestionOnce) {
  Facts facts;
  EXPECT_EQ(facts.ask(client("a")), nullptr);
  EXPECT_EQ(facts.ask(client("b")), nullptr);
  EXPECT_EQ(facts.ask(client("a")), nullptr);
  ASSERT_EQ(facts.questions().size(), 2U);
  EXPECT_EQ(facts.questions()[0], client("a"));
  EXPECT_EQ(facts.questions()[1], client("b"));
}

TEST(Facts, KeepsQuestionsOfDifferentKindsApart) {
  Facts facts;
  facts.answer(client("a"), data("x"));
  EXPECT_EQ(facts.ask({.kind = QuestionKind::sender_list, .name = "a"}), nullptr);
  EXPECT_NE(facts.ask(client("a")), nullptr);
}

TEST(Facts, AnAnswerClosesItsQuestion) {
  Facts facts;
  facts.ask(client("a"));
  facts.ask(client("b"));
  facts.answer(client("a"), data("x"));
  ASSERT_EQ(facts.questions().size(), 1U);
  EXPECT_EQ(facts.questions()[0], client("b"));
  const Answer* answer = facts.ask(client("a"));
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->records.front(), "x");
}

TEST(Facts, TheFirstAnswerStays) {
  Facts facts;
  facts.answer(client("a"), data("first"));
  facts.answer(client("a"), data("second"));
  EXPECT_EQ(facts.find(client("a"))->records.front(), "first");
  EXPECT_EQ(facts.answers().size(), 1U);
}

TEST(Facts, FindNotesNothing) {
  const Facts facts;
  EXPECT_EQ(facts.find(client("a")), nullptr);
  EXPECT_TRUE(facts.questions().empty());
}

TEST(Facts, IsBounded) {
  Facts facts;
  for (std::size_t i = 0; i < Facts::kQuestionsMax; ++i)
    ASSERT_EQ(facts.ask(client(std::to_string(i))), nullptr) << i;
  const Answer* over = facts.ask(client("one more"));
  ASSERT_NE(over, nullptr);
  EXPECT_EQ(over->status, AnswerStatus::refused);
  EXPECT_TRUE(over->failed());
  EXPECT_EQ(facts.questions().size(), Facts::kQuestionsMax);
  EXPECT_EQ(facts.ask(client("0")), nullptr) << "known questions stay open";

  facts.answer(client("nobody asked"), data("x"));
  EXPECT_EQ(facts.find(client("nobody asked")), nullptr);
  for (std::size_t i = 0; i < Facts::kQuestionsMax; ++i) facts.answer(client(std::to_string(i)), data("x"));
  EXPECT_EQ(facts.answers().size(), Facts::kQuestionsMax);
  EXPECT_TRUE(facts.questions().empty());
  EXPECT_EQ(facts.ask(client("one more"))->status, AnswerStatus::refused) << "answers count as well";
}

TEST(Facts, FailureIsNotAnAnswer) {
  for (const AnswerStatus status : {AnswerStatus::data, AnswerStatus::no_data, AnswerStatus::no_such_name})
    EXPECT_FALSE(Answer{.status = status}.failed()) << to_string(status);
  for (const AnswerStatus status :
       {AnswerStatus::servfail, AnswerStatus::refused, AnswerStatus::bogus, AnswerStatus::timed_out})
    EXPECT_TRUE(Answer{.status = status}.failed()) << to_string(status);
}

TEST(Facts, KindsAndStatesHaveNames) {
  EXPECT_EQ(to_string(QuestionKind::client_list), "client_list");
  EXPECT_EQ(to_string(QuestionKind::sender_list), "sender_list");
  EXPECT_EQ(to_string(QuestionKind::recipient_list), "recipient_list");
  EXPECT_EQ(to_string(QuestionKind::dns_ptr), "dns_ptr");
  EXPECT_EQ(to_string(AnswerStatus::no_such_name), "no_such_name");
  EXPECT_EQ(to_string(AnswerStatus::timed_out), "timed_out");
}

}  // namespace
}  // namespace postern::filters
