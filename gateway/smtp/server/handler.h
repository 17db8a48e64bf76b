#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/reactor/task.h"
#include "gateway/smtp/session.h"
#include "gateway/tls/engine.h"

namespace postern::smtp {

/// What the house decides at one point of the dialogue.
struct Decision {
  Reply reply;
  bool close = false;  ///< hang up after the reply
};

/// What the driver knows of a visit when it asks.
struct VisitFacts {
  const Session& session;
  const tls::Established* tls = nullptr;  ///< null: plaintext
  bool early_talker = false;
};

/// The house's side of one visit: asked by the driver at each stage, lives as long as the session, one thread.
class Visit {
 public:
  virtual ~Visit() = default;
  virtual reactor::Task<Decision> at(Stage stage, const VisitFacts& facts) = 0;
  /// End of data. SMTP: one decision. LMTP: one for each recipient. 2xx only once the message is durable.
  virtual reactor::Task<std::vector<Decision>> message(Transaction transaction, const VisitFacts& facts) = 0;
  /// The transaction under way is forgotten (RSET, EHLO, STARTTLS, refused data).
  virtual void reset() = 0;
};

}  // namespace postern::smtp
