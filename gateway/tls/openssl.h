#pragma once

// Inside this module only: ownership of OpenSSL's objects, and its errors in words.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace postern::tls {

template <auto kFree>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const noexcept {
    kFree(object);
  }
};

using SslPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, FreeWith<EVP_CIPHER_free>>;

/// The first entry of this thread's error queue in words, "unknown error" when there is none; empties the
/// queue.
inline std::string take_error_reason() {
  const unsigned long first = ERR_peek_error();
  const char* words = first == 0 ? nullptr : ERR_reason_error_string(first);
  std::string reason = words == nullptr ? "unknown error" : words;
  ERR_clear_error();
  return reason;
}

}  // namespace postern::tls
