#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/authentication/arc/chain.h"
#include "filters/authentication/dkim/verify.h"
#include "filters/authentication/dmarc/evaluation.h"
#include "filters/authentication/iprev.h"
#include "filters/authentication/spf/check_host.h"
#include "filters/envelope.h"
#include "filters/policy/policy.h"
#include "filters/verdict.h"

namespace postern::filters::authentication {

/// How everything ended that was evaluated for one message.
struct Outcomes {
  std::optional<Iprev> iprev;       ///< none: the client does not count
  std::optional<spf::Outcome> spf;  ///< likewise
  std::vector<dkim::SignatureResult> dkim;
  arc::ChainResult arc;
  dmarc::Outcome dmarc;
  bool multiple_from = false;          ///< several From fields or author domains: dmarc is none
  std::optional<std::string> rescuer;  ///< the trusted sealer whose word outweighs the failure of DMARC
  bool rescued_by_results = false;     ///< the rescuer is a trusted forwarder without ARC
  bool rescue_in_doubt =
      false;  ///< the newest seal claims to be a trusted sealer's, and its key could not be had
};

/// Octets of one value in a result or in evidence; longer ones are cut.
inline constexpr std::size_t kValueOctetsMax = 320;

/// The outcomes as findings, demand and methods' results.
void report(const Envelope& envelope, const AuthenticationPolicy& policy, const Outcomes& outcomes,
            Findings& findings);

}  // namespace postern::filters::authentication
