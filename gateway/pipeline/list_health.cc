#include "gateway/pipeline/list_health.h"

namespace postern::pipeline {

bool ListHealth::note(std::string_view zone, const filters::ListTrial& trial,
                      std::chrono::sys_time<std::chrono::milliseconds> now) {
  using enum filters::ListTrial::Outcome;
  bool changed = false;
  change([&](States& states) {
    const auto [entry, is_new] = states.try_emplace(std::string(zone));
    State& state = entry->second;
    if (is_new) state.since = now;
    const bool benched = trial.outcome == wrong || (trial.outcome == unknown && state.benched);
    changed = benched != state.benched;
    if (changed) state.since = now;
    state.benched = benched;
    // Why it is benched stays to be read until it is not.
    if (!(benched && trial.outcome == unknown)) state.last = trial;
    state.tried_at = now;
  });
  return changed;
}

filters::Answer ListHealth::answer(std::string_view zone) const {
  const auto states = all();
  const auto found = states->find(zone);
  filters::Answer answer;
  if (found == states->end() || !found->second.benched) return answer;
  answer.status = filters::AnswerStatus::data;
  answer.records.push_back(found->second.last.reason);
  return answer;
}

}  // namespace postern::pipeline
