#include "gateway/tls/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <utility>

namespace postern::tls {

namespace {

constexpr int kNoTicket = 0;  // a full handshake follows; not an error
constexpr int kTicketError = -1;
constexpr int kTicketOk = 1;
constexpr int kTicketRenew = 2;  // good, and a new one is to be issued

bool set_mac_key(EVP_MAC_CTX* mac, const TicketKey& key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.mac_key.data()),
                                        key.mac_key.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/// The form SSL_CTX_set_tlsext_ticket_key_evp_cb asks for.
int ticket_key_callback(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac, int encrypt) {
  auto& keys = *static_cast<TicketKeys::Impl*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (encrypt == 1) {
    const TicketKeys::Impl::KeyRef key = keys.to_encrypt();
    if (!key) return kTicketError;
    std::ranges::copy(key->name, name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(keys.cipher())) != 1) return kTicketError;
    if (EVP_EncryptInit_ex2(cipher, keys.cipher(), key->cipher_key.data(), iv, nullptr) != 1)
      return kTicketError;
    return set_mac_key(mac, *key) ? kTicketOk : kTicketError;
  }
  const auto found = keys.to_decrypt({name, TicketKey::kNameOctets});
  if (!found.key) return kNoTicket;
  if (!set_mac_key(mac, *found.key)) return kTicketError;
  if (EVP_DecryptInit_ex2(cipher, keys.cipher(), found.key->cipher_key.data(), iv, nullptr) != 1)
    return kTicketError;
  // RFC 8446 appendix C.4: a ticket is used once, or observers can link the visits; so in TLS 1.3 each visit
  // brings the next.
  const bool renew = found.renew || SSL_version(ssl) == TLS1_3_VERSION;
  return renew ? kTicketRenew : kTicketOk;
}

}  // namespace

TicketKey::~TicketKey() {
  OPENSSL_cleanse(cipher_key.data(), cipher_key.size());
  OPENSSL_cleanse(mac_key.data(), mac_key.size());
}

TicketKeys::Impl::Impl(Now now)
    : now_(std::move(now)), cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)) {}

bool TicketKeys::Impl::rotate_if_due(std::chrono::steady_clock::time_point now) {
  if (previous_ && now - previous_->made >= 2 * kRotation) previous_.reset();
  if (current_ && now - current_->made < kRotation) return true;
  auto fresh = std::make_shared<TicketKey>();
  fresh->made = now;
  if (RAND_bytes(fresh->name.data(), static_cast<int>(fresh->name.size())) != 1) return false;
  if (RAND_priv_bytes(fresh->cipher_key.data(), static_cast<int>(fresh->cipher_key.size())) != 1)
    return false;
  if (RAND_priv_bytes(fresh->mac_key.data(), static_cast<int>(fresh->mac_key.size())) != 1) return false;
  previous_ = std::exchange(current_, std::move(fresh));
  // After a quiet night the key that was current may be too old to be the previous one.
  if (previous_ && now - previous_->made >= 2 * kRotation) previous_.reset();
  return true;
}

TicketKeys::Impl::KeyRef TicketKeys::Impl::to_encrypt() {
  const std::lock_guard lock(mutex_);
  if (!rotate_if_due(now_())) return nullptr;
  return current_;
}

TicketKeys::Impl::Found TicketKeys::Impl::to_decrypt(std::span<const unsigned char> name) {
  const std::lock_guard lock(mutex_);
  if (!rotate_if_due(now_())) return {};
  if (std::ranges::equal(name, current_->name)) return {.key = current_, .renew = false};
  if (previous_ && std::ranges::equal(name, previous_->name)) return {.key = previous_, .renew = true};
  return {};
}

TicketKeys::TicketKeys() : TicketKeys([] { return std::chrono::steady_clock::now(); }) {}
TicketKeys::TicketKeys(Now now) : impl_(std::make_unique<Impl>(std::move(now))) {}
TicketKeys::~TicketKeys() = default;

bool use_ticket_keys(SSL_CTX* context, TicketKeys& keys) {
  if (keys.impl().cipher() == nullptr) return false;
  SSL_CTX_set_app_data(context, &keys.impl());
  return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key_callback) == 1;
}

}  // namespace postern::tls
