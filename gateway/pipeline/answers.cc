#include "gateway/pipeline/answers.h"

#include <utility>
#include <vector>

namespace postern::pipeline {
namespace {

bool is_local(filters::QuestionKind kind) {
  switch (kind) {
    case filters::QuestionKind::client_list:
    case filters::QuestionKind::sender_list:
    case filters::QuestionKind::recipient_list:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool Answers::answer_local(filters::Facts& facts) const {
  (void)answer_some(facts);
  return facts.questions().empty();
}

bool Answers::answer_some(filters::Facts& facts) const {
  const std::vector<filters::Question> open = facts.questions();
  bool any = false;
  for (const filters::Question& question : open) {
    if (!is_local(question.kind)) continue;
    filters::Answer answer = lists_.answer(question);
    answer.asked_at = reactor::Reactor::current().now_utc();
    facts.answer(question, std::move(answer));
    any = true;
  }
  return any;
}

}  // namespace postern::pipeline
