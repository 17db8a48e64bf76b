#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace postern::load {

struct FreeTls {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
using TlsSession = std::unique_ptr<SSL_SESSION, FreeTls>;

/// What all TLS connections of one core share. It verifies no certificate: load, not trust, is measured.
class TlsClientContext {
 public:
  /// The error is OpenSSL's reason.
  static std::expected<TlsClientContext, std::string> create();
  SSL_CTX* get() const { return context_.get(); }

 private:
  std::unique_ptr<SSL_CTX, FreeTls> context_;
};

/// The client's side of one TLS connection over memory BIOs: ciphertext in, plaintext out and the other way round. Owns no
/// socket. After every call take_output() may hold octets to send. One thread.
class TlsClient {
 public:
  enum class State { more, open, closed };

  /// `session`: to resume, or null. The context must outlive this.
  TlsClient(const TlsClientContext& context, SSL_SESSION* session);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  void feed(std::string_view ciphertext);
  /// more: needs input. The error is OpenSSL's reason.
  std::expected<State, std::string> handshake();
  /// Appends everything that can be decrypted now. closed: close_notify.
  std::expected<State, std::string> read(std::string& out);
  std::expected<void, std::string> write(std::string_view plaintext);
  /// Queues close_notify.
  void shutdown();
  std::string take_output();

  bool resumed() const;
  /// The latest session the server gave for resumption; null when it gave none.
  TlsSession take_session() { return std::move(session_); }

 private:
  static int on_session(SSL* ssl, SSL_SESSION* session);
  friend class TlsClientContext;

  std::unique_ptr<SSL, FreeTls> ssl_;
  TlsSession session_;
  BIO* input_ = nullptr;  // belong to ssl_
  BIO* output_ = nullptr;
};

}  // namespace postern::load
