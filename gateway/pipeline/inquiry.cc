#include "gateway/pipeline/inquiry.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace postern::pipeline {

using filters::Answer;
using filters::AnswerStatus;
using filters::Facts;
using filters::Question;
using reactor::Clock;
using reactor::Deadline;

struct Inquiry::State {
  explicit State(reactor::Scope& all) : scope(all) {}

  /// A question under way. What a transaction asked is nothing to the next one.
  struct Flight {
    std::uint64_t transaction = 0;
    bool of_client = false;
  };

  void start(const std::shared_ptr<State>& self, const Answers& by, const Question& question, bool of_client);
  void arrived(const std::shared_ptr<State>& self, const Question& question, Answer answer, Flight flight);
  void pursue(const std::shared_ptr<State>& self);
  void ask_once(const std::shared_ptr<State>& self, filters::Stage until);
  void give_up(AnswerStatus status);

  reactor::Scope& scope;
  Facts facts;   ///< of the transaction, the client's among them
  Facts client;  ///< of the session
  std::map<Question, Flight> under_way;
  std::uint64_t transaction = 0;
  std::chrono::microseconds waited{0};  ///< by this transaction
  Counts counts;

  // Asking ahead; `envelope` null: not now.
  const filters::Envelope* envelope = nullptr;
  filters::Stage stage = filters::Stage::connect;
  std::shared_ptr<const Snapshot> snapshot;
  std::optional<Answers> answers;
  bool pursuing = false, pursue_again = false;

  reactor::Scope* wake = nullptr;  ///< cancelled when the answers that judge() waits for are all there
};

