#pragma once

#include <string>

#include "filters/verdict.h"
#include "gateway/pipeline/json.h"
#include "gateway/pipeline/mail.h"

namespace postern::pipeline {

/// The version of the software, as decision records and logs name it.
std::string_view software_version();

/// The envelope with its ESMTP parameters, TLS and the mailboxes it led to, as one JSON object: kept for
/// explain, replay and relay. `octets` is the size of the message as received.
std::string envelope_json(const Mail& mail, std::size_t octets);

/// Why the message got what it got, as one JSON object: the verdict's members, then `facts`, `policy`,
/// `stage_us`, `version`. Stored beside the envelope, which it therefore does not repeat. The same for the
/// same verdict, facts, policy and timings.
std::string decision_json(const Mail& mail, const filters::Verdict& verdict);

/// Members shared with `postern scan`: `facts` and `policy`.
void write_facts(JsonWriter& json, const filters::Facts& facts);
void write_policy(JsonWriter& json, const filters::Policy& policy);

}  // namespace postern::pipeline
