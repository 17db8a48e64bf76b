#include "filters/facts.h"

#include <algorithm>
#include <utility>

namespace postern::filters {

std::string_view to_string(QuestionKind kind) {
  switch (kind) {
    case QuestionKind::client_list:
      return "client_list";
    case QuestionKind::sender_list:
      return "sender_list";
    case QuestionKind::recipient_list:
      return "recipient_list";
    case QuestionKind::list_health:
      return "list_health";
    case QuestionKind::greylist:
      return "greylist";
    case QuestionKind::dns_a:
      return "dns_a";
    case QuestionKind::dns_aaaa:
      return "dns_aaaa";
    case QuestionKind::dns_txt:
      return "dns_txt";
    case QuestionKind::dns_mx:
      return "dns_mx";
    case QuestionKind::dns_ptr:
      return "dns_ptr";
    case QuestionKind::classification:
      return "classification";
  }
  return "unknown";
}

std::string_view to_string(AnswerStatus status) {
  switch (status) {
    case AnswerStatus::data:
      return "data";
    case AnswerStatus::no_data:
      return "no_data";
    case AnswerStatus::no_such_name:
      return "no_such_name";
    case AnswerStatus::servfail:
      return "servfail";
    case AnswerStatus::refused:
      return "refused";
    case AnswerStatus::bogus:
      return "bogus";
    case AnswerStatus::timed_out:
      return "timed_out";
  }
  return "unknown";
}

const Answer* Facts::ask(const Question& question) {
  if (const Answer* known = find(question)) return known;
  if (std::ranges::find(open_, question) != open_.end()) return nullptr;
  if (answers_.size() + open_.size() >= kQuestionsMax) {
    // Not recorded: the bound holds, and asking again gives the same.
    static const Answer kRefused{.status = AnswerStatus::refused};
    return &kRefused;
  }
  open_.push_back(question);
  return nullptr;
}

const Answer* Facts::find(const Question& question) const {
  const auto entry = answers_.find(question);
  return entry == answers_.end() ? nullptr : &entry->second;
}

void Facts::answer(const Question& question, Answer answer) {
  const auto open = std::ranges::find(open_, question);
  if (open != open_.end()) {
    open_.erase(open);
  } else if (answers_.size() + open_.size() >= kQuestionsMax) {
    return;  // nobody asked, and there is no room for what nobody asked
  }
  answers_.try_emplace(question, std::move(answer));
}

}  // namespace postern::filters
