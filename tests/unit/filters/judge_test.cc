#include "filters/judge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "filters/reputation/local_lists.h"

namespace postern::filters {
namespace {

constexpr std::string_view kOrdinary =
    "From: Ann <ann@a.example>\r\nDate: Fri, 31 May 2024 10:00:00 +0000\r\nMessage-ID: "
    "<1@a.example>\r\n\r\nhello\r\n";
constexpr std::string_view kGtube =
    "From: ann@a.example\r\nDate: x\r\nMessage-ID: <1>\r\n\r\n"
    "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";

const Policy kAllLists{.has_client_list = true, .has_sender_list = true, .has_recipient_list = true};

Envelope envelope(std::size_t recipients = 2) {
  Envelope envelope{.client_ip = *Ip::parse("192.0.2.1"), .mail_from = "s@a.example"};
  for (std::size_t i = 0; i < recipients; ++i)
    envelope.recipients.push_back("r" + std::to_string(i) + "@b.example");
  return envelope;
}

/// What the world would answer: some of every kind.
Answer world(const Question& question) {
  const std::string& name = question.name;
  if (name == "r0@b.example") return {.status = AnswerStatus::timed_out};
  if (name == "r1@b.example")
    return {.status = AnswerStatus::data, .records = {list_record(ListKind::block, name)}};
  if (name == "s@a.example")
    return {.status = AnswerStatus::data, .records = {list_record(ListKind::allow, name)}};
  return {.status = AnswerStatus::no_data};
}

std::string verdict_text(const Judgement& judgement) {
  return judgement.verdict ? to_json(*judgement.verdict) : "pending";
}

/// Answers the open questions `at_once` at a time, in the order `random` shuffles them into, judging again
/// after each lot.
std::string judge_in_lots(std::size_t at_once, std::mt19937& random, const Envelope& of,
                          const Analysis& analysis) {
  Facts facts;
  for (int round = 0; round < 1000; ++round) {
    const Judgement judgement = judge(Stage::data, of, &analysis, facts, kAllLists);
    if (judgement.verdict) return verdict_text(judgement);
    std::vector<Question> open = facts.questions();
    std::ranges::shuffle(open, random);
    open.resize(std::min(open.size(), at_once));
    for (const Question& question : open) facts.answer(question, world(question));
  }
  return "never";
}

TEST(Judge, AsksEverythingInOneRound) {
  const Analysis analysis = Analysis::of(kOrdinary);
  Facts facts;
  EXPECT_FALSE(judge(Stage::data, envelope(), &analysis, facts, kAllLists).verdict.has_value());
  EXPECT_EQ(facts.questions().size(), 4U);
  const std::vector<Question> open = facts.questions();
  for (const Question& question : open) facts.answer(question, {.status = AnswerStatus::no_data});
  EXPECT_TRUE(judge(Stage::data, envelope(), &analysis, facts, kAllLists).verdict.has_value());
}

TEST(Judge, TheOrderOfAnswersChangesNothing) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Envelope of = envelope(8);
  for (const std::string_view message : {kOrdinary, kGtube}) {
    const Analysis analysis = Analysis::of(message);
    const std::string all_at_once = judge_in_lots(1000, random, of, analysis);
    ASSERT_NE(all_at_once, "never");
    for (int round = 0; round < 200; ++round) {
      ASSERT_EQ(judge_in_lots(1, random, of, analysis), all_at_once);
      ASSERT_EQ(judge_in_lots(3, random, of, analysis), all_at_once);
    }
  }
}

TEST(Judge, AnswersGivenBeforehandChangeNothing) {
  const Analysis analysis = Analysis::of(kOrdinary);
  std::mt19937 random(1);
  Facts facts;
  for (const std::string& recipient : envelope().recipients) {
    const Question question{.kind = QuestionKind::recipient_list, .name = recipient};
    facts.answer(question, world(question));
  }
  facts.answer({.kind = QuestionKind::client_list, .name = "192.0.2.1"}, {.status = AnswerStatus::no_data});
  const Question sender{.kind = QuestionKind::sender_list, .name = "s@a.example"};
  facts.answer(sender, world(sender));
  EXPECT_EQ(verdict_text(judge(Stage::data, envelope(), &analysis, facts, kAllLists)),
            judge_in_lots(1000, random, envelope(), analysis));
  EXPECT_EQ(facts.answers().size(), 4U);
}

TEST(Judge, JudgingAgainGivesTheSame) {
  const Analysis analysis = Analysis::of(kGtube);
  Facts facts;
  const std::string first = verdict_text(judge(Stage::data, envelope(), &analysis, facts, {}));
  EXPECT_EQ(verdict_text(judge(Stage::data, envelope(), &analysis, facts, {})), first);
}

TEST(Judge, AcceptsOrdinaryMail) {
  const Analysis analysis = Analysis::of(kOrdinary);
  Facts facts;
  const auto verdict = judge(Stage::data, envelope(), &analysis, facts, {}).verdict;
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->action, Action::accept);
  EXPECT_TRUE(verdict->findings.empty());
  EXPECT_EQ(verdict->score, 0);
}

