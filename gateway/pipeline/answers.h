#pragma once

#include <chrono>
#include <functional>

#include "filters/judge.h"
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

/// Answers the open questions of Facts: those about local lists at once, the rest by a Source, all in
/// parallel. One core's.
class Answers {
 public:
  /// Rounds of judging and asking for one verdict. A filter that needs more goes in circles.
  static constexpr unsigned kRoundsMax = 64;
  /// What one verdict may wait for in all, in timeouts of one answer: an SPF record that leads to another needs
  /// round after round, and the client does not wait for ever.
  static constexpr unsigned kTimeoutsMax = 3;

  /// `source` may be null: then what only it could know is answered `refused`, which is never "no".
  Answers(const LocalLists& lists, Source* source, std::chrono::milliseconds timeout)
      : lists_(lists), source_(source), timeout_(timeout) {}

  /// Who classifies the message that is judged; null: nobody, the answer is `no_data`. Outlives the Answers.
  using Classify = std::function<filters::Answer(const filters::Question&)>;
  void classify_with(const Classify* classify) { classify_ = classify; }

  /// Without waiting; false when questions are left for the source.
  bool answer_local(filters::Facts& facts) const;
  /// Whatever is open now. Each answer is there or counts as timed out when the timeout has passed, or `end`.
  reactor::Task<void> answer_all(filters::Facts& facts,
                                 reactor::Deadline end = reactor::Deadline::max()) const;
  /// When a verdict that is begun now must be there.
  reactor::Deadline end() const { return reactor::Clock::now() + kTimeoutsMax * timeout_; }

 private:
  const LocalLists& lists_;
  Source* source_;
  const Classify* classify_ = nullptr;
  std::chrono::milliseconds timeout_;
};

/// Judge, ask, judge: until there is a verdict. Does not suspend while all questions are local ones.
/// Everything passed must outlive the task. `memo`: of this message, where some of the work has been done
/// already; null: of the task's own. When the rounds are used up the verdict is to defer: our trouble
/// is never the sender's.
reactor::Task<filters::Verdict> judge_and_ask(filters::Stage stage, const filters::Envelope& envelope,
                                              const filters::Analysis* analysis, filters::Facts& facts,
                                              const filters::Policy& policy, const Answers& answers,
                                              filters::Memo* memo = nullptr);

}  // namespace postern::pipeline
