#include "filters/rules/check.h"

namespace postern::filters::rules {

const Scanned* Memo::scanned(const Envelope& envelope, const Analysis& analysis, const Policy& policy) {
  if (policy.rules == nullptr || analysis.content() == nullptr) return nullptr;
  if (!scanned_) scanned_ = policy.rules->scan(envelope, analysis, *analysis.content());
  return scanned_.get();
}

void Memo::prepare(const Envelope& envelope, const Analysis& analysis, const Policy& policy) {
  if (policy.enabled) (void)scanned(envelope, analysis, policy);
}

void check_rules(Stage stage, const Envelope& envelope, const Analysis* analysis, const Policy& policy,
                 Memo& memo, Findings& findings) {
  if (stage != Stage::data || analysis == nullptr) return;
  if (const Scanned* const scanned = memo.scanned(envelope, *analysis, policy))
    policy.rules->report(*scanned, findings);
}

}  // namespace postern::filters::rules
