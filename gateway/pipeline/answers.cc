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
    case filters::QuestionKind::list_health:
    case filters::QuestionKind::greylist:
      return true;
    default:
      return false;
  }
}

}  // namespace

filters::Answer Answers::answer(const filters::Question& question) const {
  if (question.kind == filters::QuestionKind::list_health)
    return health_ == nullptr ? filters::Answer() : health_->answer(question.name);
  if (question.kind == filters::QuestionKind::greylist)
    return greylist_ == nullptr
               ? filters::Answer()
               : greylist_->answer(question.name, rules_, reactor::Reactor::current().now_utc());
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
    filters::Answer answer = this->answer(question);
    answer.asked_at = reactor::Reactor::current().now_utc();
    facts.answer(question, std::move(answer));
    any = true;
  }
  return any;
}

}  // namespace postern::pipeline
