#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/metrics/metrics.h"
#include "gateway/reactor/socket.h"

namespace postern::admin {

struct Request {
  std::string method;   ///< GET, POST …
  std::string path;     ///< decoded, without query: /v1/mailboxes/a@b.example
  std::vector<std::pair<std::string, std::string>> query;  ///< decoded
  std::string body;
  std::string_view query_value(std::string_view key) const;  ///< "" when absent
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// Answers one request on a reactor; may await (workers, store).
using Handler = std::function<reactor::Task<Response>(const Request& request)>;

struct ServerLimits {
  std::size_t header_octets_max = 16U << 10;
  std::size_t body_octets_max = 64U << 20;  ///< `scan` posts whole messages
  unsigned connections_max = 64;
  std::chrono::seconds idle_timeout{30};
};

/// A small HTTP/1.1 server (keep-alive, Content-Length bodies) on one listener of one reactor. Boost.Beast parses and serialises; the
/// stream and the waiting are ours.
class Server {
 public:
  Server(Handler handler, ServerLimits limits);
  ~Server();
  /// Serves until the scope is cancelled; joins its connections before it returns.
  reactor::Task<void> serve(reactor::Listener& listener, reactor::Scope& scope);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::admin
