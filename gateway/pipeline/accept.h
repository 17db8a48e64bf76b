#pragma once

#include <vector>

#include "gateway/pipeline/core.h"
#include "gateway/pipeline/mail.h"
#include "gateway/smtp/server/handler.h"

namespace postern::pipeline {

/// From the final dot to the replies: analyses, judges, stores, and answers 250 only once the message is
/// durable. One decision in SMTP, one for each recipient in LMTP (RFC 2033 §4.2).
reactor::Task<std::vector<smtp::Decision>> accept_mail(Core& core, Mail mail);

/// A mailbox that is not full takes one message more, whatever its size; a declared SIZE must fit.
bool is_over_quota(const storage::Store& store, const AcceptedAddress& address,
                   std::uint64_t declared_octets);

}  // namespace postern::pipeline
