#include "gateway/tls/engine.h"

#include <algorithm>
#include <utility>

#include "gateway/tls/client_context_impl.h"
#include "gateway/tls/contexts_impl.h"
#include "gateway/tls/openssl.h"

namespace postern::tls {

namespace {

// RFC 8446 §5.1 and RFC 5246 §6.2.1 agree on 2^14; §6.2.3 of the latter allows 2048 more once encrypted.
constexpr std::size_t kRecordPlaintextOctetsMax = 16384;
constexpr std::size_t kRecordOctetsMax = kRecordPlaintextOctetsMax + 2048;
constexpr std::size_t kRecordHeaderOctets = 5;
// What a peer can make us say between two take_output() without our writing anything: the largest chain that
// Contexts::load() accepts, twice.
constexpr std::size_t kProvokedOutputOctetsMax = std::size_t{64} * 1024;
// After the handshake an honest client sends a key update for every few hundred GiB (RFC 8446 §5.5), and in
// TLS 1.2 nothing. Each costs us key derivations or an alert, for a few octets of the peer's.
constexpr unsigned kLateHandshakeMessagesMax = 64;
// The most that a record adds to its plaintext: header, nonce, tag or MAC with padding.
constexpr std::size_t kRecordOverheadOctets = 96;

enum class Framing { whole, partial, not_tls };

/// How `octets` begin: with a whole record of `size` octets, with a part of one, or with something that
/// cannot become one.
Framing frame(std::string_view octets, std::size_t& size) {
  const auto octet = [octets](std::size_t place) { return static_cast<unsigned char>(octets[place]); };
  if (octets.empty()) return Framing::partial;
  if (octet(0) < SSL3_RT_CHANGE_CIPHER_SPEC || octet(0) > SSL3_RT_APPLICATION_DATA) return Framing::not_tls;
  if (octets.size() > 1 && octet(1) != SSL3_VERSION_MAJOR) return Framing::not_tls;
  if (octets.size() < kRecordHeaderOctets) return Framing::partial;
  const std::size_t body = static_cast<std::size_t>(octet(3)) << 8 | octet(4);
  if (body > kRecordOctetsMax) return Framing::not_tls;
  size = kRecordHeaderOctets + body;
  return octets.size() < size ? Framing::partial : Framing::whole;
}

}  // namespace

class Engine::Impl {
 public:
  explicit Impl(std::shared_ptr<const Contexts> contexts);
  Impl(std::shared_ptr<const ClientContext> context, const ClientTerms& terms);

  void feed(std::string_view ciphertext);
  void feed_eof() { eof_ = true; }
  std::expected<State, Failure> handshake();
  std::expected<State, Failure> read(std::string& out, std::size_t limit);
  std::expected<void, Failure> write(std::string_view plaintext);
  void shutdown();
  std::string take_output();
  bool output_pending() const { return !output_.empty(); }
  bool input_pending() const;
  State state() const { return state_; }
  Established established() const;

 private:
  static BIO_METHOD* method();
  static int bio_read(BIO* bio, char* out, int octets);
  static int bio_write(BIO* bio, const char* data, int octets);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static void on_message(int is_output, int version, int type, const void* data, size_t octets, SSL* ssl,
                         void* self);

  void attach();
  bool failed() const { return state_ == State::failed; }
  std::unexpected<Failure> fail(std::string reason);
  std::unexpected<Failure> fail_with_openssl_reason();
  void release_memory();
  void drop_input();

  std::shared_ptr<const void> contexts_;  // shared: a reload must not free what a session still uses
  SslPtr ssl_;
  const bool client_ = false;
  State state_ = State::handshaking;
  std::string failure_;

  // OpenSSL is shown whole records only: [consumed_, readable_) of the input. A peer that sends a header and
  // falls silent then costs five octets and not a record buffer, and input_pending() means that a step can
  // get further.
  std::string input_;
  std::size_t consumed_ = 0, readable_ = 0;
  bool not_tls_ = false;  // the framing is lost: OpenSSL sees everything and says what it was
  bool eof_ = false;

