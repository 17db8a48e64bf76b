#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/reactor/socket.h"
#include "gateway/tls/engine.h"

namespace postern::stream {

/// A socket that may turn into TLS: what the protocol drivers talk to. One thread, one receive and one send at a time.
class Stream {
 public:
  explicit Stream(std::unique_ptr<reactor::Socket> socket) : socket_(std::move(socket)) {}

  /// Plaintext octets, never empty. The view is valid until release_input(), the next receive(), or any other await of the caller,
  /// whichever comes first. Errors as Socket::receive; TLS trouble is Errc::tls.
  reactor::Task<std::expected<std::string_view, reactor::Error>> receive(reactor::Deadline deadline);
  void release_input() noexcept;
  /// Sends all of it, encrypted when TLS is on. One gathered send.
  reactor::Task<std::expected<void, reactor::Error>> send(std::string_view octets, reactor::Deadline deadline);

  /// Server handshake; waits for a handshake slot of the turn first. `already_received`: octets that arrived with or after the
  /// command and belong to the handshake (they are never executed as commands; RFC 3207 §6, CVE-2011-0411).
  reactor::Task<std::expected<tls::Established, reactor::Error>> start_tls(std::shared_ptr<const tls::Contexts> contexts,
                                                                           reactor::Deadline deadline,
                                                                           std::string already_received = {});
  /// close_notify when TLS is on (without waiting for the peer's), then close.
  reactor::Task<void> close(bool reset = false);

  bool is_tls() const { return engine_ != nullptr; }
  reactor::Socket& socket() { return *socket_; }

 private:
  reactor::Task<std::expected<void, reactor::Error>> flush(reactor::Deadline deadline);

  std::unique_ptr<reactor::Socket> socket_;
  std::unique_ptr<tls::Engine> engine_;
};

}  // namespace postern::stream
