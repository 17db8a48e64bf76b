#include "gateway/serve/dns_source.h"

#include <string>

namespace postern::serve {
namespace {

using filters::AnswerStatus;
using filters::QuestionKind;

/// The label's values are the registry's names of types, in lower case.
constexpr std::pair<QuestionKind, const char*> kKinds[] = {{QuestionKind::dns_a, "a"},
                                                           {QuestionKind::dns_aaaa, "aaaa"},
                                                           {QuestionKind::dns_txt, "txt"},
                                                           {QuestionKind::dns_mx, "mx"},
                                                           {QuestionKind::dns_ptr, "ptr"}};
constexpr AnswerStatus kResults[] = {
    AnswerStatus::data,    AnswerStatus::no_data, AnswerStatus::no_such_name, AnswerStatus::servfail,
    AnswerStatus::refused, AnswerStatus::bogus,   AnswerStatus::timed_out};

/// From the cache's microseconds to the longest timeout that is reasonable.
std::vector<double> bounds() {
  return {0.00001, 0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};
}

}  // namespace

DnsSource::DnsSource(std::unique_ptr<dns::Resolver> resolver, metrics::Registry& metrics)
    : resolver_(std::move(resolver)) {
  for (const auto& [kind, label] : kKinds) {
    for (const AnswerStatus result : kResults)
      queries_[{kind, result}] = &metrics.counter(
          "postern_dns_queries_total", "Questions to DNS, those included that the cache answered.",
          {{"kind", label}, {"result", std::string(to_string(result))}});
    durations_[kind] = &metrics.histogram("postern_dns_duration_seconds", "From the question to its answer.",
                                          bounds(), {{"kind", label}});
  }
}

reactor::Task<filters::Answer> DnsSource::ask(filters::Question question, reactor::Deadline deadline) {
  const QuestionKind kind = question.kind;
  filters::Answer answer = co_await resolver_->ask(std::move(question), deadline);
  count(kind, answer);
  co_return answer;
}

void DnsSource::count(QuestionKind kind, const filters::Answer& answer) {
  const auto counter = queries_.find({kind, answer.status});
  if (counter == queries_.end()) return;  // no question about DNS
  counter->second->add();
  durations_[kind]->observe(std::chrono::duration<double>(answer.took).count());
}

reactor::Task<void> DnsSource::close() {
  return resolver_->close();
}

}  // namespace postern::serve
