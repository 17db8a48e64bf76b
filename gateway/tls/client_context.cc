#include "gateway/tls/client_context.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "gateway/tls/client_context_impl.h"
#include "gateway/tls/contexts_impl.h"

namespace postern::tls {
namespace {

// RFC 9325 §4.2, and behind it what old mail servers still offer: whoever has no proof to demand would otherwise send in the clear.
constexpr const char* kProvenCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr const char* kUnprovenCiphers =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:AESGCM:AES:!aNULL:!PSK:!SRP";
constexpr int kProvenSecurityLevel = 2;    // 112 bits
constexpr int kUnprovenSecurityLevel = 1;  // 80 bits: 1024-bit RSA is still met

SslContextPtr make_context(const char* ciphers, int security_level) {
  SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context) return nullptr;
  SSL_CTX* raw = context.get();
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_security_level(raw, security_level);
  SSL_CTX_set_verify(raw, SSL_VERIFY_NONE, nullptr);
  const bool fine = SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_cipher_list(raw, ciphers) == 1;
  return fine ? std::move(context) : nullptr;
}

bool load_authorities(SSL_CTX* context, const std::filesystem::path& authorities) {
  if (authorities.empty()) return SSL_CTX_set_default_verify_paths(context) == 1;
  std::error_code ignored;
  const std::string text = authorities.string();
  return std::filesystem::is_directory(authorities, ignored)
             ? SSL_CTX_load_verify_dir(context, text.c_str()) == 1
             : SSL_CTX_load_verify_file(context, text.c_str()) == 1;
}

bool is_address(const std::string& name) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str());
  ERR_clear_error();
  const bool found = address != nullptr;
  ASN1_OCTET_STRING_free(address);
  return found;
}

/// RFC 6125 §6.4, RFC 9525: the names that are acceptable, the wildcard for a whole label only.
bool expect_names(SSL* ssl, const std::vector<std::string>& names) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  bool fine = true;
  for (const std::string& name : names) {
    const bool added = is_address(name)
                           ? X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1
                           : X509_VERIFY_PARAM_add1_host(expected, name.c_str(), name.size()) == 1;
    fine = fine && added;
  }
  return fine && !names.empty();
}

}  // namespace

SslPtr ClientContext::Impl::start(const ClientTerms& terms) const {
  const bool proof = terms.proof == Proof::name;
  SslPtr ssl(SSL_new(proof ? proven.get() : unproven.get()));
  if (!ssl) return nullptr;
  SSL_set_connect_state(ssl.get());
  const std::string name = normal_host_name(terms.server_name);
  if (!name.empty() && !is_address(name)) SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  const bool named = expect_names(ssl.get(), terms.names);
  if (proof) {
    if (!named) return nullptr;  // nothing to compare with must not mean that everything fits
    SSL_set_verify(ssl.get(), SSL_VERIFY_PEER, nullptr);
  }
  return ssl;
}

ClientContext::ClientContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClientContext::~ClientContext() = default;

std::expected<std::shared_ptr<const ClientContext>, std::string> ClientContext::load(
    const std::filesystem::path& authorities) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>();
  impl->proven = make_context(kProvenCiphers, kProvenSecurityLevel);
  impl->unproven = make_context(kUnprovenCiphers, kUnprovenSecurityLevel);
  if (!impl->proven || !impl->unproven)
    return std::unexpected(fmt::format("OpenSSL cannot make a TLS context: {}", take_error_reason()));
  for (SSL_CTX* context : {impl->proven.get(), impl->unproven.get()}) {
    if (!load_authorities(context, authorities))
      return std::unexpected(
          fmt::format("{}: the authorities cannot be loaded: {}", authorities.string(), take_error_reason()));
  }
  ERR_clear_error();
  return std::shared_ptr<const ClientContext>(new ClientContext(std::move(impl)));
}

}  // namespace postern::tls
