#include "gateway/admin/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "gateway/admin/http.h"

namespace postern::admin {
namespace {

/// A body up to this size goes out with its head in one send.
constexpr std::size_t kJoinedBodyOctetsMax = 64U << 10;
/// What is read and thrown away after a refusal, so that the client hears it before the connection is reset.
constexpr std::size_t kLingerOctetsMax = 1U << 20;
constexpr std::chrono::seconds kLingerTimeout{1};

reactor::Deadline in(std::chrono::seconds time) {
  return reactor::Reactor::current().now() + time;
}

/// One non-blocking attempt: who comes when all places are taken hears why, if the kernel takes it at once.
void turn_away(int descriptor) {
  const Response response = error_response(503, "too many connections");
  const std::string octets = response_head(response, 11, false) + response.body;
  (void)::send(descriptor, octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL);  // or it hears nothing
  (void)::close(descriptor);
}

}  // namespace

class Server::Impl {
 public:
  Impl(Handler handler, ServerLimits limits) : handler_(std::move(handler)), limits_(limits) {}

  reactor::Task<void> serve(reactor::Listener& listener, reactor::Scope& scope) {
    reactor::Scope connections;
    scope.enrol(listener);
    scope.enrol(connections);
    for (;;) {
      auto accepted = co_await listener.accept();
      if (!accepted) break;  // cancelled
      if (connections.running() >= limits_.connections_max)
        turn_away(accepted->descriptor);
      else
        connections.spawn(converse(std::move(*accepted), connections));
    }
    co_await connections.join();
  }

 private:
  using Incoming = RequestReader::Incoming;

  reactor::Task<void> converse(reactor::Accepted accepted, reactor::Scope& scope) {
    reactor::Socket socket;
    socket.adopt(accepted.descriptor, accepted.local, accepted.peer);
    scope.enrol(socket);
    RequestReader reader(limits_);
    bool stays = true;
    while (stays && !scope.cancelled()) {
      std::optional<Incoming> incoming = co_await next_request(socket, reader);
      if (!incoming) break;
      Response response = co_await handler_(incoming->request);
      stays = co_await answer(socket, response, *incoming);
    }
    co_await socket.close();
  }

  /// None: the connection is over; a refusal has been said.
  reactor::Task<std::optional<Incoming>> next_request(reactor::Socket& socket, RequestReader& reader) {
    reactor::Deadline deadline = in(limits_.idle_timeout);
    bool begun = false;
    auto state = reader.feed({});
    while (state == RequestReader::State::more) {
      if (!begun && !reader.idle()) {
        begun = true;
        deadline = in(limits_.idle_timeout);
      }
      if (reader.take_continue()) {
        auto told = co_await socket.send("HTTP/1.1 100 Continue\r\n\r\n", deadline);
        if (!told) co_return std::nullopt;
      }
      auto octets = co_await socket.receive(deadline);
      if (!octets) {
        if (octets.error().code == reactor::Errc::timed_out && !reader.idle()) {
          const RequestReader::Problem late{.status = 408, .sentence = "the request did not arrive in time"};
          co_await refuse(socket, late);
        }
        co_return std::nullopt;
      }
      state = reader.feed(*octets);
      socket.release_input();
    }
    if (state == RequestReader::State::failed) {
      co_await refuse(socket, reader.problem());
      co_return std::nullopt;
    }
    co_return reader.take();
  }

  reactor::Task<void> refuse(reactor::Socket& socket, const RequestReader::Problem& problem) {
    const Response response = error_response(problem.status, problem.sentence);
    const Incoming incoming;
    (void)co_await answer(socket, response, incoming);  // it goes either way
    const reactor::Deadline deadline = in(kLingerTimeout);
    for (std::size_t octets = 0; octets < kLingerOctetsMax;) {
      auto more = co_await socket.receive(deadline);
      if (!more) break;
      octets += more->size();
      socket.release_input();
    }
  }

  /// Whether the connection may go on.
  reactor::Task<bool> answer(reactor::Socket& socket, const Response& response, const Incoming& incoming) {
    std::string head = response_head(response, incoming.version, incoming.keep_alive);
    const reactor::Deadline deadline = in(limits_.idle_timeout);
    const bool joined = !incoming.head && response.body.size() <= kJoinedBodyOctetsMax;
    if (joined) head += response.body;
    auto sent = co_await socket.send(head, deadline);
    if (sent && !joined && !incoming.head) {
      sent = co_await socket.send(response.body, deadline);
    }
    co_return sent.has_value() && incoming.keep_alive;
  }

  Handler handler_;
  ServerLimits limits_;
};

Server::Server(Handler handler, ServerLimits limits)
    : impl_(std::make_unique<Impl>(std::move(handler), limits)) {}
Server::~Server() = default;

reactor::Task<void> Server::serve(reactor::Listener& listener, reactor::Scope& scope) {
  return impl_->serve(listener, scope);
}

}  // namespace postern::admin
