#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "filters/envelope.h"
#include "filters/message/analysis.h"
#include "filters/verdict.h"

namespace postern::pipeline {

/// A message as it is stored: our fields, then what the client sent.
struct TracedMessage {
  std::string header;  ///< our fields; with the message's own header behind them where fields had to be taken
                       ///< out of it
  std::string_view body;  ///< the rest of the message as received: a view into analysis.message()
  std::size_t return_path_octets = 0;  ///< of the field in front, which no next hop gets
};

/// Puts in front: Return-Path (this is final delivery: RFC 5321 §4.4), the X-Spam fields when there is a
/// verdict, Authentication-Results when something was evaluated, Received-SPF where it is wanted, Received. Takes out of the message what would pass for ours: Return-Path, X-Spam-…, X-Spamd-…,
/// X-Postern-…, and Authentication-Results that bear our name (RFC 8601 §5). Every other octet stays as it
/// came; where nothing is taken out, nothing is copied. `verdict` is null when nothing was judged. `subject_tag`, not empty: stands
/// in front of what the first Subject says, unless it does already.
TracedMessage put_trace_in_front(const filters::Envelope& envelope, const filters::Verdict* verdict,
                                 const filters::Analysis& analysis, bool received_spf = false,
                                 std::string_view subject_tag = {});

/// Received-SPF (RFC 7208 §9.1) with its CRLF; "" where SPF was not evaluated.
std::string received_spf_field(const filters::Envelope& envelope, const filters::Verdict& verdict);

/// One field with its CRLF, folded at 78 octets where there is a blank to fold at (RFC 5322 §2.1.1).
std::string received_field(const filters::Envelope& envelope);
/// X-Spam-Flag and X-Spam-Level where there is reason, X-Spam-Score, X-Spam-Status.
std::string spam_fields(const filters::Verdict& verdict);
/// "Tue, 24 Nov 2026 12:00:00 +0000": RFC 5322 §3.3.
std::string date_time(std::chrono::sys_seconds time);

/// Whether a field from outside would pass for one of ours and must not stand.
bool is_forged(const filters::HeaderField& field, std::string_view receiving_host);

}  // namespace postern::pipeline