TEST(Judge, RefusesGtube) {
  const Analysis analysis = Analysis::of(kGtube);
  Facts facts;
  const auto verdict = judge(Stage::data, envelope(), &analysis, facts, {}).verdict;
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->action, Action::reject);
  EXPECT_EQ(verdict->score, 1000);
  EXPECT_EQ(verdict->refusal.code, 554);
}

TEST(Judge, BlocksAtEveryStage) {
  struct BlockCase {
    std::string_view name;
    Stage stage;
    Question question;
  };
  const BlockCase cases[] = {
      {"client", Stage::connect, {.kind = QuestionKind::client_list, .name = "192.0.2.1"}},
      {"sender", Stage::mail, {.kind = QuestionKind::sender_list, .name = "s@a.example"}},
      {"recipient", Stage::rcpt, {.kind = QuestionKind::recipient_list, .name = "r1@b.example"}},
  };
  for (const BlockCase& c : cases) {
    SCOPED_TRACE(c.name);
    Facts facts;
    facts.answer(c.question, {.status = AnswerStatus::data, .records = {list_record(ListKind::block, "x")}});
    Judgement judgement = judge(c.stage, envelope(), nullptr, facts, kAllLists);
    const std::vector<Question> open = facts.questions();
    for (const Question& question : open) facts.answer(question, {.status = AnswerStatus::no_data});
    if (!judgement.verdict) judgement = judge(c.stage, envelope(), nullptr, facts, kAllLists);
    ASSERT_TRUE(judgement.verdict.has_value());
    EXPECT_EQ(judgement.verdict->action, Action::reject);
    EXPECT_EQ(judgement.verdict->refusal.code, 554);
    EXPECT_EQ(judgement.verdict->refusal.enhanced, "5.7.1");
  }
}

std::string looping() {
  std::string message;
  for (int i = 0; i < 101; ++i) message += "Received: from a by b\r\n";
  return message + std::string(kGtube);
}

TEST(Judge, SwitchedOffAsksNothingAndStillStopsLoops) {
  Policy off = kAllLists;
  off.enabled = false;
  Facts facts;
  const Analysis gtube = Analysis::of(kGtube);
  const auto accepted = judge(Stage::data, envelope(), &gtube, facts, off).verdict;
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->action, Action::accept);
  EXPECT_TRUE(facts.questions().empty());

  const std::string message = looping();
  const Analysis analysis = Analysis::of(message);
  const auto verdict = judge(Stage::data, envelope(), &analysis, facts, off).verdict;
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->action, Action::reject);
  EXPECT_EQ(verdict->refusal.enhanced, "5.4.6");
}

TEST(Judge, AnAllowEntryIsNoWayRoundALoop) {
  Facts facts;
  facts.answer({.kind = QuestionKind::client_list, .name = "192.0.2.1"},
               {.status = AnswerStatus::data, .records = {list_record(ListKind::allow, "x")}});
  const std::string message = looping();
  const Analysis analysis = Analysis::of(message);
  const auto verdict = judge(Stage::data, envelope(), &analysis, facts, {.has_client_list = true}).verdict;
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->refusal.code, 554);
  EXPECT_EQ(verdict->refusal.enhanced, "5.4.6");
}

TEST(Judge, TooManyQuestionsMakeTheVerdictIncomplete) {
  const Analysis analysis = Analysis::of(kOrdinary);
  const Envelope of = envelope(Facts::kQuestionsMax + 1);
  Facts facts;
  EXPECT_FALSE(judge(Stage::data, of, &analysis, facts, {.has_recipient_list = true}).verdict.has_value());
  ASSERT_EQ(facts.questions().size(), Facts::kQuestionsMax);
  const std::vector<Question> open = facts.questions();
  for (const Question& question : open) facts.answer(question, {.status = AnswerStatus::no_data});
  const auto verdict = judge(Stage::data, of, &analysis, facts, {.has_recipient_list = true}).verdict;
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->incomplete, std::vector<std::string>{"local_lists: recipient r1024@b.example: refused"});
}

}  // namespace
}  // namespace postern::filters
