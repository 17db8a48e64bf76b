#include "gateway/tls/contexts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/tls/certificate.h"
#include "gateway/tls/contexts_impl.h"
#include "gateway/tls/tickets.h"

namespace postern::tls {

namespace {

// RFC 9325 §4.2: forward secrecy and AEAD. The CBC suites at the end (with encrypt-then-MAC, RFC 7366, where
// the client has it) are for mail servers of the Windows Server 2012 generation with RSA certificates: the
// alternative there is plaintext.
constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256";
constexpr const char* kTls13Ciphers =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr int kSecurityLevel = 2;  // 112 bits; said here so that the machine's openssl.cnf does not decide
constexpr unsigned char kSessionIdContext[] = "postern";
// OpenSSL sends two tickets by default, for browsers that open parallel connections. A mail client uses one.
constexpr std::size_t kTicketsPerHandshake = 1;

/// RFC 6066 §3. An unknown name is no error: the client compares the certificate's names itself, and most
/// senders of mail would rather have some encryption than none (RFC 7435).
int choose_by_server_name(SSL* ssl, int*, void* argument) {
  const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (asked == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* chosen = static_cast<const Contexts::Impl*>(argument)->find(normal_host_name(asked));
  if (chosen == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (SSL_set_SSL_CTX(ssl, chosen) == nullptr) return SSL_TLSEXT_ERR_ALERT_FATAL;
  return SSL_TLSEXT_ERR_OK;
}

/// Everything but the certificate: the same for all contexts, because a switch by name happens after the
/// version, the suite and the ticket were looked at.
SslContextPtr make_context(TicketKeys& keys, Contexts::Impl& owner) {
  SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context) return nullptr;
  SSL_CTX* raw = context.get();
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(raw,
                                 SSL_SESS_CACHE_OFF);  // tickets only: nothing is kept for clients that left
  SSL_CTX_set_timeout(raw, std::chrono::seconds(TicketKeys::kRotation).count());
  SSL_CTX_set_security_level(raw, kSecurityLevel);
  SSL_CTX_set_verify(raw, SSL_VERIFY_NONE, nullptr);  // senders of mail have no certificates to show
  const bool fine =
      SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION) == 1 &&
      SSL_CTX_set_cipher_list(raw, kTls12Ciphers) == 1 && SSL_CTX_set_ciphersuites(raw, kTls13Ciphers) == 1 &&
      SSL_CTX_set1_groups_list(raw, kGroups) == 1 &&
      SSL_CTX_set_num_tickets(raw, kTicketsPerHandshake) == 1 &&
      SSL_CTX_set_session_id_context(raw, kSessionIdContext, sizeof kSessionIdContext - 1) == 1 &&
      use_ticket_keys(raw, keys);
  if (!fine) return nullptr;
  SSL_CTX_set_tlsext_servername_callback(raw, choose_by_server_name);
  SSL_CTX_set_tlsext_servername_arg(raw, &owner);
  return context;
}

bool use_certificate(SSL_CTX* context, const Certificate& certificate) {
  STACK_OF(X509)* chain = sk_X509_new_null();
  for (const X509Ptr& next : certificate.chain) sk_X509_push(chain, next.get());
  ERR_clear_error();
  const int result =
      SSL_CTX_use_cert_and_key(context, certificate.leaf.get(), certificate.key.get(), chain, 1);
  sk_X509_free(chain);  // the certificates were counted up
  return result == 1;
}

struct Loaded {
  Certificate certificate;
  SSL_CTX* context = nullptr;
};

/// A certificate for the same names with another kind of key joins the earlier one's context: OpenSSL then
/// shows each client the one it understands, EC or RSA. Null: none.
SSL_CTX* context_to_join(const std::vector<Loaded>& earlier, const Certificate& certificate) {
  const auto sorted = [](std::vector<std::string> names) {
    std::ranges::sort(names);
    return names;
  };
  const auto names = sorted(certificate.info.names);
  SSL_CTX* found = nullptr;
  for (const Loaded& other : earlier) {
    if (sorted(other.certificate.info.names) != names) continue;
    if (EVP_PKEY_get_base_id(other.certificate.key.get()) == EVP_PKEY_get_base_id(certificate.key.get()))
      return nullptr;
    found = other.context;
  }
  return found;
}

void enter_names(Contexts::Impl& impl, const std::vector<std::string>& names, SSL_CTX* context) {
  for (const std::string& name : names) {
    const bool wildcard = name.starts_with("*.");
    const std::string normal = normal_host_name(wildcard ? std::string_view(name).substr(2) : name);
    if (normal.empty()) continue;
    // The first certificate with a name keeps it.
    (wildcard ? impl.by_parent : impl.by_name).emplace(normal, context);
  }
}

}  // namespace

std::string normal_host_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string normal;
  normal.reserve(name.size());
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z')
      normal.push_back(static_cast<char>(c - 'A' + 'a'));
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')
      normal.push_back(c);
    else
      return {};
  }
  return normal;
}

SSL_CTX* Contexts::Impl::find(const std::string& name) const {
  if (const auto exact = by_name.find(name); exact != by_name.end()) return exact->second;
  // RFC 6125 §6.4.3: the wildcard stands for exactly the leftmost label.
  const std::size_t dot = name.find('.');
  if (dot == 0 || dot == std::string::npos) return nullptr;
  const auto wildcard = by_parent.find(name.substr(dot + 1));
  return wildcard == by_parent.end() ? nullptr : wildcard->second;
}

Contexts::Contexts(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Contexts::~Contexts() = default;

const std::vector<CertificateInfo>& Contexts::certificates() const {
  return impl_->certificates;
}

std::expected<std::shared_ptr<const Contexts>, std::string> Contexts::load(
    const std::vector<CertificateFiles>& files, std::shared_ptr<TicketKeys> keys,
    std::vector<std::string>* warnings) {
  if (files.empty()) return std::unexpected("no certificate is configured");
  auto impl = std::make_unique<Impl>();
  impl->keys = std::move(keys);
  std::vector<Loaded> loaded;
  std::vector<std::string> found_warnings;
  for (const CertificateFiles& pair : files) {
    auto certificate = load_certificate(pair, found_warnings);
    if (!certificate) return std::unexpected(std::move(certificate.error()));
    SSL_CTX* context = context_to_join(loaded, *certificate);
    if (context == nullptr) {
      ERR_clear_error();
      auto made = make_context(*impl->keys, *impl);
      if (!made)
        return std::unexpected(fmt::format("OpenSSL cannot make a TLS context: {}", take_error_reason()));
      context = made.get();
      impl->contexts.push_back(std::move(made));
    }
    if (!use_certificate(context, *certificate))
      return std::unexpected(fmt::format("{}: OpenSSL refuses to use the certificate: {}",
                                         pair.certificate.string(), take_error_reason()));
    enter_names(*impl, certificate->info.names, context);
    impl->certificates.push_back(certificate->info);
    loaded.push_back({.certificate = std::move(*certificate), .context = context});
  }
  if (warnings != nullptr) std::ranges::move(found_warnings, std::back_inserter(*warnings));
  return std::shared_ptr<const Contexts>(new Contexts(std::move(impl)));
}

}  // namespace postern::tls
