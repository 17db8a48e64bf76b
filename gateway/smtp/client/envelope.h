#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/smtp/client/capabilities.h"
#include "gateway/smtp/client/data_encoder.h"
#include "gateway/smtp/client/outbound.h"

namespace postern::smtp::client {

/// How one message goes to one next hop: decided before the first octet is sent.
struct EnvelopePlan {
  /// The whole message cannot go there; nothing else is set.
  std::optional<RecipientResult> refusal;
  std::string mail_line;  ///< CRLF included
  struct Recipient {
    std::string line;                        ///< CRLF included
    std::optional<RecipientResult> refusal;  ///< this one alone cannot go there: no line
  };
  std::vector<Recipient> recipients;  ///< as in the message
  bool chunked = false;               ///< BDAT (RFC 3030), because BINARYMIME needs it; else DATA
  bool convert = false;               ///< the content must first become 7-bit: RFC 6152 §3, RFC 3030 §3
};

/// SIZE, 8BITMIME, BINARYMIME, SMTPUTF8 and DSN against what the next hop offers. `convertible`: the content can be turned into
/// 7-bit form if it must. Nothing that is no address of our own grammar gets into a line.
EnvelopePlan plan_envelope(const OutboundMessage& message, const Survey& survey,
                           const Capabilities& capabilities, bool convertible);

/// RFC 3461 §4: printable characters but "+" and "=", everything else as "+3D".
std::string encode_xtext(std::string_view text);
/// The value of ORCPT for a stored "type;address" (RFC 3461 §4.2, RFC 6533 §3); UTF-8 stays as it is with `smtputf8`.
std::string orcpt_value(std::string_view stored, bool smtputf8);

}  // namespace postern::smtp::client
