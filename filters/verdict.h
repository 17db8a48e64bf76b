#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/aggregate.h"
#include "filters/authentication/results/field.h"

namespace postern::filters {

/// What becomes of the message. Ordered by severity.
enum class Action : unsigned char {
  accept,
  tag,         ///< delivered with X-Spam-Flag: YES
  quarantine,  ///< into quarantine, or Junk where the account has a mailbox
  discard,     ///< accepted and thrown away: only where the policy says so in so many words
  defer,       ///< 4xx: our own trouble or an incomplete verdict whose policy says so
  reject,      ///< 5xx
};
std::string_view to_string(Action action);

/// One observation that counts. Score is in points; evidence is a short sentence fit for a log and for a
/// postmaster.
struct Finding {
  std::string name;  ///< upper case, A-Z 0-9 _, as in tests= of X-Spam-Status
  double score = 0;
  std::string evidence;
  friend bool operator==(const Finding&, const Finding&) = default;
};

/// The reply a finding or the policy asks for, when it must be a certain one (e.g. 554 5.4.6 for a mail
/// loop).
struct Refusal {
  int code = 0;           ///< 0: none
  std::string enhanced;   ///< "5.7.1"
  std::string text;       ///< without the id; the gateway appends it
  bool verbatim = false;  ///< the code is said as it is, wherever in the dialogue
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

/// Where Action::quarantine puts a message.
enum class Quarantine : unsigned char {
  automatic,  ///< Junk where the recipient has a mailbox here, the quarantine else
  junk,       ///< Junk; whoever has no mailbox here gets it marked
  store,      ///< the quarantine
};

/// What the policy wants for one recipient.
struct Disposition {
  std::string recipient;  ///< as in Envelope.recipients
  std::string profile;    ///< whose thresholds hold for him; empty: the policy's own
  Action action = Action::accept;
  double required = 0;  ///< tag_score in force for him
  std::string reason;   ///< as Verdict.reason
  Refusal refusal;      ///< set when action is reject or defer
  friend bool operator==(const Disposition&, const Disposition&) = default;
};

/// What a check asks for whatever the sum of the scores is. The more severe of this and what the sum says holds.
struct Demand {
  Action action = Action::accept;
  Refusal refusal;     ///< for reject
  std::string reason;  ///< one line
};

/// What the checks have to say, in the order they ran, which is fixed. Checks add to it; decide() makes a
/// Verdict of it.
struct Findings {
  std::vector<Finding> found;
  /// What could not be found out, "check: cause". It might have let the message in: nothing is refused for
  /// good while something stands here.
  std::vector<std::string> incomplete;
  /// Likewise, but all of it together could have lowered the sum by no more than `relief`: a sum that is too
  /// high all the same is refused for good.
  std::vector<std::string> unknown;
  double relief = 0;  ///< points, not negative
  std::optional<Demand> demand;
  /// What was authenticated, for Verdict.authentication.
  std::vector<results::MethodResult> authentication;
  std::optional<AggregateRow> aggregate;  ///< for Verdict.aggregate
};

struct Verdict {
  /// Where recipients differ: refused (reject, defer) only if nobody's disposition lets it in; else the most severe of what is done
  /// for those who get it, a refusal that cannot be said counting as quarantine.
  Action action = Action::accept;
  double score = 0;               ///< the sum of the findings' scores, rounded to a millionth of a point
  double required = 0;            ///< tag_score in force, for X-Spam-Status
  std::vector<Finding> findings;  ///< in the order the checks ran, which is fixed
  std::vector<std::string> incomplete;  ///< what could not be found out, "check: cause"
  std::string reason;                   ///< one line: which threshold or finding decided, and with what
  Refusal refusal;                      ///< set when action is reject or defer
  /// Every method of authentication that was evaluated (RFC 8601), in the order iprev, spf, dkim, dmarc, arc.
  std::vector<results::MethodResult> authentication;
  /// One for each recipient, in their order, at the data where the policy has profiles; else none: all share the above.
  std::vector<Disposition> dispositions;
  /// Where a DMARC policy was found and applied: what its owner is to be told. Not part of the JSON: it follows from the rest.
  std::optional<AggregateRow> aggregate;
};

/// The verdict as one JSON object with keys action, score, required, reason, refusal?, findings, incomplete,
/// authentication? (absent when nothing was evaluated), dispositions? (absent without profiles): byte for byte the same for equal verdicts. Scores are printed with the shortest text that reads back
/// equal; octets that are no UTF-8 become U+FFFD.
std::string to_json(const Verdict& verdict);

}  // namespace postern::filters
