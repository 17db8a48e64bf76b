#pragma once

#include <chrono>
#include <optional>

#include "filters/authentication/dkim/verify.h"
#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "gateway/check/evidence.h"

namespace postern::check {

/// Every DKIM signature of a message (RFC 6376): what it says, the key record, both hashes. Nothing: answers are missing. Its
/// JSON: check, result (the best of all), signatures [{result, reason?, d, s, i, a, c, h, bh, body_hash, body_matches, l?, t?,
/// x?, key_name, key?: {record, bits, testing}}].
std::optional<Report> check_dkim(const filters::Analysis& analysis, filters::Facts& facts,
                                 std::chrono::sys_seconds now);

/// What the signer of one signature that did not pass should look at; "" after a pass.
std::string dkim_advice(const filters::dkim::SignatureResult& result, const filters::Facts& facts);

}  // namespace postern::check
