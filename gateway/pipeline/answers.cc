#include "gateway/pipeline/answers.h"

#include <algorithm>
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
    case filters::QuestionKind::list_health:
    case filters::QuestionKind::greylist:
    case filters::QuestionKind::classification:
      return true;
    default:
      return false;
  }
}

reactor::Task<void> ask_one(Source* source, filters::Question question, reactor::Deadline deadline,
                            filters::Facts* facts) {
  const auto asked_at = reactor::Reactor::current().now_utc();
  const auto began = reactor::Clock::now();
  filters::Answer answer = co_await source->ask(question, deadline);
  answer.asked_at = asked_at;
  answer.took = std::chrono::duration_cast<std::chrono::microseconds>(reactor::Clock::now() - began);
  facts->answer(question, std::move(answer));
}

}  // namespace

filters::Answer Answers::answer(const filters::Question& question) const {
  if (question.kind == filters::QuestionKind::list_health)
    return health_ == nullptr ? filters::Answer() : health_->answer(question.name);
  if (question.kind == filters::QuestionKind::greylist)
    return greylist_ == nullptr
               ? filters::Answer()
               : greylist_->answer(question.name, rules_, reactor::Reactor::current().now_utc());
  if (question.kind == filters::QuestionKind::classification)
    return classify_ == nullptr ? filters::Answer() : (*classify_)(question);
  return lists_.answer(question);
}

bool Answers::answer_local(filters::Facts& facts) const {
  (void)answer_some(facts);
  return facts.questions().empty();
}

bool Answers::answer_some(filters::Facts& facts) const {
  const std::vector<filters::Question> open = facts.questions();
  bool any = false;
  for (const filters::Question& question : open) {
    if (!is_local(question.kind)) continue;
    const auto start = reactor::Clock::now();
    filters::Answer answer = this->answer(question);
    if (question.kind == filters::QuestionKind::classification)
      answer.took = std::chrono::duration_cast<std::chrono::microseconds>(reactor::Clock::now() - start);
    answer.asked_at = reactor::Reactor::current().now_utc();
    facts.answer(question, std::move(answer));
    any = true;
  }
  return any;
}

reactor::Task<void> Answers::answer_all(filters::Facts& facts, reactor::Deadline end) const {
  if (answer_local(facts)) co_return;
  const std::vector<filters::Question> open = facts.questions();
  if (source_ == nullptr || reactor::Clock::now() >= end) {
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

}  // namespace postern::pipeline
