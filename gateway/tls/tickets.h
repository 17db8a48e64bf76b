#pragma once

// Inside this module only: the keys behind TicketKeys, and how a context uses them.
#include <array>
#include <mutex>
#include <span>

#include "gateway/tls/contexts.h"
#include "gateway/tls/openssl.h"

namespace postern::tls {

/// One key of the set: RFC 5077 §4 recommends a name, an AES key and an HMAC key. Wiped when nobody uses it
/// any more.
struct TicketKey {
  static constexpr std::size_t kNameOctets = 16;  // fixed by OpenSSL's callback
  std::array<unsigned char, kNameOctets> name{};
  std::array<unsigned char, 32> cipher_key{};
  std::array<unsigned char, 32> mac_key{};
  std::chrono::steady_clock::time_point made;

  TicketKey() = default;
  TicketKey(const TicketKey&) = delete;
  TicketKey& operator=(const TicketKey&) = delete;
  ~TicketKey();
};

class TicketKeys::Impl {
 public:
  explicit Impl(Now now);

  // A key is handed out by shared_ptr because another core may rotate the set while it is in use.
  using KeyRef = std::shared_ptr<const TicketKey>;
  struct Found {
    KeyRef key;          ///< null: unknown or too old, so a full handshake
    bool renew = false;  ///< the client should get a ticket under the current key
  };

  /// The current key, made anew when it is kRotation old. Null when the system gives no random octets.
  KeyRef to_encrypt();
  Found to_decrypt(std::span<const unsigned char> name);
  const EVP_CIPHER* cipher() const { return cipher_.get(); }

 private:
  bool rotate_if_due(std::chrono::steady_clock::time_point now);

  std::mutex mutex_;
  Now now_;
  KeyRef current_, previous_;
  CipherPtr cipher_;  // fetched once: a fetch by name per ticket takes locks inside OpenSSL
};

/// Makes the context encrypt and decrypt its tickets with these keys, which must outlive it.
bool use_ticket_keys(SSL_CTX* context, TicketKeys& keys);

}  // namespace postern::tls
