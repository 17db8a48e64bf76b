#pragma once

#include <memory>

#include "filters/envelope.h"
#include "filters/message/analysis.h"
#include "filters/policy/policy.h"
#include "filters/rules/rule_set.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters::rules {

/// The look through one message, kept while it is judged; a verdict is the same with and without it. Of one envelope, analysis and
/// policy, which must outlive it and must not move. One thread at a time.
class Memo {
 public:
  /// Does the costly part now: for a worker, where the message is large.
  void prepare(const Envelope& envelope, const Analysis& analysis, const Policy& policy);
  const Scanned* scanned(const Envelope& envelope, const Analysis& analysis, const Policy& policy);

 private:
  std::unique_ptr<const Scanned> scanned_;
};

/// At Stage::data: the findings of policy.rules, behind all others, whose findings and results of authentication rules may use; so it is
/// to be called last, when nothing is pending any more. Nothing where there are no rules, or the analysis has no content.
void check_rules(Stage stage, const Envelope& envelope, const Analysis* analysis, const Policy& policy,
                 Memo& memo, Findings& findings);

}  // namespace postern::filters::rules
