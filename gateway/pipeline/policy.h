#pragma once

#include <memory>
#include <vector>

#include "filters/policy/policy.h"
#include "gateway/config/config.h"
#include "gateway/pipeline/greylist.h"
#include "gateway/pipeline/local_lists.h"

namespace postern::pipeline {

/// The manifest's [filter] and [[blocklist]] as the filters see them. Questions about lists that have no entries are not to be
/// asked; blocklists of kinds that nothing is looked up in are left out.
/// `rules`: see load_rules(); null: none.
filters::Policy make_policy(const config::FilterConfig& filter,
                            const std::vector<config::BlocklistConfig>& blocklists, const LocalLists& lists,
                            std::shared_ptr<const filters::rules::RuleSet> rules = nullptr);

Greylist::Rules greylist_rules(const config::GreylistConfig& config);

}  // namespace postern::pipeline
