#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/tls/client_context.h"
#include "gateway/tls/contexts.h"

namespace postern::tls {

/// Facts of a finished handshake.
struct Established {
  std::string version;      ///< "TLSv1.3"
  std::string cipher;       ///< "TLS_AES_256_GCM_SHA384"
  std::string server_name;  ///< SNI, empty when none
  bool resumed = false;
  /// Of a client: the server's certificate leads to a known authority and holds one of the names, whether that was demanded
  /// or not.
  bool verified = false;
};

/// Why TLS failed; `reason` is OpenSSL's text, e.g. "wrong version number".
struct Failure {
  std::string reason;
};

/// One side of one TLS connection as a value-in, value-out machine over memory BIOs: ciphertext in, plaintext
/// out and the other way round. Owns no socket. One thread at a time. After every call, take_output() may
/// hold octets to send, also after a failure (an alert).
class Engine {
 public:
  enum class State { handshaking, open, closed, failed };

  /// Server side; the contexts are kept alive by the engine. Choice by SNI happens inside.
  explicit Engine(std::shared_ptr<const Contexts> contexts);
  /// Client side: the first handshake() needs no input.
  Engine(std::shared_ptr<const ClientContext> context, const ClientTerms& terms);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Ciphertext from the peer. All of it is taken.
  void feed(std::string_view ciphertext);
  /// The peer closed its side of the connection.
  void feed_eof();
  /// Goes on with the handshake as far as the input allows. Expensive once per connection: see
  /// Reactor::handshake_slot().
  std::expected<State, Failure> handshake();
  /// Decrypts into `out` (appended) until the input is used up or `limit` octets were added. closed:
  /// close_notify or EOF; an EOF without close_notify is an ordinary disconnect here, never an end of data.
  std::expected<State, Failure> read(std::string& out, std::size_t limit);
  /// Encrypts all of it.
  std::expected<void, Failure> write(std::string_view plaintext);
  /// Queues close_notify.
  void shutdown();
  /// Ciphertext to send, moved out; empty when none. Call after every other call.
  std::string take_output();
  bool output_pending() const;
  /// A whole record was fed and not yet used (or is not TLS at all): the next handshake() or read() gets
  /// further. A part of a record does not count, and makes neither call do anything.
  bool input_pending() const;

  State state() const;
  Established established() const;  ///< valid once open

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::tls
