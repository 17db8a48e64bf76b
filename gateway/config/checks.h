#pragma once

#include "gateway/config/config.h"
#include "gateway/config/places.h"

namespace postern::config {

/// What one key alone cannot show: duplicates, pairs that need each other, order of scores, and what is set
/// in vain. Fills in the defaults that depend on other keys.
void check(Config& config, const Places& places, Report& report);

/// What is relayed and where to, and the queue's figures against each other.
void check_relaying(Config& config, const Places& places, Report& report);

/// Domains, accounts, aliases, catch-all and postmaster: each name once, each reference to something that
/// exists.
void check_accounts(Config& config, const Places& places, Report& report);

/// The profiles of [filter]: what they do not set is filled in from there; scores in order, each recipient once.
void check_profiles(Config& config, const Places& places, Report& report);

}  // namespace postern::config
