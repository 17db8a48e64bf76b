#include "filters/policy/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
void decide_by_score(Verdict& verdict, const Policy& policy, bool worth_tagging) {
  const auto reached = [&verdict](Action action, std::string_view name, double threshold) {
    if (verdict.score < threshold) return false;
    verdict.action = action;
    verdict.reason = fmt::format("score {} reaches {} {}", verdict.score, name, threshold);
    if (const Finding* most = heaviest(verdict.findings))
      verdict.reason += fmt::format(", most by {} ({})", most->name, most->score);
    return true;
  };
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
void heed(Verdict& verdict, std::optional<Demand> demand) {
  if (!demand || demand->action < verdict.action) return;
  verdict.action = demand->action;
  verdict.refusal = std::move(demand->refusal);
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
  if (verdict.action == Action::reject && !could_avert) return;
  const std::string* worst = &verdict.incomplete.front();
  Action action = verdict.action == Action::reject ? Action::defer : Action::accept;
  for (const std::string& entry : verdict.incomplete) {
    const Action wanted = wanted_for(entry, policy);
    if (wanted <= action) continue;
    action = wanted;
    worst = &entry;
  }
  if (action == Action::accept || (action == Action::tag && stage != Stage::data)) return;
  if (verdict.action != Action::reject && action <= verdict.action) return;
  verdict.action = action;
  verdict.refusal = action == Action::defer ? refusal_of(kDeferReply) : Refusal{};
  verdict.reason = fmt::format("incomplete ({}); {}", *worst, verdict.reason);
}

}  // namespace

Verdict decide(Stage stage, Findings findings, const Policy& policy) {
  Verdict verdict;
  verdict.required = policy.tag_score;
  verdict.findings = std::move(findings.found);
  verdict.authentication = std::move(findings.authentication);
  verdict.aggregate = std::move(findings.aggregate);
  const bool anything_possible = !findings.incomplete.empty();
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
  decide_by_score(verdict, policy, stage == Stage::data);
  // A demand is made on what is certain: what is not known of other checks does not soften it.
  const bool demanded = findings.demand && findings.demand->action == Action::reject;
  const bool could_avert =
      anything_possible || (!demanded && rounded(verdict.score - findings.relief) < policy.reject_score);
  heed(verdict, std::move(findings.demand));
  weigh_incomplete(stage, verdict, could_avert, policy);
  return verdict;
}

}  // namespace postern::filters
