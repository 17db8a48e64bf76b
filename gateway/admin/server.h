#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/reactor/socket.h"
#include "gateway/reactor/task.h"

namespace postern::admin {

struct Request {
  std::string
      method;        ///< GET, POST …; a HEAD request arrives as GET, and its answer is sent without the body
  std::string path;  ///< decoded, without query: /v1/mailboxes/a@b.example
  std::vector<std::pair<std::string, std::string>> query;  ///< decoded, in the order given; a '+' is a '+'
  std::string body;
  std::string_view query_value(std::string_view key) const;  ///< the first of that name, "" when absent
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow = {};  ///< with 405: the methods that are there
};

/// {"error": "…"} with the status: how every refusal looks.
Response error_response(unsigned status, std::string_view sentence);

/// Answers one request on a reactor; may await (workers, store).
using Handler = std::function<reactor::Task<Response>(const Request& request)>;

struct ServerLimits {
  std::size_t header_octets_max = 16U << 10;
  std::size_t body_octets_max = 64U << 20;  ///< `scan` posts whole messages
  unsigned connections_max = 64;
  std::chrono::seconds idle_timeout{
      30};  ///< for a request to begin, again for it to be complete, and for its answer
};

/// A small HTTP/1.1 server (keep-alive, bodies with Content-Length) on one listener of one reactor. Boost.Beast
/// parses and serialises; the waiting is ours. Its core's thread only.
class Server {
 public:
  Server(Handler handler, ServerLimits limits);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  /// Serves until the scope is cancelled; joins its connections before it returns. The listener stays open.
  reactor::Task<void> serve(reactor::Listener& listener, reactor::Scope& scope);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::admin
