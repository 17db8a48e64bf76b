#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/reactor/socket.h"
#include "gateway/tls/engine.h"

namespace postern::stream {

/// A socket that may turn into TLS: what the protocol drivers talk to. One thread, one receive and one send
/// at a time.
class Stream {
 public:
  explicit Stream(std::unique_ptr<reactor::Socket> socket) : socket_(std::move(socket)) {}

  /// Plaintext octets, never empty. The view is valid until release_input(), the next receive(), or any other
  /// await of the caller, whichever comes first. Errors as Socket::receive; TLS trouble is Errc::tls. Under
  /// TLS, close_notify and a bare end of the connection are both end_of_stream: neither says that a message
  /// is complete.
  reactor::Task<std::expected<std::string_view, reactor::Error>> receive(reactor::Deadline deadline);
  /// Also gives back the memory of decrypted octets: an idle session holds none.
  void release_input() noexcept;
  /// Sends all of it, encrypted when TLS is on. One gathered send (under TLS one for every
  /// kEncryptOctetsMax).
  /// `last`: close() follows at once, see Socket::send; under TLS close_notify follows anyway.
  reactor::Task<std::expected<void, reactor::Error>> send(std::string_view octets, reactor::Deadline deadline,
                                                          bool last = false);

  /// Server handshake; waits for a handshake slot of the turn before each step that may be expensive.
  /// `already_received`: octets that arrived with or after the command and belong to the handshake (they are
  /// never executed as commands; RFC 3207 §6, CVE-2011-0411). The deadline covers all of it. After a failure
  /// the stream never falls back to plaintext: only close() is left.
  reactor::Task<std::expected<tls::Established, reactor::Error>> start_tls(
      std::shared_ptr<const tls::Contexts> contexts, reactor::Deadline deadline,
      std::string already_received = {});
  /// Client handshake, otherwise the same: after a failure only close() is left.
  reactor::Task<std::expected<tls::Established, reactor::Error>> connect_tls(
      std::shared_ptr<const tls::ClientContext> context, tls::ClientTerms terms, reactor::Deadline deadline);
  /// close_notify when TLS is on (without waiting for the peer's), or the alert that tells why TLS failed,
  /// then close. Waits for a peer that does not read at most kFarewellTimeout.
  reactor::Task<void> close(bool reset = false);

  bool is_tls() const { return engine_ != nullptr; }
  reactor::Socket& socket() { return *socket_; }

  static constexpr std::size_t kDecryptOctetsMax =
      std::size_t{32} * 1024;  ///< plaintext held for one receive()
  static constexpr std::size_t kEncryptOctetsMax =
      std::size_t{256} * 1024;  ///< plaintext encrypted ahead of its send
  static constexpr std::chrono::seconds kFarewellTimeout{1};

 private:
  reactor::Task<std::expected<std::string_view, reactor::Error>> receive_encrypted(
      reactor::Deadline deadline);
  reactor::Task<std::expected<void, reactor::Error>> send_encrypted(std::string_view octets,
                                                                    reactor::Deadline deadline);
  /// From here the engine is fed until it is open.
  reactor::Task<std::expected<tls::Established, reactor::Error>> finish_handshake(reactor::Deadline deadline);
  reactor::Task<std::expected<tls::Engine::State, reactor::Error>> handshake_step(reactor::Deadline deadline);
  /// Sends what the engine has to say. Only for who has the sending side.
  reactor::Task<std::expected<void, reactor::Error>> flush(reactor::Deadline deadline);
  /// The same by the receiving side, while no send is under way: what the peer provoked, such as a refused
  /// renegotiation.
  reactor::Task<std::expected<void, reactor::Error>> flush_provoked(reactor::Deadline deadline);
  void give_sending_side() noexcept;

  std::unique_ptr<reactor::Socket> socket_;
  std::unique_ptr<tls::Engine> engine_;
  std::string plaintext_;                     // decrypted, and shown to the caller of receive()
  reactor::Event* sending_waiter_ = nullptr;  // a send() that waits for the receiving side's short flush
  bool sending_ = false;
  bool send_failed_ = false;  // a record may have been cut: nothing sensible can follow
};

}  // namespace postern::stream
