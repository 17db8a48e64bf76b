#pragma once

#include <memory>

#include "filters/envelope.h"
#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

/// Who a message comes from, with evidence: iprev, SPF, DKIM, DMARC and ARC of one message, and what the policy makes of them.
namespace postern::filters::authentication {

/// What depends on the message alone and costs too much to do in every round of judging: signatures taken apart, body hashes,
/// signatures verified. Kept by whoever judges a message, for this message and its Facts only; a verdict is the same with and
/// without it. Holds views into the analysis, which must outlive it and must not move. One thread at a time.
class Memo {
 public:
  Memo();
  ~Memo();
  Memo(const Memo&) = delete;
  Memo& operator=(const Memo&) = delete;

  /// Does what can be done before any answer is there, hashes included. For a worker, where the message is large.
  void prepare(const Analysis& analysis);

  struct Work;
  /// Made at the first call.
  Work& work(const Analysis& analysis);

 private:
  std::unique_ptr<Work> work_;
};

/// At Stage::data, where the policy wants it: findings SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_PERMERROR, DKIM_VALID, DKIM_INVALID,
/// DMARC_PASS, DMARC_FAIL_NONE, DMARC_FAIL_QUARANTINE, DMARC_FAIL_REJECT, ARC_VALID, ARC_INVALID, ARC_RESCUED,
/// FORWARDER_RESCUED, DMARC_OVERRIDDEN, NO_REVERSE_NAME and
/// MULTIPLE_FROM, and findings.authentication. Everything that can be named is asked in one round. SPF is evaluated for MAIL FROM,
/// or for HELO under the null reverse-path (RFC 7208 §2.4). Where the client is not known (a Unix socket) or is a server of our own
/// house (LMTP), SPF and iprev are not evaluated, and DMARC can pass but not fail.
///
/// At Stage::rcpt: where the policy refuses what fails SPF (550 5.7.23) or has no reverse name (550 5.7.25), the demand to refuse
/// the last recipient. Never the postmaster (RFC 5321 §4.5.1), nor whom a local list lets in.
///
/// What DNS did not tell is `unknown`: temperror is never counted against the sender, and DMARC does not fail while an identifier
/// that would have been aligned is in doubt. What LOCAL_ALLOW_CLIENT or LOCAL_ALLOW_RECIPIENT has let in, DMARC does not refuse.
Progress check_authentication(Stage stage, const Envelope& envelope, const Analysis* analysis,
                              const Policy& policy, Facts& facts, Memo& memo, Findings& findings);

/// Notes what check_authentication() will ask at the data and can be named by now: the reverse name at connect, SPF from MAIL on.
void anticipate(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts);

}  // namespace postern::filters::authentication