namespace {

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

void Inquiry::State::start(const std::shared_ptr<State>& self, const Answers& by, const Question& question,
                           bool of_client) {
  const Flight flight{.transaction = transaction, .of_client = of_client};
  under_way[question] = flight;
  // Captureless, with values of its own: it may outlive whoever began it.
  const auto ask_one = [](std::shared_ptr<State> state, Source* from, Question name, Deadline deadline,
                          Flight as) -> reactor::Task<void> {
    const auto asked_at = reactor::Reactor::current().now_utc();
    const auto began = Clock::now();
    Answer answer = co_await from->ask(name, deadline);
    answer.asked_at = asked_at;
    answer.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
    state->arrived(state, name, std::move(answer), as);
  };
  scope.spawn(ask_one(self, by.source(), question, Clock::now() + by.timeout(), flight));
}

void Inquiry::State::arrived(const std::shared_ptr<State>& self, const Question& question, Answer answer,
                             Flight flight) {
  const auto found = under_way.find(question);
  if (found != under_way.end() && found->second.transaction == flight.transaction) under_way.erase(found);
  if (flight.of_client && !answer.failed()) client.answer(question, answer);
  if (flight.of_client || flight.transaction == transaction) facts.answer(question, std::move(answer));
  if (wake != nullptr && facts.questions().empty()) wake->cancel();
  pursue(self);
}

/// One round of anticipation. What judge() waits for meanwhile stays open.
void Inquiry::State::ask_once(const std::shared_ptr<State>& self, filters::Stage until) {
  const std::vector<Question> wanted = facts.questions();
  facts.withdraw();
  filters::anticipate(until, *envelope, facts, snapshot->policy);
  if (answers->answer_some(facts)) pursue_again = true;  // they may lead on
  const std::vector<Question> open = facts.questions();
  facts.withdraw();
  for (const Question& question : wanted) (void)facts.ask(question);
  for (const Question& question : open) {
    if (under_way.contains(question) || facts.find(question) != nullptr) continue;
    ++counts.ahead;
    start(self, *answers, question, until == filters::Stage::connect);
  }
}

/// An answer that is in the cache is there before ask_once() returns, and may lead on.
void Inquiry::State::pursue(const std::shared_ptr<State>& self) {
  if (envelope == nullptr) return;
  if (pursuing) {
    pursue_again = true;
    return;
  }
  pursuing = true;
  do {
    pursue_again = false;
    // What the client alone leads to is the session's, whenever it comes to be asked.
    ask_once(self, filters::Stage::connect);
    if (stage != filters::Stage::connect) ask_once(self, stage);
  } while (pursue_again);
  pursuing = false;
}

void Inquiry::State::give_up(AnswerStatus status) {
  const std::vector<Question> open = facts.questions();
  for (const Question& question : open) {
    Answer none{.status = status};
    none.asked_at = reactor::Reactor::current().now_utc();
    facts.answer(question, std::move(none));
  }
}

Inquiry::Inquiry(reactor::Scope& scope) : state_(std::make_shared<State>(scope)) {}

Inquiry::~Inquiry() {
  hold();
}

Facts& Inquiry::facts() {
  return state_->facts;
}

Facts Inquiry::take_facts() {
  Facts taken = std::move(state_->facts);
  taken.withdraw();
  forget_transaction();
  return taken;
}

void Inquiry::ask_ahead(filters::Stage stage, const filters::Envelope& envelope,
                        std::shared_ptr<const Snapshot> snapshot, const Answers& answers) {
  if (answers.source() == nullptr) return;
  state_->envelope = &envelope;
  state_->stage = stage;
  state_->snapshot = std::move(snapshot);
  state_->answers.emplace(answers);
  state_->pursue(state_);
}

void Inquiry::hold() {
  state_->envelope = nullptr;
}

void Inquiry::forget_transaction() {
  State& state = *state_;
  state.stage = filters::Stage::connect;  // the client stays, and so do the questions about it
  ++state.transaction;
  state.facts = state.client;
  state.waited = {};
  std::erase_if(state.under_way, [](const auto& entry) { return !entry.second.of_client; });
}

Inquiry::Counts Inquiry::counts() const {
  return state_->counts;
}

reactor::Task<filters::Verdict> Inquiry::judge(filters::Stage stage, const filters::Envelope& envelope,
                                               const filters::Analysis* analysis,
                                               const filters::Policy& policy, const Answers& answers,
                                               filters::Memo* memo) {
  const std::shared_ptr<State> state = state_;
  filters::Memo own;
  if (memo == nullptr) memo = &own;
  for (unsigned round = 0; round < kRoundsMax; ++round) {
    state->facts.withdraw();
    filters::Judgement judgement = filters::judge(stage, envelope, analysis, state->facts, policy, memo);
    if (judgement.verdict) co_return std::move(*judgement.verdict);
    if (answers.answer_local(state->facts)) continue;
    if (answers.source() == nullptr || state->waited >= answers.budget()) {
      state->give_up(answers.source() == nullptr ? AnswerStatus::refused : AnswerStatus::timed_out);
      continue;
    }
    const std::vector<Question> open = state->facts.questions();
    for (const Question& question : open) {
      if (state->under_way.contains(question)) continue;
      ++state->counts.needed;
      state->start(state, answers, question, false);
    }
    if (state->facts.questions().empty()) continue;  // the cache knew
    const auto began = Clock::now();
    reactor::Scope wake;
    state->wake = &wake;
    (void)co_await reactor::Reactor::current().sleep_until(began + (answers.budget() - state->waited), &wake);
    state->wake = nullptr;
    state->waited += std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
    state->give_up(AnswerStatus::timed_out);  // what is open now, if anything
  }
  co_return gone_in_circles(policy);
}

reactor::Task<filters::Verdict> judge_and_ask(filters::Stage stage, const filters::Envelope& envelope,
                                              const filters::Analysis* analysis, filters::Facts& facts,
                                              const filters::Policy& policy, const Answers& answers,
                                              filters::Memo* memo) {
  reactor::Scope scope;
  Inquiry inquiry(scope);
  inquiry.facts() = std::move(facts);
  filters::Verdict verdict = co_await inquiry.judge(stage, envelope, analysis, policy, answers, memo);
  co_await scope.join();  // nothing is left but what the budget cut off, and that has its own deadline
  facts = inquiry.take_facts();
  co_return verdict;
}

}  // namespace postern::pipeline
