#include "filters/authentication/crypto/public_key.h"

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <unordered_map>

namespace postern::filters::crypto {
namespace {

struct Freed {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(OSSL_DECODER_CTX* context) const { OSSL_DECODER_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
template <typename T>
using Owned = std::unique_ptr<T, Freed>;

EVP_PKEY* key_of(void* key) {
  return static_cast<EVP_PKEY*>(key);
}
const unsigned char* octets_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string reason() {
  const char* const text = ERR_reason_error_string(ERR_peek_last_error());
  std::string out = text != nullptr ? text : "unknown error";
  ERR_clear_error();
  return out;
}

Owned<EVP_PKEY> parse_rsa(std::string_view octets) {
  const unsigned char* at = octets_of(octets);
  const auto size = static_cast<long>(octets.size());
  Owned<EVP_PKEY> key(d2i_PUBKEY(nullptr, &at, size));
  if (key && at != octets_of(octets) + size) key.reset();  // something behind the key
  if (key) return key;
  ERR_clear_error();
  // A bare RSAPublicKey.
  EVP_PKEY* bare = nullptr;
  Owned<OSSL_DECODER_CTX> decoder(
      OSSL_DECODER_CTX_new_for_pkey(&bare, "DER", "pkcs1", "RSA", EVP_PKEY_PUBLIC_KEY, nullptr, nullptr));
  at = octets_of(octets);
  std::size_t left = octets.size();
  if (decoder && OSSL_DECODER_from_data(decoder.get(), &at, &left) == 1 && left == 0)
    return Owned<EVP_PKEY>(bare);
  EVP_PKEY_free(bare);
  return nullptr;
}

}  // namespace

std::expected<std::shared_ptr<const PublicKey>, std::string> PublicKey::parse(KeyType type,
                                                                              std::string_view octets) {
  ERR_clear_error();
  thread_local std::unordered_map<std::string, std::shared_ptr<const PublicKey>> remembered;
  std::string name(1, type == KeyType::rsa ? 'r' : 'e');
  name += octets;
  if (const auto found = remembered.find(name); found != remembered.end()) return found->second;

  Owned<EVP_PKEY> key;
  if (type == KeyType::ed25519) {
    if (octets.size() != 32) return std::unexpected("an Ed25519 key has 32 octets");
    key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets_of(octets), octets.size()));
    if (!key) return std::unexpected("no Ed25519 key: " + reason());
  } else {
    key = parse_rsa(octets);
    if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) {
      return std::unexpected("no RSA key: " + reason());
    }
    const int bits = EVP_PKEY_get_bits(key.get());
    if (bits < static_cast<int>(kRsaBitsMin)) {
      return std::unexpected("an RSA key of " + std::to_string(bits) + " bits is too short (RFC 8301 §3.2)");
    }
    if (bits > static_cast<int>(kRsaBitsMax))
      return std::unexpected("an RSA key of " + std::to_string(bits) + " bits is too long");
  }
  ERR_clear_error();
  const auto bits = static_cast<unsigned>(EVP_PKEY_get_bits(key.get()));
  std::shared_ptr<const PublicKey> made(new PublicKey(type, key.release(), bits));
  if (remembered.size() >= kRememberedMax) remembered.clear();
  remembered.emplace(std::move(name), made);
  return made;
}

PublicKey::~PublicKey() {
  EVP_PKEY_free(key_of(key_));
}

bool PublicKey::verify(std::string_view digest, std::string_view signature) const {
  ERR_clear_error();
  bool good = false;
  if (type_ == KeyType::ed25519) {
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    good = context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_of(key_)) == 1 &&
           EVP_DigestVerify(context.get(), octets_of(signature), signature.size(), octets_of(digest),
                            digest.size()) == 1;
  } else {
    const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key_of(key_), nullptr));
    good = context && EVP_PKEY_verify_init(context.get()) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1 &&
           EVP_PKEY_verify(context.get(), octets_of(signature), signature.size(), octets_of(digest),
                           digest.size()) == 1;
  }
  ERR_clear_error();
  return good;
}

std::expected<std::shared_ptr<const PrivateKey>, std::string> PrivateKey::from_pem(std::string_view pem) {
  ERR_clear_error();
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // An empty passphrase instead of none, so that nobody is asked on a terminal.
  Owned<EVP_PKEY> key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>(""))
                          : nullptr);
  if (!key) return std::unexpected("no private key in PEM: " + reason());
  const int id = EVP_PKEY_get_base_id(key.get());
  if (id != EVP_PKEY_RSA && id != EVP_PKEY_ED25519)
    return std::unexpected("a key that is neither RSA nor Ed25519");
  if (id == EVP_PKEY_RSA && EVP_PKEY_get_bits(key.get()) < static_cast<int>(kRsaBitsMin)) {
    return std::unexpected("an RSA key of fewer than 1024 bits (RFC 8301 §3.2)");
  }
  return std::shared_ptr<const PrivateKey>(
      new PrivateKey(id == EVP_PKEY_RSA ? KeyType::rsa : KeyType::ed25519, key.release()));
}

std::expected<std::shared_ptr<const PrivateKey>, std::string> PrivateKey::generate(KeyType type,
                                                                                   unsigned rsa_bits) {
  ERR_clear_error();
  Owned<EVP_PKEY> key(type == KeyType::rsa
                          ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(rsa_bits))
                          : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return std::unexpected("making a key: " + reason());
  return std::shared_ptr<const PrivateKey>(new PrivateKey(type, key.release()));
}

PrivateKey::~PrivateKey() {
  EVP_PKEY_free(key_of(key_));
}

std::expected<std::string, std::string> PrivateKey::sign(std::string_view digest) const {
  ERR_clear_error();
  std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_of(key_))), '\0');
  std::size_t size = signature.size();
  auto* const out = reinterpret_cast<unsigned char*>(signature.data());
  bool done = false;
  if (type_ == KeyType::ed25519) {
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    done = context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_of(key_)) == 1 &&
           EVP_DigestSign(context.get(), out, &size, octets_of(digest), digest.size()) == 1;
  } else {
    const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key_of(key_), nullptr));
    done = context && EVP_PKEY_sign_init(context.get()) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1 &&
           EVP_PKEY_sign(context.get(), out, &size, octets_of(digest), digest.size()) == 1;
  }
  if (!done) return std::unexpected("signing: " + reason());
  signature.resize(size);
  return signature;
}

std::string PrivateKey::pem() const {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key_of(key_), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string PrivateKey::public_octets() const {
  if (type_ == KeyType::ed25519) {
    std::string raw(32, '\0');
    std::size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(key_of(key_), reinterpret_cast<unsigned char*>(raw.data()), &size) != 1)
      return {};
    return raw;
  }
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_of(key_), &der);
  if (size <= 0) return {};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

}  // namespace postern::filters::crypto
