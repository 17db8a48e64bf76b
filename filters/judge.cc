#include "filters/judge.h"

#include <utility>

#include "filters/bayes/check.h"
#include "filters/greylist/check.h"
#include "filters/header/sanity.h"
#include "filters/policy/decide.h"
#include "filters/reputation/blocklist.h"
#include "filters/reputation/local_lists.h"

namespace postern::filters {
namespace {

/// Every check in its place. The order is the order of findings in every verdict: new checks go where they
/// read best, and stay. No check that asks is skipped because an earlier one is pending, so that all of them
/// ask in the same round. Rules ask nothing and look at what the others found: they are last.
Progress run_checks(Stage stage, const Envelope& envelope, const Analysis* analysis, Facts& facts,
                    const Policy& policy, Memo& memo, Findings& findings) {
  if (analysis != nullptr) check_mail_loop(*analysis, policy, findings);
  if (!policy.enabled) return Progress::done;

  bool pending = check_local_lists(stage, envelope, policy, facts, findings) == Progress::pending;
  pending |= authentication::check_authentication(stage, envelope, analysis, policy, facts,
                                                  memo.authentication, findings) == Progress::pending;
  if (stage == Stage::data) confirm_allowed_sender(envelope, policy, findings);
  pending |= check_blocklists(stage, envelope, analysis, policy, facts, findings) == Progress::pending;
  pending |= greylist::check_greylist(stage, envelope, policy, facts, findings) == Progress::pending;
  if (analysis != nullptr) {
    check_test_strings(analysis->test_strings(), policy.tag_score, findings);
    check_header(envelope, *analysis, findings);
  }
  if (pending) return Progress::pending;
  rules::check_rules(stage, envelope, analysis, policy, memo.rules, findings);
  // Last: what the others found out about the sender is part of its question.
  return bayes::check_bayes(stage, policy, findings.authentication, facts, findings);
}

}  // namespace

void Memo::prepare(const Envelope& envelope, const Analysis& analysis, const Policy& policy) {
  if (!policy.enabled) return;
  if (policy.authentication.enabled) authentication.prepare(analysis);
  rules.prepare(envelope, analysis, policy);
}

Analysis analyse(std::string_view message, const Policy& policy) {
  Analysis analysis = Analysis::of(message);
  if (policy.enabled && (policy.rules != nullptr || policy.bayes.enabled)) analysis.read_content();
  return analysis;
}

Judgement judge(Stage stage, const Envelope& envelope, const Analysis* analysis, Facts& facts,
                const Policy& policy, Memo* memo) {
  Findings findings;
  Memo own;
  const Progress progress =
      run_checks(stage, envelope, analysis, facts, policy, memo == nullptr ? own : *memo, findings);
  if (progress == Progress::pending) return {};
  return {.verdict = decide(stage, std::move(findings), policy, envelope.recipients)};
}

void anticipate(Stage stage, const Envelope& envelope, Facts& facts, const Policy& policy) {
  if (!policy.enabled) return;
  authentication::anticipate(stage, envelope, policy, facts);
  anticipate_blocklists(stage, envelope, policy, facts);
}

}  // namespace postern::filters
