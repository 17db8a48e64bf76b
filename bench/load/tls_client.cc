#include "bench/load/tls_client.h"

#include <openssl/err.h>

#include <algorithm>
#include <new>

namespace postern::load {
namespace {

constexpr std::size_t kPiece = 16384;  // the plaintext of one record, RFC 8446 §5.1

std::string reason() {
  const char* words = ERR_reason_error_string(ERR_peek_error());
  std::string text = words == nullptr ? "unknown error" : words;
  ERR_clear_error();
  return text;
}

}  // namespace

std::expected<TlsClientContext, std::string> TlsClientContext::create() {
  TlsClientContext made;
  made.context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!made.context_) return std::unexpected(reason());
  SSL_CTX* context = made.context_.get();
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, &TlsClient::on_session);
  return made;
}

TlsClient::TlsClient(const TlsClientContext& context, SSL_SESSION* session) : ssl_(SSL_new(context.get())) {
  input_ = BIO_new(BIO_s_mem());
  output_ = BIO_new(BIO_s_mem());
  if (!ssl_ || input_ == nullptr || output_ == nullptr) throw std::bad_alloc();
  BIO_set_mem_eof_return(input_, -1);
  SSL_set_bio(ssl_.get(), input_, output_);
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_connect_state(ssl_.get());
  if (session != nullptr) SSL_set_session(ssl_.get(), session);
}

TlsClient::~TlsClient() {
  // Freed without a close_notify, OpenSSL would mark the session as not resumable.
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

int TlsClient::on_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<TlsClient*>(SSL_get_app_data(ssl))->session_.reset(session);
  return 1;  // the reference is ours now
}

void TlsClient::feed(std::string_view ciphertext) {
  // A memory BIO takes all of it; receives are at most some KiB.
  if (!ciphertext.empty()) BIO_write(input_, ciphertext.data(), static_cast<int>(ciphertext.size()));
}

std::expected<TlsClient::State, std::string> TlsClient::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return State::open;
  if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return State::more;
  return std::unexpected(reason());
}

std::expected<TlsClient::State, std::string> TlsClient::read(std::string& out) {
  for (;;) {
    char piece[kPiece];
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), piece, sizeof piece, &got);
    if (result == 1) {
      out.append(piece, got);
      continue;
    }
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return State::open;
      case SSL_ERROR_ZERO_RETURN:
        return State::closed;
      default:
        return std::unexpected(reason());
    }
  }
}

std::expected<void, std::string> TlsClient::write(std::string_view plaintext) {
  while (!plaintext.empty()) {
    std::size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written) != 1)
      return std::unexpected(reason());
    plaintext.remove_prefix(written);
  }
  return {};
}

void TlsClient::shutdown() {
  ERR_clear_error();
  (void)SSL_shutdown(ssl_.get());  // the peer's close_notify is not waited for
  ERR_clear_error();
}

std::string TlsClient::take_output() {
  std::string octets(BIO_ctrl_pending(output_), '\0');
  if (!octets.empty()) BIO_read(output_, octets.data(), static_cast<int>(octets.size()));
  return octets;
}

bool TlsClient::resumed() const {
  return SSL_session_reused(ssl_.get()) == 1;
}

}  // namespace postern::load
