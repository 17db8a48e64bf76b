// What comes before the dialogue: PROXY header, admission, implicit TLS, the wait before the greeting.
#include <fmt/format.h>

#include <utility>

#include "gateway/smtp/server/connection.h"

namespace postern::smtp {

using reactor::Deadline;
using reactor::Errc;
using reactor::Task;

Task<bool> Connection::arrive() {
  std::string rest;
  const filters::Ip peer = arrival_.client.ip;
  behind_proxy_ = server_.house.proxy_expected(server_.listener, peer);
  if (behind_proxy_) {
    const bool known = co_await read_proxy_header(rest);
    if (!known) co_return false;
  }
  Terms terms = server_.house.terms(server_.listener, arrival_.client.ip);
  const Admission::Answer answer = server_.shared.admission.enter(arrival_.client.ip, terms.admission);
  if (answer != Admission::Answer::admitted) {
    co_await turn_away(answer, terms.implicit_tls);
    co_return false;
  }
  admitted_ = true;
  admitted_as_ = arrival_.client.ip;
  contexts_ = std::move(terms.tls);
  early_talker_refused_ = terms.early_talker_refused;
  log_addresses_ = terms.log_addresses;
  send_timeout_ = terms.session.limits.command_timeout;
  session_end_ = started_ + terms.session.limits.session_timeout;
  if (!contexts_) terms.session.tls_available = false;
  session_.emplace(std::move(terms.session), arrival_.client, &server_.shared.bodies);
  session_->observe(this);

  if (terms.implicit_tls) {
    const bool secured = co_await secure(std::exchange(rest, {}));
    if (!secured) co_return false;
    session_->tls_established(true);
  }
  if (!rest.empty()) {  // a proxy passes on what its client has sent: it did not wait for us
    early_talker_ = true;
    session_->feed(rest);
    session_->keep_input();
  }
  const bool still_there = co_await watch_for_early_talk(terms.greeting_delay);
  co_return still_there;
}

/// A connection from a proxy that does not open with a header is closed without a word (haproxy
/// proxy-protocol.txt §2): guessing would let anybody claim any address.
Task<bool> Connection::read_proxy_header(std::string& rest) {
  const Deadline deadline = reactor::Reactor::current().now() + kProxyHeaderTimeout;
  std::string received;
  for (;;) {
    may_interrupt_ = true;
    auto octets = co_await stream_.receive(deadline);
    may_interrupt_ = false;
    if (!octets) {
      const Errc code = octets.error().code;
      silent_peer_ = received.empty() && code == Errc::end_of_stream;
      if (code == Errc::cancelled) end(server_.cancelled ? "cancelled" : "shutdown");
      error_ = code == Errc::timed_out ? "no PROXY header in time" : octets.error().text();
      end("proxy");
      co_return false;
    }
    received.append(*octets);
    stream_.release_input();
    auto header = proxy::parse(received);
    if (!header) {
      error_ = fmt::format("PROXY header, octet {}: {}", header.error().position, header.error().reason);
      end("proxy");
      co_return false;
    }
    if (!*header) continue;
    if (!take_proxy_header(**header)) co_return false;
    rest.assign(received, (**header).consumed);
    co_return true;
  }
}

bool Connection::take_proxy_header(const proxy::Header& header) {
  using enum proxy::Protocol;
  switch (header.protocol) {
    case local:    // the proxy's own connection, a health check: the addresses are the connection's
    case unknown:  // the proxy does not know either
      return true;
    case tcp4:
    case tcp6:
    case unix_stream:
      arrival_.client.ip = header.source.ip;
      arrival_.client.port = header.source.port;
      arrival_.local = {
          .ip = header.destination.ip, .port = header.destination.port, .path = header.destination.path};
      return true;
    case udp4:
    case udp6:
    case unix_datagram:
      break;
  }
  error_ = fmt::format("PROXY header: {} is no stream", proxy::to_string(header.protocol));
  end("proxy");
  return false;
}

/// RFC 5321 §4.3.2 lists 421 as an answer to the connection itself. Where the client expects TLS it would
/// take our words for garbage, so there are none.
Task<void> Connection::turn_away(Admission::Answer answer, bool speaks_tls) {
  const bool full = answer == Admission::Answer::full;
  const Reply reply =
      full ? Reply{.code = 421, .enhanced = "4.3.2", .text = "Too many connections, try again later"}
           : Reply{.code = 421, .enhanced = "4.7.0", .text = "Too many connections from your network"};
  server_.figures.rejected("connect", full ? "connections" : "network_connections", reply.code);
  end(full ? "full" : "network_full");
  if (speaks_tls) co_return;
  std::string wire;
  reply.append_to(wire);
  const Deadline soon = reactor::Reactor::current().now() + kFarewellTimeout;
  const auto sent = co_await stream_.send(wire, soon);
  if (!sent) abortive_ = true;
}

Task<bool> Connection::secure(std::string already_received) {
  if (!contexts_) {
    error_ = "no certificate";
    end("tls_failed");
    co_return false;
  }
  const Deadline deadline = reactor::Reactor::current().now() + kHandshakeTimeout;
  auto established = co_await stream_.start_tls(contexts_, deadline, std::move(already_received));
  if (!established) {
    error_ = established.error().text();
    end(established.error().code == Errc::cancelled ? "cancelled" : "tls_failed");
    co_return false;
  }
  tls_ = std::make_unique<tls::Established>(std::move(*established));
  co_return true;
}

/// RFC 5321 §4.3.1: the client waits for the greeting. Who does not is noted; how much that weighs, the house
/// says.
Task<bool> Connection::watch_for_early_talk(std::chrono::milliseconds delay) {
  const bool look = delay.count() > 0 || (!stream_.is_tls() && stream_.socket().input_waiting());
  if (early_talker_ || !look) co_return true;
  may_interrupt_ = true;
  auto octets = co_await stream_.receive(reactor::Reactor::current().now() + delay);
  may_interrupt_ = false;
  if (octets) {
    early_talker_ = true;
    session_->feed(*octets);
    session_->keep_input();
    stream_.release_input();
    co_return true;
  }
  const reactor::Error& error = octets.error();
  const bool drained = error.code == Errc::cancelled && !server_.cancelled;  // the dialogue says so
  if (error.code == Errc::timed_out || drained) co_return true;
  end(error);
  co_return false;
}

}  // namespace postern::smtp
