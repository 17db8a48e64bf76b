#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "filters/envelope.h"
#include "filters/facts.h"
#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters {

/// The postmaster's own allow and block lists, by client address, sender and recipient. The lists themselves
/// are the gateway's; this check asks which entry holds, and the answers have the form below.
///
/// An answer to client_list, sender_list or recipient_list is
///   * `data` with exactly one record, list_record(): the most specific entry of both lists that matches. A
///   longer prefix is
///     more specific than a shorter one; an address than "@domain"; "@domain" than "@.parent", and a longer
///     "@.parent" than a shorter one. Of two equally specific entries the allowing one is given: to be listed
///     twice is a mistake, and mail must not be lost by a mistake;
///   * `no_data` when no entry matches;
///   * a failure when it could not be found out: the verdict is incomplete then.
enum class ListKind : std::uint8_t { allow, block };

struct ListRecord {
  ListKind kind = ListKind::allow;
  std::string_view
      entry;  ///< as the manifest spells it: "192.0.2.0/24", "someone@example.test", "@.example.test", "<>"
};

/// "allow:ENTRY" or "block:ENTRY".
std::string list_record(ListKind kind, std::string_view entry);
/// The reverse; nullopt for any other text. The entry is a view into `text`.
std::optional<ListRecord> parse_list_record(std::string_view text);

/// Findings LOCAL_ALLOW_CLIENT, LOCAL_BLOCK_CLIENT, …_SENDER, …_RECIPIENT with the policy's allow_score and
/// block_score, each at most once. Looks at what the stage has brought: the client at connect, the sender
/// from mail on, at rcpt the last recipient. At data all recipients count: one that is blocked blocks, but
/// only recipients that are allowed without exception allow. Asks nothing where the policy says there is no
/// such list.
Progress check_local_lists(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts,
                           Findings& findings);

/// MAIL FROM is what anybody may write. Where senders are authenticated and the policy does not say otherwise, LOCAL_ALLOW_SENDER
/// keeps its score only if SPF, DKIM or DMARC passed for the sender's domain; to be called at the data, behind the authentication.
/// Before the data, where this is not known, an allowed sender has the benefit of the doubt.
void confirm_allowed_sender(const Envelope& envelope, const Policy& policy, Findings& findings);

}  // namespace postern::filters
