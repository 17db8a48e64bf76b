#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/reactor/socket.h"
#include "gateway/reactor/task.h"
#include "gateway/smtp/session.h"
#include "gateway/tls/contexts.h"
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
  /// Every stage but the message. Stage::connect is asked again after XCLIENT: the client is another one then.
  virtual reactor::Task<Decision> at(Stage stage, const VisitFacts& facts) = 0;
  /// End of data. SMTP: one decision. LMTP: one for each recipient. 2xx only once the message is durable.
  virtual reactor::Task<std::vector<Decision>> message(Transaction transaction, const VisitFacts& facts) = 0;
  /// The transaction under way is forgotten (RSET, EHLO, STARTTLS, refused data).
  virtual void reset() = 0;
};

/// How many connections there may be at once, all cores together.
struct AdmissionLimits {
  std::uint32_t connections_max = 50'000;
  std::uint32_t connections_per_network_max = 200;  ///< an IPv4 address or an IPv6 /64
  bool unlimited = false;                           ///< this client is not counted against the second bound
};

/// What applies to one connection, fixed when it begins: a reload touches only later ones.
struct Terms {
  SessionOptions session;
  std::shared_ptr<const tls::Contexts> tls;  ///< null: no TLS here
  bool implicit_tls = false;
  AdmissionLimits admission;
  std::chrono::milliseconds greeting_delay{0};  ///< who speaks before it is over is an early talker
  bool early_talker_refused = false;            ///< 554 5.5.0 at connect; else only noted
  bool log_addresses = true;  ///< false: the session's log line quotes no command with its arguments
};

/// One client as it arrives, after the PROXY header.
struct Arrival {
  std::size_t listener = 0;  ///< index in the manifest
  std::string session_id;    ///< for logs: unique in this process
  ClientInfo client;
  reactor::Address local;  ///< where the client connected to (as the PROXY header says, when there is one)
};

/// The house as the driver sees it: rules for connections, and a Visit for each. One per core; its own thread only.
class House {
 public:
  virtual ~House() = default;
  /// Whether a peer with this address must open with a PROXY header (and is believed).
  virtual bool proxy_expected(std::size_t listener, const filters::Ip& peer) const = 0;
  virtual Terms terms(std::size_t listener, const filters::Ip& client) const = 0;
  virtual std::unique_ptr<Visit> visit(const Arrival& arrival) = 0;
};

}  // namespace postern::smtp