  std::string output_;
  std::size_t provoked_octets_ = 0;
  bool writing_ = false;  // what OpenSSL sends now is ours, not provoked by the peer
  bool provoked_too_much_ = false;
  unsigned late_handshake_messages_ = 0;
  bool shut_down_ = false;
};

Engine::Impl::Impl(std::shared_ptr<const Contexts> contexts)
    : contexts_(contexts), ssl_(SSL_new(contexts->impl().first())) {
  attach();
  if (ssl_) SSL_set_accept_state(ssl_.get());
}

Engine::Impl::Impl(std::shared_ptr<const ClientContext> context, const ClientTerms& terms)
    : contexts_(context), ssl_(context->impl().start(terms)), client_(true) {
  attach();
}

void Engine::Impl::attach() {
  BIO* bio = ssl_ ? BIO_new(method()) : nullptr;
  if (bio == nullptr) {
    (void)fail_with_openssl_reason();  // out of memory; every call reports it
    return;
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // takes the one reference for both directions
  SSL_set_msg_callback(ssl_.get(), on_message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
}

BIO_METHOD* Engine::Impl::method() {
  static BIO_METHOD* const made = [] {  // lives as long as the process
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern tls engine");
    if (method == nullptr) return method;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
  }();
  return made;
}

int Engine::Impl::bio_read(BIO* bio, char* out, int octets) {
  auto& self = *static_cast<Impl*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const bool flooded = self.late_handshake_messages_ > kLateHandshakeMessagesMax;
  const std::size_t there = flooded ? 0 : self.readable_ - self.consumed_;
  if (there == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t given = std::min(there, static_cast<std::size_t>(octets));
  self.input_.copy(out, given, self.consumed_);
  self.consumed_ += given;
  return static_cast<int>(given);
}

int Engine::Impl::bio_write(BIO* bio, const char* data, int octets) {
  auto& self = *static_cast<Impl*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const auto size = static_cast<std::size_t>(octets);
  if (!self.writing_) {
    self.provoked_octets_ += size;
    if (self.provoked_octets_ > kProvokedOutputOctetsMax) {
      self.provoked_too_much_ = true;
      return -1;  // without the retry flag: OpenSSL gives up
    }
  }
  self.output_.append(data, size);
  return octets;
}

long Engine::Impl::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;  // nothing waits below; every other question is answered "no"
}

void Engine::Impl::on_message(int is_output, int, int type, const void*, size_t, SSL*, void* self) {
  auto& engine = *static_cast<Impl*>(self);
  if (is_output == 0 && type == SSL3_RT_HANDSHAKE && engine.state_ == State::open)
    ++engine.late_handshake_messages_;
}

std::unexpected<Failure> Engine::Impl::fail(std::string reason) {
  state_ = State::failed;
  failure_ = std::move(reason);
  drop_input();
  return std::unexpected(Failure{failure_});
}

std::unexpected<Failure> Engine::Impl::fail_with_openssl_reason() {
  if (provoked_too_much_) {
    ERR_clear_error();
    return fail("the peer provokes more output than it takes");
  }
  std::string reason = take_error_reason();
  // What is wrong with the server's certificate, where that is what failed.
  if (client_ && ssl_ && SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE) {
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (verdict != X509_V_OK) reason.append(": ").append(X509_verify_cert_error_string(verdict));
  }
  return fail(std::move(reason));
}

void Engine::Impl::drop_input() {
  std::string().swap(input_);
  consumed_ = readable_ = 0;
}

/// Keeps the part of a record that waits for its rest, and nothing else: a session waits much longer than it
/// works. OpenSSL's SSL_MODE_RELEASE_BUFFERS would give its 34 KiB back too, but after every record, which
/// doubles the cost of small ones.
void Engine::Impl::release_memory() {
  SSL_free_buffers(ssl_.get());  // does nothing while they hold something
  if (consumed_ == 0) return;
  input_ = std::string(input_, consumed_);
  readable_ -= consumed_;
  consumed_ = 0;
}

void Engine::Impl::feed(std::string_view ciphertext) {
  if (state_ == State::failed || state_ == State::closed) return;
  input_.append(ciphertext);
  while (!not_tls_ && readable_ < input_.size()) {
    std::size_t size = 0;
    const Framing framing = frame(std::string_view(input_).substr(readable_), size);
    if (framing == Framing::partial) return;
    not_tls_ = framing == Framing::not_tls;
    readable_ += size;
  }
  if (not_tls_) readable_ = input_.size();
}

bool Engine::Impl::input_pending() const {
  if (state_ == State::handshaking) return consumed_ < readable_;
  if (state_ == State::open) return consumed_ < readable_ || SSL_pending(ssl_.get()) > 0;
  return false;
}

std::expected<Engine::State, Failure> Engine::Impl::handshake() {
  if (failed()) return std::unexpected(Failure{failure_});
  if (state_ != State::handshaking) return state_;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
  if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) return fail_with_openssl_reason();
  if (error == SSL_ERROR_NONE) state_ = State::open;
  release_memory();
  if (state_ == State::handshaking && eof_) return fail("the peer hung up during the handshake");
  return state_;
}

std::expected<Engine::State, Failure> Engine::Impl::read(std::string& out, std::size_t limit) {
  if (failed()) return std::unexpected(Failure{failure_});
  if (state_ == State::handshaking) return std::unexpected(Failure{"read before the end of the handshake"});
  // SSL_read gives one record at a time and says nothing of those behind it, so this goes on until the input
  // is used up.
  std::size_t added = 0;
  out.reserve(out.size() +
              std::min(limit, readable_ - consumed_));  // plaintext is never longer than its record
  while (state_ == State::open && added < limit && input_pending()) {
    const std::size_t there = readable_ - consumed_ + static_cast<std::size_t>(SSL_pending(ssl_.get()));
    const std::size_t room = std::min({limit - added, kRecordPlaintextOctetsMax, there});
    const std::size_t before = out.size();
    std::size_t got = 0;
    int result = 0;
    ERR_clear_error();
    out.resize_and_overwrite(before + room, [&](char* data, std::size_t) {
      result = SSL_read_ex(ssl_.get(), data + before, room, &got);
      return before + (result == 1 ? got : 0);
    });
    if (result == 1) {
      added += got;
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_ZERO_RETURN) {
      state_ = State::closed;  // close_notify; what follows it does not count, RFC 8446 §6.1
      drop_input();
    } else if (late_handshake_messages_ > kLateHandshakeMessagesMax) {
      ERR_clear_error();
      return fail("too many handshake messages after the handshake");
    } else if (error != SSL_ERROR_WANT_READ) {
      return fail_with_openssl_reason();
    }
  }
  release_memory();
  if (eof_ && state_ == State::open && !input_pending()) {
    state_ = State::closed;
    drop_input();
  }
  return state_;
}

std::expected<void, Failure> Engine::Impl::write(std::string_view plaintext) {
  if (failed()) return std::unexpected(Failure{failure_});
  if (state_ == State::handshaking) return std::unexpected(Failure{"write before the end of the handshake"});
  if (shut_down_) return std::unexpected(Failure{"write after close_notify"});
  if (plaintext.empty()) return {};
  const std::size_t records = (plaintext.size() - 1) / kRecordPlaintextOctetsMax + 1;
  output_.reserve(output_.size() + plaintext.size() + records * kRecordOverheadOctets);
  std::size_t written = 0;
  ERR_clear_error();
  writing_ = true;
  const int result = SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written);
  writing_ = false;
  // The BIO takes everything and renegotiation is off, so there is nothing to wait for: any "no" is final.
  if (result != 1) return fail_with_openssl_reason();
  SSL_free_buffers(ssl_.get());
  return {};
}

void Engine::Impl::shutdown() {
  if (failed() || state_ == State::handshaking || shut_down_) return;
  shut_down_ = true;
  ERR_clear_error();
  writing_ = true;
  const int result = SSL_shutdown(ssl_.get());
  writing_ = false;
  if (result < 0) ERR_clear_error();  // the connection ends either way
}

std::string Engine::Impl::take_output() {
  provoked_octets_ = 0;
  return std::exchange(output_, {});
}

Established Engine::Impl::established() const {
  Established facts;
  if (state_ == State::handshaking || !ssl_) return facts;
  facts.version = SSL_get_version(ssl_.get());
  // RFC 8314 §4.3 wants IANA's name in Received, which for TLS 1.2 is not OpenSSL's own.
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
  const char* name = cipher == nullptr ? nullptr : SSL_CIPHER_standard_name(cipher);
  if (name != nullptr) facts.cipher = name;
  const char* asked = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  if (asked != nullptr) facts.server_name = normal_host_name(asked);
  facts.resumed = SSL_session_reused(ssl_.get()) == 1;
  facts.verified = client_ && SSL_get0_peer_certificate(ssl_.get()) != nullptr &&
                   SSL_get_verify_result(ssl_.get()) == X509_V_OK;
  return facts;
}

Engine::Engine(std::shared_ptr<const Contexts> contexts)
    : impl_(std::make_unique<Impl>(std::move(contexts))) {}
Engine::Engine(std::shared_ptr<const ClientContext> context, const ClientTerms& terms)
    : impl_(std::make_unique<Impl>(std::move(context), terms)) {}
Engine::~Engine() = default;
void Engine::feed(std::string_view ciphertext) {
  impl_->feed(ciphertext);
}
void Engine::feed_eof() {
  impl_->feed_eof();
}
std::expected<Engine::State, Failure> Engine::handshake() {
  return impl_->handshake();
}
std::expected<Engine::State, Failure> Engine::read(std::string& out, std::size_t limit) {
  return impl_->read(out, limit);
}
std::expected<void, Failure> Engine::write(std::string_view plaintext) {
  return impl_->write(plaintext);
}
void Engine::shutdown() {
  impl_->shutdown();
}
std::string Engine::take_output() {
  return impl_->take_output();
}
bool Engine::output_pending() const {
  return impl_->output_pending();
}
bool Engine::input_pending() const {
  return impl_->input_pending();
}
Engine::State Engine::state() const {
  return impl_->state();
}
Established Engine::established() const {
  return impl_->established();
}

}  // namespace postern::tls
