#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/smtp/client/outbound.h"

namespace postern::delivery::report {

/// Why a recipient did not get a message, as people speak of it.
enum class Reason : std::uint8_t {
  recipient_unknown,
  mailbox_full,
  too_big,
  spam_policy,
  unreachable,    ///< no server could be reached or none answered
  not_permitted,  ///< the server does not take this mail from us or from the sender
  unsupported,    ///< 8-bit, binary or internationalized mail that the next server does not take
  routing_loop,
  server_trouble,  ///< the other side's temporary trouble lasted too long
  other,
};
std::string_view to_string(Reason reason);  ///< "recipient_unknown": for metrics, stable

/// From the stage, the reply code, the enhanced code (RFC 3463) and, where these say little, words of the text.
Reason reason_of(const smtp::client::RecipientResult& result);

/// One sentence for the sender: "The address does not exist there."
std::string_view sentence(Reason reason);

}  // namespace postern::delivery::report
