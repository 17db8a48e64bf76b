#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "bench/load/replies.h"
#include "bench/load/tls_client.h"
#include "gateway/reactor/socket.h"

namespace postern::load {

/// One connection to the server: octets out, replies in, in the clear or under TLS. The destructor needs close() to
/// have been awaited. One core.
class Channel {
 public:
  /// Ends with the scope.
  explicit Channel(reactor::Scope& scope) { scope.enrol(socket_); }

  reactor::Task<std::expected<void, reactor::Error>> connect(reactor::Address to, reactor::Address from,
                                                             reactor::Deadline deadline);
  /// Client handshake. `session` is offered when not null.
  reactor::Task<std::expected<void, reactor::Error>> start_tls(const TlsClientContext& context,
                                                               SSL_SESSION* session,
                                                               reactor::Deadline deadline);
  reactor::Task<std::expected<void, reactor::Error>> send(std::string_view octets,
                                                          reactor::Deadline deadline);
  /// The next reply. Errc::invalid: the server said something that is no reply.
  reactor::Task<std::expected<Reply, reactor::Error>> reply(reactor::Deadline deadline);
  /// Queues and sends close_notify under TLS, without waiting for the server's; then closes.
  reactor::Task<void> close(bool reset = false);

  /// The server has closed, or octets wait that nobody asked for.
  bool input_waiting() const { return socket_.input_waiting(); }
  bool resumed() const { return tls_ && tls_->resumed(); }
  TlsSession take_session() { return tls_ ? tls_->take_session() : nullptr; }

  static constexpr std::size_t kEncryptOctetsMax =
      std::size_t{256} * 1024;  ///< plaintext encrypted ahead of its send

 private:
  reactor::Task<std::expected<void, reactor::Error>> receive(reactor::Deadline deadline);
  reactor::Task<std::expected<void, reactor::Error>> flush(reactor::Deadline deadline);
  std::expected<void, reactor::Error> decrypt();

  reactor::Socket socket_;
  std::unique_ptr<TlsClient> tls_;
  ReplyReader replies_;
};

}  // namespace postern::load
