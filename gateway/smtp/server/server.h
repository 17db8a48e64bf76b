#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/reactor/socket.h"
#include "gateway/smtp/body.h"
#include "gateway/smtp/server/admission.h"
#include "gateway/smtp/server/handler.h"

namespace postern::smtp {

/// What all listeners of all cores share. Thread-safe things only; they outlive every server.
struct ServerShared {
  Admission& admission;
  BodyBudget& bodies;
  metrics::Registry& metrics;
  log::Logger& logger;
};

/// One listener on one core: accepts, carries octets between streams and sessions, asks the house. Its core's thread only.
class Server {
 public:
  /// `name` labels metrics and log lines ("mx 0.0.0.0:25").
  Server(std::size_t listener, std::string name, House& house, ServerShared shared);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Accepts until drain() or cancel(); returns when the last connection has ended and everything is joined.
  reactor::Task<void> serve(reactor::Listener& listener);
  /// Stops accepting. Sessions hear 421 4.3.2 at their next command boundary, idle ones at once (RFC 5321 §3.8); a message
  /// that has begun is finished.
  void drain();
  /// After the grace time: ends what is left.
  void cancel();
  std::size_t connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::smtp
