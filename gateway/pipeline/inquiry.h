#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "filters/judge.h"
#include "gateway/pipeline/answers.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/scope.h"
#include "gateway/reactor/task.h"

namespace postern::pipeline {

/// What one visit asks, and has been told: questions go out as soon as they can be named, their answers wait until somebody
/// wants them, and none is asked twice. What is known of the client stays for the session; the rest goes with its
/// transaction. A question that failed for the client is asked again by the next transaction. The visit's; its core's thread only.
class Inquiry {
 public:
  /// Questions under way live in `scope`, which outlasts this object: when the visit ends they come to their ends alone, and
  /// warm the cache.
  explicit Inquiry(reactor::Scope& scope);
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  filters::Facts& facts();
  /// What is known of the transaction, which ends here.
  filters::Facts take_facts();

  /// Asks what judging will want to know and can be named by now, and goes on asking as answers lead to further questions, until
  /// hold(). Does not wait. `envelope` is read until then; `answers` belong to the snapshot.
  void ask_ahead(filters::Stage stage, const filters::Envelope& envelope,
                 std::shared_ptr<const Snapshot> snapshot, const Answers& answers);
  /// Nothing new is asked ahead; what is under way goes on.
  void hold();
  /// Another transaction: what is known of the last one's sender and recipients goes, and so does the time it has waited.
  void forget_transaction();

  /// Judge, ask, judge: until there is a verdict. Waits for what this stage needs and for nothing else, no longer than the
  /// transaction's budget lasts; what has not come by then is timed_out. Does not suspend while all answers are there or local.
  /// When the rounds are used up the verdict is to defer: our trouble is never the sender's. Everything passed must outlive the task.
  /// `memo`: of this message, where some of the work has been done already; null: of the task's own.
  reactor::Task<filters::Verdict> judge(filters::Stage stage, const filters::Envelope& envelope,
                                        const filters::Analysis* analysis, const filters::Policy& policy,
                                        const Answers& answers, filters::Memo* memo = nullptr);

  /// Rounds of judging and asking for one verdict. A filter that needs more goes in circles.
  static constexpr unsigned kRoundsMax = 64;

  /// Questions by when they were asked: before anybody needed the answer, or when it was needed.
  struct Counts {
    std::uint64_t ahead = 0, needed = 0;
  };
  Counts counts() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< the tasks share it: an answer may come after the visit's end
};

/// The same for one verdict on facts of one's own, asking nothing ahead: `postern scan`.
reactor::Task<filters::Verdict> judge_and_ask(filters::Stage stage, const filters::Envelope& envelope,
                                              const filters::Analysis* analysis, filters::Facts& facts,
                                              const filters::Policy& policy, const Answers& answers,
                                              filters::Memo* memo = nullptr);

}  // namespace postern::pipeline
