#pragma once

#include <optional>
#include <string>

#include "filters/authentication/spf/check_host.h"
#include "filters/envelope.h"
#include "filters/facts.h"

/// SPF of one envelope: what can be evaluated before the data.
namespace postern::filters::authentication {

/// A-labels in lower case, or the domain as it is when it has none.
std::string ascii_or_as_is(std::string_view domain);

/// Whose record counts: MAIL FROM's domain, or HELO under the null reverse-path (RFC 7208 §2.4). "" for an address literal, which
/// has no policy (§4.3).
std::string spf_domain(const Envelope& envelope);

/// check_host() for that domain. Nothing: answers are missing, the questions are noted. Only where envelope.client_counts().
std::optional<spf::Outcome> check_spf(const Envelope& envelope, Facts& facts);

}  // namespace postern::filters::authentication
