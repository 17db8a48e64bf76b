#include "gateway/pipeline/policy.h"

#include <string>
#include <utility>

#include "filters/dns.h"
#include "filters/idn.h"
#include "filters/policy/profile.h"

namespace postern::pipeline {
namespace {

filters::AuthenticationPolicy authentication(const config::AuthenticationConfig& from) {
  filters::AuthenticationPolicy policy{
      .enabled = from.enabled,
      .dmarc_reject = from.dmarc_reject,
      .dmarc_quarantine = from.dmarc_quarantine,
      .trusted_sealers = {},
      .overrides = {},
      .forwarders = {},
      .spf_pass_score = from.spf_pass_score,
      .spf_fail_score = from.spf_fail_score,
      .spf_softfail_score = from.spf_softfail_score,
      .spf_permerror_score = from.spf_permerror_score,
      .dkim_valid_score = from.dkim_valid_score,
      .dkim_invalid_score = from.dkim_invalid_score,
      .dmarc_pass_score = from.dmarc_pass_score,
      .dmarc_fail_none_score = from.dmarc_fail_none_score,
      .dmarc_fail_quarantine_score = from.dmarc_fail_quarantine_score,
      .dmarc_fail_reject_score = from.dmarc_fail_reject_score,
      .arc_valid_score = from.arc_valid_score,
      .arc_invalid_score = from.arc_invalid_score,
      .no_reverse_name_score = from.no_reverse_name_score,
      .multiple_from_score = from.multiple_from_score,
      .spf_fail_refused = from.spf_fail == "refuse",
      .no_reverse_name_refused = from.no_reverse_name == "refuse",
  };
  for (const std::string& sealer : from.trusted_sealers)
    if (auto domain = filters::ascii_domain(sealer)) policy.trusted_sealers.push_back(*std::move(domain));
  for (const config::ForwarderConfig& one : from.forwarders)
    if (auto id = filters::ascii_domain(one.authserv_id))
      policy.forwarders.push_back({.authserv_id = *std::move(id), .networks = one.networks});
  for (const config::OverrideConfig& one : from.overrides) {
    using enum filters::DmarcOverride::Disposition;
    auto domain = filters::ascii_domain(one.domain);
    if (!domain) continue;
    policy.overrides.push_back({.domain = *std::move(domain),
                                .disposition = one.disposition == "accept"       ? accept
                                               : one.disposition == "quarantine" ? quarantine
                                               : one.disposition == "reject"     ? reject
                                                                                 : none,
                                .reason = one.reason});
  }
  return policy;
}

std::vector<filters::Blocklist> blocklists(const std::vector<config::BlocklistConfig>& from) {
  std::vector<filters::Blocklist> lists;
  for (const config::BlocklistConfig& list : from) {
    auto zone = filters::dns::normal_name(list.zone);
    if (!zone || (list.kind != "ip" && list.kind != "domain")) continue;
    lists.push_back({.zone = *std::move(zone),
                     .kind = list.kind == "ip" ? filters::BlocklistKind::ip : filters::BlocklistKind::domain,
                     .answers = {list.answers.begin(), list.answers.end()},
                     .score = list.score,
                     .forced = list.forced});
  }
  return lists;
}

std::map<std::string, filters::Action, std::less<>> incomplete(const config::IncompleteConfig& from) {
  std::map<std::string, filters::Action, std::less<>> actions;
  const std::pair<const char*, const std::string&> checks[] = {{"iprev", from.iprev},
                                                               {"spf", from.spf},
                                                               {"dkim", from.dkim},
                                                               {"dmarc", from.dmarc},
                                                               {"arc", from.arc},
                                                               {"blocklist", from.blocklist},
                                                               {"local_lists", from.local_lists}};
  for (const auto& [check, word] : checks) {
    if (word == "ignore") actions[check] = filters::Action::accept;
    if (word == "tag") actions[check] = filters::Action::tag;
    if (word == "defer") actions[check] = filters::Action::defer;
  }
  return actions;
}

filters::Quarantine quarantine(std::string_view word) {
  return word == "junk"    ? filters::Quarantine::junk
         : word == "store" ? filters::Quarantine::store
                           : filters::Quarantine::automatic;
}

void add_profiles(const std::vector<config::ProfileConfig>& from, filters::Policy& policy) {
  for (const config::ProfileConfig& one : from) {
    for (const std::string& recipient : one.recipients)
      policy.profile_of.try_emplace(filters::profile_key(recipient), policy.profiles.size());
    policy.profiles.push_back({.name = one.name,
                               .reject_score = one.reject_score,
                               .quarantine_score = one.quarantine_score,
                               .tag_score = one.tag_score,
                               .discard_score = one.discard_score,
                               .quarantine = quarantine(one.quarantine),
                               .subject_tag = one.subject_tag});
  }
}

}  // namespace

Greylist::Rules greylist_rules(const config::GreylistConfig& config) {
  return {.delay = std::chrono::seconds(config.delay_s),
          .window = std::chrono::seconds(config.window_s),
          .lifetime = std::chrono::days(config.lifetime_days),
          .entries_max = config.entries_max};
}

filters::Policy make_policy(const config::FilterConfig& filter,
                            const std::vector<config::BlocklistConfig>& lists_asked, const LocalLists& lists,
                            std::shared_ptr<const filters::rules::RuleSet> rules) {
  filters::Policy policy{
      .enabled = filter.enabled,
      .reject_score = filter.reject_score,
      .quarantine_score = filter.quarantine_score,
      .tag_score = filter.tag_score,
      .discard_score = filter.discard_score,
      .quarantine = quarantine(filter.quarantine),
      .subject_tag = filter.subject_tag,
      .profiles = {},
      .profile_of = {},
      .received_hops_max = filter.received_hops_max,
      .has_client_list = lists.has_clients(),
      .has_sender_list = lists.has_senders(),
      .has_recipient_list = lists.has_recipients(),
      .allow_score = filter.allow_score,
      .block_score = filter.block_score,
      .allow_unauthenticated = filter.allow_unauthenticated,
      .defer_incomplete = filter.defer_incomplete,
      .incomplete = incomplete(filter.incomplete),
      .authentication = authentication(filter.authentication),
      .greylist = {.enabled = filter.greylist.enabled,
                   .on_listed = filter.greylist.on_listed,
                   .on_no_reverse_name = filter.greylist.on_no_reverse_name,
                   .on_spf_softfail = filter.greylist.on_spf_softfail,
                   .on_spf_fail = filter.greylist.on_spf_fail,
                   .on_spf_none = filter.greylist.on_spf_none},
      .blocklists = blocklists(lists_asked),
      .rules = std::move(rules),
      .blocklist_reject_score = filter.blocklist_reject_score,
      .blocklists_probed = filter.blocklist_probe_s > 0,
      .bayes = {.enabled = filter.bayes.enabled,
                .spam_score = filter.bayes.spam_score,
                .ham_score = filter.bayes.ham_score,
                .certain_log_odds = filter.bayes.certain_log_odds,
                .unsure_log_odds = filter.bayes.unsure_log_odds},
  };
  add_profiles(filter.profiles, policy);
  return policy;
}

}  // namespace postern::pipeline
