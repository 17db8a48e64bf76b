#pragma once

#include <cstddef>

#include "filters/envelope.h"
#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters {

/// Domains of one message that are looked up in each list: HELO, MAIL FROM, then authors in From.
inline constexpr std::size_t kBlocklistDomainsMax = 10;

/// At Stage::data: a finding DNSBL_… named after the zone, with the list's score, for each of policy.blocklists
/// that lists the client (kind ip; not of LMTP and Unix sockets, where it is a server of our own house) or one of the message's
/// domains (kind domain). All lists are asked in the same round.
///
/// Only an answer that the list's map names means "listed". Anything else a list may say, a refusal to answer as
/// 127.255.255.254 or the address of a wildcard, is `unknown`, and so is trouble with DNS; no such name means "not listed".
Progress check_blocklists(Stage stage, const Envelope& envelope, const Analysis* analysis,
                          const Policy& policy, Facts& facts, Findings& findings);

}  // namespace postern::filters
