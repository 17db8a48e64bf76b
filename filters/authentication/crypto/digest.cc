#include "filters/authentication/crypto/digest.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace postern::filters::crypto {
namespace {

/// Fetching costs more than hashing a short message, and its lock is shared by all threads.
const EVP_MD* fetched(Algorithm algorithm) {
  struct Fetched {
    EVP_MD* sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    ~Fetched() {
      EVP_MD_free(sha1);
      EVP_MD_free(sha256);
    }
  };
  thread_local const Fetched digests;
  return algorithm == Algorithm::sha1 ? digests.sha1 : digests.sha256;
}

void require(bool worked) {
  if (worked) return;
  std::fputs("OpenSSL cannot compute SHA-1 or SHA-256: is its configuration broken?\n", stderr);
  std::abort();
}

EVP_MD_CTX* context_of(void* context) {
  return static_cast<EVP_MD_CTX*>(context);
}

}  // namespace

Digest::Digest(Algorithm algorithm) : context_(EVP_MD_CTX_new()) {
  require(context_ != nullptr && EVP_DigestInit_ex2(context_of(context_), fetched(algorithm), nullptr) == 1);
}
Digest::~Digest() {
  EVP_MD_CTX_free(context_of(context_));
}
Digest::Digest(Digest&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
Digest& Digest::operator=(Digest&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

void Digest::update(std::string_view octets) {
  require(EVP_DigestUpdate(context_of(context_), octets.data(), octets.size()) == 1);
}

std::string Digest::finish() {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  require(EVP_DigestFinal_ex(context_of(context_), out, &size) == 1);
  return {reinterpret_cast<const char*>(out), size};
}

std::string digest(Algorithm algorithm, std::string_view octets) {
  Digest running(algorithm);
  running.update(octets);
  return running.finish();
}

}  // namespace postern::filters::crypto
