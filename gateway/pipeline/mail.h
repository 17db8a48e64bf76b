#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "filters/envelope.h"
#include "filters/facts.h"
#include "gateway/pipeline/inquiry.h"
#include "gateway/pipeline/snapshot.h"
#include "gateway/smtp/session.h"

namespace postern::pipeline {

/// Where one recipient that got a 250 leads.
struct AcceptedAddress {
  std::string mailbox;  ///< the key of the store, which two addresses may share; of a relayed one the address
  std::uint64_t quota_octets = 0;  ///< 0: none
  std::string destination{};       ///< relayed: where to; empty: it is a mailbox of ours
  bool relayed() const { return !destination.empty(); }
};

/// How long each part took, in the order of the parts.
struct Timings {
  std::chrono::microseconds mail{0}, rcpt{0}, analysis{0}, judge{0}, store{0};
};

/// One message on its way from the final dot to its fate. A value of the core that received it.
struct Mail {
  std::shared_ptr<const Snapshot> snapshot;  ///< the one in force at MAIL
  std::string session_id;
  bool lmtp = false;
  bool own = false;            ///< of a user of ours, by AUTH: completed, signed, not judged
  filters::Envelope envelope;  ///< recipients in the order of `addresses` and of transaction.recipients
  Inquiry* inquiry =
      nullptr;  ///< of the visit, which outlasts this; what it knows becomes `facts` with the verdict
  filters::Facts facts;
  std::vector<AcceptedAddress> addresses;
  smtp::Transaction transaction;
  Timings timings;
};

}  // namespace postern::pipeline
