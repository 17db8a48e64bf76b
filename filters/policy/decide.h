#pragma once

#include <span>
#include <string>
#include <string_view>

#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters {

/// Adds the scores up in the order of the findings and draws the conclusion. Before the data only a refusal
/// is worth anything: what would merely tag or quarantine is accepted there, and counts again at data.
///
/// A few findings demand their own reply whatever the sum is, and no allow entry outweighs them: MAIL_LOOP
/// (554 5.4.6, RFC 5321 §6.3) and EICAR (554 5.7.1). Otherwise the highest threshold reached decides.
///
/// Where the policy has profiles: at RCPT the last recipient's thresholds hold; before it the most lenient ones, for nobody may be
/// refused for a recipient he has not named; at the data each recipient's own, and the verdict has a disposition for each.
Verdict decide(Stage stage, Findings findings, const Policy& policy,
               std::span<const std::string> recipients = {});

}  // namespace postern::filters
