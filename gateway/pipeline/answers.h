#pragma once

#include <chrono>
#include <functional>

#include "filters/facts.h"
#include "gateway/pipeline/greylist.h"
#include "gateway/pipeline/list_health.h"
#include "gateway/pipeline/local_lists.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/task.h"

namespace postern::pipeline {

/// Who answers what only the outside world knows. Lives on one core.
class Source {
 public:
  virtual ~Source() = default;
  /// Finishes by the deadline, with AnswerStatus::timed_out when nothing came. Many may be under way at once.
  virtual reactor::Task<filters::Answer> ask(filters::Question question, reactor::Deadline deadline) = 0;
};

/// Where answers come from under one snapshot, and how long they may take. One core's.
class Answers {
 public:
  /// `source` may be null: then what only it could know is answered `refused`, which is never "no". `timeout` is for one answer,
  /// `budget` for what one message may wait for in all: an SPF record that leads to another needs round after round, and the
  /// client does not wait for ever.
  Answers(const LocalLists& lists, Source* source, std::chrono::milliseconds timeout,
          std::chrono::milliseconds budget)
      : lists_(lists), source_(source), timeout_(timeout), budget_(budget) {}

  /// Null: every DNS list is believed.
  Answers& with(const ListHealth* health) {
    health_ = health;
    return *this;
  }
  /// Null: nobody has to wait.
  Answers& with(Greylist* greylist, const Greylist::Rules& rules) {
    greylist_ = greylist;
    rules_ = rules;
    return *this;
  }

  /// Who classifies the message that is judged; null: nobody, the answer is `no_data`. Outlives the Answers.
  using Classify = std::function<filters::Answer(const filters::Question&)>;
  void classify_with(const Classify* classify) { classify_ = classify; }

  /// Whatever of the open questions needs no waiting; false when questions are left for the source.
  bool answer_local(filters::Facts& facts) const;
  /// The same; true when any was answered.
  bool answer_some(filters::Facts& facts) const;
  /// Whatever is open now. Each answer is there or counts as timed out when the timeout has passed, or `end`. For whoever asks for
  /// himself; a visit has its Inquiry.
  reactor::Task<void> answer_all(filters::Facts& facts, reactor::Deadline end) const;
  /// When the budget of somebody who begins now is spent.
  reactor::Deadline end() const { return reactor::Clock::now() + budget_; }

  Source* source() const { return source_; }
  std::chrono::milliseconds timeout() const { return timeout_; }
  std::chrono::milliseconds budget() const { return budget_; }

 private:
  filters::Answer answer(const filters::Question& question) const;

  const LocalLists& lists_;
  Source* source_;
  std::chrono::milliseconds timeout_, budget_;
  const ListHealth* health_ = nullptr;
  Greylist* greylist_ = nullptr;
  Greylist::Rules rules_;
  const Classify* classify_ = nullptr;
};

}  // namespace postern::pipeline
