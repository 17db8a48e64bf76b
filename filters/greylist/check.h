#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "filters/envelope.h"
#include "filters/facts.h"
#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

/// Asking doubtful clients to come again: who runs a queue does, who fires and forgets does not (RFC 6647).
namespace postern::filters::greylist {

/// Whom a question of QuestionKind::greylist is about. Whoever SPF authorises sends from many addresses, so its domain stands for
/// them; any other client is its network, /24 or /64, from which another of its machines may try again.
struct Triplet {
  std::string origin;  ///< a domain, or a network
  std::string sender, recipient;
};
/// The question's name: the three, with a blank between them; a blank or percent sign inside is percent-encoded.
std::string name_of(const Triplet& triplet);
std::optional<Triplet> parse_name(std::string_view name);

/// At Stage::rcpt, where the policy wants it: 450 4.7.1 for a client that one of the policy's triggers makes doubtful and that the
/// answer tells to wait. Never the postmaster, whom a local list lets in, and servers of our own house. `findings` holds what the
/// local lists said. What cannot be found out makes nobody doubtful, and an answer that cannot be had lets the client in.
Progress check_greylist(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts,
                        Findings& findings);

}  // namespace postern::filters::greylist
