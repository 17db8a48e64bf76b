#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace postern::filters::crypto {

enum class KeyType : std::uint8_t { rsa, ed25519 };

/// RFC 8301 §3.2: shorter RSA keys must not be believed; longer ones only cost time.
inline constexpr unsigned kRsaBitsMin = 1024, kRsaBitsMax = 8192;

/// A public key as DKIM publishes it. Immutable, one thread.
class PublicKey {
 public:
  /// RSA: DER of SubjectPublicKeyInfo (RFC 6376 §3.6.1) or, as some publish, of RSAPublicKey (RFC 8017
  /// A.1.1). Ed25519: the 32 octets (RFC 8463 §4). The error says what is wrong with it. Parsing is
  /// remembered per thread (kRememberedMax keys): it costs more than a verification.
  static std::expected<std::shared_ptr<const PublicKey>, std::string> parse(KeyType type,
                                                                            std::string_view octets);
  static constexpr std::size_t kRememberedMax = 512;

  ~PublicKey();
  PublicKey(const PublicKey&) = delete;
  PublicKey& operator=(const PublicKey&) = delete;
  unsigned bits() const { return bits_; }

  /// Whether `signature` is right for what hashes to the SHA-256 `digest`: RSASSA-PKCS1-v1_5, or Ed25519 over
  /// the digest itself (RFC 8463 §3).
  bool verify(std::string_view digest, std::string_view signature) const;

 private:
  PublicKey(KeyType type, void* key, unsigned bits) : type_(type), key_(key), bits_(bits) {}
  KeyType type_;
  void* key_;  // EVP_PKEY
  unsigned bits_;
};

/// A private key that signs. Immutable; several threads may use it.
class PrivateKey {
 public:
  /// PEM, PKCS#8 or traditional, no passphrase.
  static std::expected<std::shared_ptr<const PrivateKey>, std::string> from_pem(std::string_view pem);
  static std::expected<std::shared_ptr<const PrivateKey>, std::string> generate(KeyType type,
                                                                                unsigned rsa_bits = 2048);
  ~PrivateKey();
  PrivateKey(const PrivateKey&) = delete;
  PrivateKey& operator=(const PrivateKey&) = delete;

  KeyType type() const { return type_; }
  std::expected<std::string, std::string> sign(std::string_view digest) const;
  std::string pem() const;            ///< PKCS#8
  std::string public_octets() const;  ///< what PublicKey::parse() takes

 private:
  PrivateKey(KeyType type, void* key) : type_(type), key_(key) {}
  KeyType type_;
  void* key_;  // EVP_PKEY
};

}  // namespace postern::filters::crypto
