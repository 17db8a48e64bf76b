#pragma once

#include "filters/envelope.h"
#include "filters/message/analysis.h"
#include "filters/policy/policy.h"
#include "filters/verdict.h"

namespace postern::filters {

/// MAIL_LOOP when the message bears more Received fields than policy.received_hops_max (RFC 5321 §6.3).
/// Protects the system itself, so it is looked for even where filtering is off.
void check_mail_loop(const Analysis& analysis, const Policy& policy, Findings& findings);

/// What RFC 5322 asks of a header and this one lacks: fields that must be there, fields that may be there
/// once, lines that are no header lines. Scores are small: sloppy programs do all of it, and all of it
/// together does not tag a message.
void check_header(const Envelope& envelope, const Analysis& analysis, Findings& findings);

}  // namespace postern::filters
