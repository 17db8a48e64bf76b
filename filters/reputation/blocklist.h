#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "filters/envelope.h"
#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters {

/// Domains of one message that are looked up in each list: HELO, MAIL FROM, the confirmed reverse name, then those of From and
/// Reply-To.
inline constexpr std::size_t kBlocklistDomainsMax = 10;

/// At Stage::data: a finding DNSBL_… named after the zone, with the list's score, for each of policy.blocklists
/// that lists the client (kind ip; not of LMTP and Unix sockets, where it is a server of our own house) or one of the message's
/// domains (kind domain). All lists are asked in the same round. A list with a negative score is an allow list, DNSWL_…: one of
/// domains counts only for a domain that SPF, DKIM or the reverse name shows to be the sender's (findings.authentication, which
/// must be there already), or when it is forced; an address is shown by the connection itself.
///
/// At Stage::rcpt, where the lists could refuse: when their scores reach policy.blocklist_reject_score, the demand to refuse this
/// recipient with 554 5.7.1, the lists and their reasons; else nothing. Not the postmaster, who must be within everybody's
/// reach (RFC 5321 §4.5.1): for him alone what lists say is found and weighs nothing at the data, too.
///
/// Only an answer that the list's map names means "listed". Anything else a list may say, a refusal to answer as
/// 127.255.255.254 or the address of a wildcard, is `unknown`, and so is trouble with DNS; no such name means "not listed". A list
/// whose health is in doubt (QuestionKind::list_health) is unknown and not asked.
Progress check_blocklists(Stage stage, const Envelope& envelope, const Analysis* analysis,
                          const Policy& policy, Facts& facts, Findings& findings);

/// Notes what that will ask at RCPT and at the data and can be named by now.
void anticipate_blocklists(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts);

/// Before the data: the first listing by a block list of what the client, HELO and MAIL FROM name, as evidence; "" when there is none.
/// Nothing: answers are missing. What could not be found out is no listing.
std::optional<std::string> first_listing(const Envelope& envelope, const Policy& policy, Facts& facts);

/// Whether an answer, address text, is what the map's key says; octets of the key may be "*".
bool matches_answer(std::string_view key, std::string_view answer);

}  // namespace postern::filters
