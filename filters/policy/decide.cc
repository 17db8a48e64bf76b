#include "filters/policy/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/policy/profile.h"

namespace postern::filters {
namespace {

/// The reply that goes with a finding.
struct ReplyRow {
  std::string_view finding;
  bool always;  ///< refused for this alone, whatever the sum
  int code;
  std::string_view enhanced, text;
};

constexpr ReplyRow kReplies[] = {
    // RFC 5321 §6.3, RFC 3463 §3.5.
    {"MAIL_LOOP", true, 554, "5.4.6", "too many hops: the message seems to go round in a mail loop"},
    {"EICAR", true, 554, "5.7.1", "message refused: it contains a virus (EICAR test file)"},
    {"LOCAL_BLOCK_CLIENT", false, 554, "5.7.1", "client address refused by local policy"},
    {"LOCAL_BLOCK_SENDER", false, 554, "5.7.1", "sender refused by local policy"},
    {"LOCAL_BLOCK_RECIPIENT", false, 554, "5.7.1", "recipient refused by local policy"},
};
constexpr std::string_view kBlocklistPrefix = "DNSBL_";  // findings of filters/reputation/blocklist.h
constexpr ReplyRow kSpamReply = {"", false, 554, "5.7.1", "message refused: it looks like spam"};
constexpr ReplyRow kDeferReply = {"", false, 451, "4.7.1", "cannot judge this now, try again later"};

/// Scores are written with a few decimals: what their binary sum has beyond that is noise, and must not
/// decide at a threshold.
double rounded(double score) {
  constexpr double kSteps = 1e6;
  constexpr double kRoundableMax = 1e9;  // beyond, a double has no millionths
  return std::abs(score) < kRoundableMax ? std::round(score * kSteps) / kSteps : score;
}

const ReplyRow* reply_row(std::string_view finding) {
  const auto row = std::ranges::find(kReplies, finding, &ReplyRow::finding);
  return row == std::ranges::end(kReplies) ? nullptr : &*row;
}

Refusal refusal_of(const ReplyRow& row) {
  return {.code = row.code, .enhanced = std::string(row.enhanced), .text = std::string(row.text)};
}

/// The finding that weighs most; the first of equals. Null when there are none.
const Finding* heaviest(const std::vector<Finding>& findings) {
  const auto found = std::ranges::max_element(findings, {}, &Finding::score);
  return found == findings.end() ? nullptr : &*found;
}

/// A finding that decides alone, and how. The first in order.
bool decide_alone(Verdict& verdict) {
  for (const Finding& finding : verdict.findings) {
    const ReplyRow* row = reply_row(finding.name);
    if (row == nullptr || !row->always) continue;
    verdict.action = Action::reject;
    verdict.refusal = refusal_of(*row);
    verdict.reason = fmt::format("{} alone: {}", finding.name, finding.evidence);
    return true;
  }
  return false;
}

/// By the highest threshold reached. `worth_tagging` is false before the data.
void decide_by_score(Verdict& verdict, const Profile& policy, bool worth_tagging) {
  const auto reached = [&verdict](Action action, std::string_view name, double threshold) {
    if (verdict.score < threshold) return false;
    verdict.action = action;
    verdict.reason = fmt::format("score {} reaches {} {}", verdict.score, name, threshold);
    if (const Finding* most = heaviest(verdict.findings))
      verdict.reason += fmt::format(", most by {} ({})", most->name, most->score);
    return true;
  };
  const bool may_discard = worth_tagging && policy.discard_score > 0;
  if (may_discard && reached(Action::discard, "discard_score", policy.discard_score)) return;
  if (reached(Action::reject, "reject_score", policy.reject_score)) {
    const Finding* most = heaviest(verdict.findings);
    const ReplyRow* row = most == nullptr ? nullptr : reply_row(most->name);
    verdict.refusal = refusal_of(row == nullptr ? kSpamReply : *row);
    // The sender's postmaster must learn whom to ask.
    if (most != nullptr && most->name.starts_with(kBlocklistPrefix))
      verdict.refusal.text = "message refused: " + most->evidence;
    return;
  }
  if (worth_tagging && (reached(Action::quarantine, "quarantine_score", policy.quarantine_score) ||
                        reached(Action::tag, "tag_score", policy.tag_score)))
    return;
  const auto [name, threshold] = worth_tagging ? std::pair("tag_score", policy.tag_score)
                                               : std::pair("reject_score", policy.reject_score);
  verdict.reason = fmt::format("score {} is below {} {}", verdict.score, name, threshold);
}

/// What a check demands of itself.
void heed(Verdict& verdict, const std::optional<Demand>& demand) {
  if (!demand || demand->action < verdict.action) return;
  verdict.action = demand->action;
  verdict.refusal = demand->refusal;
  verdict.reason = fmt::format("{}; {}", demand->reason, verdict.reason);
}

/// What the policy says about one check that could not do its work: "spf: servfail …", "blocklist bl.example: …".
Action wanted_for(std::string_view entry, const Policy& policy) {
  const auto found = policy.incomplete.find(entry.substr(0, entry.find_first_of(": ")));
  if (found != policy.incomplete.end()) return found->second;
  return policy.defer_incomplete ? Action::defer : Action::accept;
}

/// What could not be found out might have spoken for the message, and our trouble is never the sender's: a
/// refusal that this could have averted is none for good. Otherwise the message comes in, or does not, as the
/// policy says.
void weigh_incomplete(Stage stage, Verdict& verdict, bool could_avert, const Policy& policy) {
  if (verdict.incomplete.empty()) return;
  const bool kept_out = verdict.action == Action::reject || verdict.action == Action::discard;
  if (kept_out && !could_avert) return;
  const std::string* worst = &verdict.incomplete.front();
  Action action = kept_out ? Action::defer : Action::accept;
  for (const std::string& entry : verdict.incomplete) {
    const Action wanted = wanted_for(entry, policy);
    if (wanted <= action) continue;
    action = wanted;
    worst = &entry;
  }
  if (action == Action::accept || (action == Action::tag && stage != Stage::data)) return;
  if (!kept_out && action <= verdict.action) return;
  verdict.action = action;
  verdict.refusal = action == Action::defer ? refusal_of(kDeferReply) : Refusal{};
  verdict.reason = fmt::format("incomplete ({}); {}", *worst, verdict.reason);
}

/// What the checks said, beside the findings themselves.
struct Said {
  const std::optional<Demand>& demand;
  bool anything_possible;  ///< what is not known might have let it in, whatever the sum is
  double relief;
};

/// Action, reason and refusal by these thresholds; the verdict's findings and score stand.
void conclude(Stage stage, Verdict& verdict, const Said& said, const Policy& policy,
              const Profile& thresholds) {
  verdict.action = Action::accept;
  verdict.refusal = {};
  verdict.required = thresholds.tag_score;
  decide_by_score(verdict, thresholds, stage == Stage::data);
  // A demand is made on what is certain: what is not known of other checks does not soften it.
  const bool demanded = said.demand && said.demand->action == Action::reject;
  const double line = verdict.action == Action::discard ? thresholds.discard_score : thresholds.reject_score;
  const bool could_avert =
      said.anything_possible || (!demanded && rounded(verdict.score - said.relief) < line);
  heed(verdict, said.demand);
  weigh_incomplete(stage, verdict, could_avert, policy);
}

Disposition disposition_of(const Verdict& verdict, std::string_view profile) {
  return {.recipient = {},
          .profile = std::string(profile),
          .action = verdict.action,
          .required = verdict.required,
          .reason = verdict.reason,
          .refusal = verdict.refusal};
}

bool keeps_out(Action action) {
  return action == Action::reject || action == Action::defer;
}

/// What stands for all recipients. A message that somebody gets cannot be refused for another in one reply: for him it counts as
/// quarantined.
void put_together(Verdict& verdict) {
  const std::vector<Disposition>& each = verdict.dispositions;
  const bool all_out = std::ranges::all_of(
      each, [](const Disposition& one) { return keeps_out(one.action) || one.action == Action::discard; });
  const auto severity = [all_out](const Disposition& one) {
    if (!keeps_out(one.action)) return one.action;
    if (!all_out) return Action::quarantine;
    // Whoever would hear "later" must not hear "never".
    return one.action == Action::defer ? Action::reject : Action::defer;
  };
  const auto strictest = std::ranges::max_element(each, {}, severity);
  verdict.action = all_out ? strictest->action : severity(*strictest);
  verdict.required = strictest->required;
  verdict.reason = strictest->reason;
  verdict.refusal = keeps_out(verdict.action) ? strictest->refusal : Refusal{};
}

/// Each profile's conclusion is drawn once, whatever the number of recipients.
void dispose(Verdict& verdict, const Said& said, const Policy& policy,
             std::span<const std::string> recipients) {
  const Profile own = thresholds_of(policy);
  std::vector<std::optional<Disposition>> drawn(policy.profiles.size() + 1);
  for (const std::string& recipient : recipients) {
    const Profile* profile = profile_of(recipient, policy);
    const std::size_t index = profile == nullptr ? policy.profiles.size()
                                                 : static_cast<std::size_t>(profile - policy.profiles.data());
    if (!drawn[index]) {
      conclude(Stage::data, verdict, said, policy, profile == nullptr ? own : *profile);
      drawn[index] = disposition_of(verdict, profile == nullptr ? std::string_view() : profile->name);
    }
    verdict.dispositions.push_back(*drawn[index]);
    verdict.dispositions.back().recipient = recipient;
  }
  put_together(verdict);
}

/// Whose thresholds hold where there is one conclusion for all.
Profile thresholds_at(Stage stage, const Policy& policy, std::span<const std::string> recipients) {
  Profile thresholds = thresholds_of(policy);
  if (policy.profiles.empty()) return thresholds;
  if (stage == Stage::rcpt && !recipients.empty()) {
    const Profile* profile = profile_of(recipients.back(), policy);
    return profile == nullptr ? thresholds : *profile;
  }
  for (const Profile& profile : policy.profiles)
    thresholds.reject_score = std::max(thresholds.reject_score, profile.reject_score);
  return thresholds;
}

}  // namespace

Verdict decide(Stage stage, Findings findings, const Policy& policy,
               std::span<const std::string> recipients) {
  Verdict verdict;
  verdict.required = policy.tag_score;
  verdict.findings = std::move(findings.found);
  verdict.authentication = std::move(findings.authentication);
  verdict.aggregate = std::move(findings.aggregate);
  const Said said{.demand = findings.demand,
                  .anything_possible = !findings.incomplete.empty(),
                  .relief = findings.relief};
  verdict.incomplete = std::move(findings.incomplete);
  std::ranges::move(findings.unknown, std::back_inserter(verdict.incomplete));
  for (const Finding& finding : verdict.findings) verdict.score += finding.score;
  verdict.score = rounded(verdict.score);
  if (decide_alone(verdict)) return verdict;
  if (!policy.enabled) {
    verdict.reason = "filtering is off";
    return verdict;
  }
  if (stage != Stage::data && verdict.findings.empty() && verdict.incomplete.empty()) {
    // Not a matter of scores: where reject_score is negative, only what is allowed is to come in, and the
    // allowed sender or recipient must get the chance to be named.
    verdict.reason = "nothing found before the data";
    return verdict;
  }
  if (stage == Stage::data && !policy.profiles.empty() && !recipients.empty()) {
    dispose(verdict, said, policy, recipients);
    return verdict;
  }
  conclude(stage, verdict, said, policy, thresholds_at(stage, policy, recipients));
  return verdict;
}

}  // namespace postern::filters
