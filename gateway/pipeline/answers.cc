#include "gateway/pipeline/answers.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/reactor/scope.h"

namespace postern::pipeline {
namespace {

bool is_local(filters::QuestionKind kind) {
  switch (kind) {
    case filters::QuestionKind::client_list:
    case filters::QuestionKind::sender_list:
    case filters::QuestionKind::recipient_list:
    case filters::QuestionKind::classification:
      return true;
    default:
      return false;
  }
}

std::chrono::microseconds since(reactor::Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(reactor::Clock::now() - start);
}

reactor::Task<void> ask_one(Source* source, filters::Question question, reactor::Deadline deadline,
                            filters::Facts* facts) {
  const auto asked_at = reactor::Reactor::current().now_utc();
  const auto start = reactor::Clock::now();
  filters::Answer answer = co_await source->ask(question, deadline);
  answer.asked_at = asked_at;
  answer.took = since(start);
  facts->answer(question, std::move(answer));
}

filters::Verdict gone_in_circles(const filters::Policy& policy) {
  filters::Verdict verdict;
  verdict.action = filters::Action::defer;
  verdict.required = policy.tag_score;
  verdict.incomplete.emplace_back("judge: too many rounds of questions");
  verdict.reason = "deferred: the filters did not come to an end with their questions";
  verdict.refusal = {.code = 451, .enhanced = "4.3.0", .text = "The message could not be judged, try again"};
  return verdict;
}

}  // namespace

bool Answers::answer_local(filters::Facts& facts) const {
  const std::vector<filters::Question> open = facts.questions();
  bool all = true;
  for (const filters::Question& question : open) {
    if (!is_local(question.kind)) {
      all = false;
      continue;
    }
    const auto start = reactor::Clock::now();
    filters::Answer answer;
    if (question.kind != filters::QuestionKind::classification) {
      answer = lists_.answer(question);
    } else if (classify_ != nullptr) {
      answer = (*classify_)(question);
      answer.took = since(start);
    }
    answer.asked_at = reactor::Reactor::current().now_utc();
    facts.answer(question, std::move(answer));
  }
  return all;
}

reactor::Task<void> Answers::answer_all(filters::Facts& facts, reactor::Deadline end) const {
  if (answer_local(facts)) co_return;
  const std::vector<filters::Question> open = facts.questions();
  const bool too_late = reactor::Clock::now() >= end;
  if (source_ == nullptr || too_late) {
    for (const filters::Question& question : open) {
      filters::Answer none{.status = source_ == nullptr ? filters::AnswerStatus::refused
                                                        : filters::AnswerStatus::timed_out};
      none.asked_at = reactor::Reactor::current().now_utc();
      facts.answer(question, std::move(none));
    }
    co_return;
  }
  const reactor::Deadline deadline = std::min<reactor::Deadline>(reactor::Clock::now() + timeout_, end);
  reactor::Scope scope;
  for (const filters::Question& question : open) scope.spawn(ask_one(source_, question, deadline, &facts));
  co_await scope.join();
}

reactor::Task<filters::Verdict> judge_and_ask(filters::Stage stage, const filters::Envelope& envelope,
                                              const filters::Analysis* analysis, filters::Facts& facts,
                                              const filters::Policy& policy, const Answers& answers,
                                              filters::Memo* memo) {
  filters::Memo own;
  if (memo == nullptr) memo = &own;
  const reactor::Deadline end = answers.end();
  for (unsigned round = 0; round < Answers::kRoundsMax; ++round) {
    filters::Judgement judgement = filters::judge(stage, envelope, analysis, facts, policy, memo);
    if (judgement.verdict) co_return std::move(*judgement.verdict);
    if (answers.answer_local(facts)) continue;
    co_await answers.answer_all(facts, end);
  }
  co_return gone_in_circles(policy);
}

}  // namespace postern::pipeline
