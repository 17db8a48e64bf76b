#include "filters/bayes/check.h"

#include <gtest/gtest.h>

namespace postern::filters::bayes {
namespace {

const Policy kPolicy{
    .bayes = {
        .enabled = true, .spam_score = 6, .ham_score = -3, .certain_log_odds = 7, .unsure_log_odds = 1}};
const std::vector<results::MethodResult> kAuthentication = {
    {.method = "spf", .result = "pass", .properties = {{"smtp.mailfrom", "a@b.example"}}},
    {.method = "dkim", .result = "fail", .properties = {{"header.d", "c.example"}, {"header.s", "x"}}}};

TEST(BayesCheck, AsksWithWhatIsKnownOfTheSender) {
  const auto facts = facts_of(kAuthentication);
  EXPECT_EQ(facts,
            (std::vector<std::string>{"spf=pass", "spf=pass b.example", "dkim=fail", "dkim=fail c.example"}));
  const Question question = question_of(facts);
  EXPECT_EQ(question.kind, QuestionKind::classification);
  EXPECT_EQ(facts_in(question), facts);
  EXPECT_TRUE(facts_in(question_of({})).empty());
}

TEST(BayesCheck, ScoresByTheLogOdds) {
  struct Row {
    std::string_view name;
    double log_odds, score;
  };
  constexpr Row kRows[] = {{"unsure", 1, 0},           {"half", 4, 3},
                           {"certain", 7, 6},          {"more than certain", 700, 6},
                           {"unsure of ham", -1, 0},   {"half of ham", -4, -1.5},
                           {"certain of ham", -20, -3}};
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    Facts facts;
    Findings findings;
    EXPECT_EQ(check_bayes(Stage::data, kPolicy, kAuthentication, facts, findings), Progress::pending);
    ASSERT_EQ(facts.questions().size(), 1U);
    const Question question = facts.questions().front();
    facts.answer(question, answer_of({.log_odds = row.log_odds, .trained = true},
                                     {{"subject:x\ny", 2}, {"z", -1}}, false));
    EXPECT_EQ(check_bayes(Stage::data, kPolicy, kAuthentication, facts, findings), Progress::done);
    ASSERT_EQ(findings.found.size(), 1U);
    EXPECT_EQ(findings.found[0].name, "BAYES");
    EXPECT_EQ(findings.found[0].score, row.score);
    EXPECT_TRUE(findings.found[0].evidence.ends_with("; for: subject:x?y; against: z"))
        << findings.found[0].evidence;
  }
}

TEST(BayesCheck, IsSilentUntilTrainedAndOwnsUpToFailure) {
  const auto run = [](Answer answer) {
    Facts facts;
    facts.answer(question_of({}), std::move(answer));
    Findings findings;
    EXPECT_EQ(check_bayes(Stage::data, kPolicy, {}, facts, findings), Progress::done);
    return findings;
  };
  const Findings untrained = run(answer_of({.log_odds = 5, .trained = false}, {}, false));
  EXPECT_TRUE(untrained.found.empty());
  EXPECT_TRUE(untrained.unknown.empty());
  const Findings failed = run({.status = AnswerStatus::timed_out});
  EXPECT_EQ(failed.unknown, std::vector<std::string>{"bayes: timed_out"});
  EXPECT_EQ(failed.relief, 3);
}

TEST(BayesCheck, AsksNothingBeforeTheDataOrWhenOff) {
  Facts facts;
  Findings findings;
  EXPECT_EQ(check_bayes(Stage::rcpt, kPolicy, {}, facts, findings), Progress::done);
  EXPECT_EQ(check_bayes(Stage::data, Policy{}, {}, facts, findings), Progress::done);
  EXPECT_TRUE(facts.questions().empty());
}

}  // namespace
}  // namespace postern::filters::bayes
