#pragma once

#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters {

/// Adds the scores up in the order of the findings and draws the conclusion. Before the data only a refusal
/// is worth anything: what would merely tag or quarantine is accepted there, and counts again at data.
///
/// A few findings demand their own reply whatever the sum is, and no allow entry outweighs them: MAIL_LOOP
/// (554 5.4.6, RFC 5321 §6.3) and EICAR (554 5.7.1). Otherwise the highest threshold reached decides.
Verdict decide(Stage stage, Findings findings, const Policy& policy);

}  // namespace postern::filters
