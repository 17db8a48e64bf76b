#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

namespace postern::test {

struct TlsClientOptions {
  std::string server_name;
  int version_min = TLS1_2_VERSION;
  int version_max = TLS1_3_VERSION;
  std::string ciphers;               ///< of TLS 1.2, OpenSSL's syntax; empty: its own list
  std::string signature_algorithms;  ///< "rsa_pss_rsae_sha256"; empty: all
  SSL_SESSION* session = nullptr;    ///< to resume
};

/// The client's side of one TLS connection over memory, by OpenSSL used directly: what the server's engine
/// talks to in tests. It verifies nothing.
class TlsClient {
 public:
  explicit TlsClient(const TlsClientOptions& options = {})
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    SSL_CTX* context = context_.get();
    SSL_CTX_set_security_level(context, 0);  // the tests offer weak things on purpose
    SSL_CTX_set_min_proto_version(context, options.version_min);
    SSL_CTX_set_max_proto_version(context, options.version_max);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
      auto* self = static_cast<TlsClient*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
      ++self->tickets_;
      self->session_.reset(session);
      return 1;
    });
    if (!options.ciphers.empty()) SSL_CTX_set_cipher_list(context, options.ciphers.c_str());
    if (!options.signature_algorithms.empty())
      SSL_CTX_set1_sigalgs_list(context, options.signature_algorithms.c_str());
    ssl_.reset(SSL_new(context));
    input_ = BIO_new(BIO_s_mem());
    output_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(input_, -1);
    SSL_set_bio(ssl_.get(), input_, output_);
    SSL_set_connect_state(ssl_.get());
    if (!options.server_name.empty()) SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str());
    if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
  }

  ~TlsClient() {
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN);
  }  // or OpenSSL spoils the ticket for others
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  void feed(std::string_view ciphertext) {
    if (!ciphertext.empty()) BIO_write(input_, ciphertext.data(), static_cast<int>(ciphertext.size()));
  }
  /// True once the handshake is over on this side.
  bool handshake() {
    ERR_clear_error();
    return SSL_do_handshake(ssl_.get()) == 1;
  }
  std::string take_output() {
    std::string octets(BIO_ctrl_pending(output_), '\0');
    if (!octets.empty()) BIO_read(output_, octets.data(), static_cast<int>(octets.size()));
    return octets;
  }
  /// The plaintext as ciphertext.
  std::string encrypted(std::string_view plaintext) {
    ERR_clear_error();
    std::size_t written = 0;
    SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written);
    return take_output();
  }
  /// Everything that can be decrypted now.
  std::string read() {
    std::string text;
    char piece[16384];
    std::size_t got = 0;
    for (;;) {
      ERR_clear_error();
      if (SSL_read_ex(ssl_.get(), piece, sizeof piece, &got) != 1) break;
      text.append(piece, got);
    }
    last_error_ = ERR_peek_error();
    closed_ = SSL_get_error(ssl_.get(), 0) == SSL_ERROR_ZERO_RETURN;
    return text;
  }
  /// close_notify as ciphertext.
  std::string close_notify() {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    return take_output();
  }
  /// A key update that asks for one in return, RFC 8446 §4.6.3.
  std::string key_update() {
    ERR_clear_error();
    SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(ssl_.get());
    return take_output();
  }

  SSL* ssl() { return ssl_.get(); }
  bool saw_close_notify() const { return closed_; }
  /// "tlsv1 alert …" when the last read() ended with an alert.
  std::string last_reason() const {
    const char* words = ERR_reason_error_string(last_error_);
    return words == nullptr ? "" : words;
  }
  SSL_SESSION* session() { return session_.get(); }
  int tickets() const { return tickets_; }
  /// "the.name" of the certificate the server showed: its common name.
  std::string server_common_name() const {
    X509* shown = SSL_get0_peer_certificate(ssl_.get());
    char name[256] = "";
    if (shown != nullptr)
      X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof name);
    return name;
  }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  };
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL_SESSION, Free> session_;
  std::unique_ptr<SSL, Free> ssl_;
  BIO* input_ = nullptr;  // belong to ssl_
  BIO* output_ = nullptr;
  unsigned long last_error_ = 0;
  bool closed_ = false;
  int tickets_ = 0;
};

}  // namespace postern::test
