#include "gateway/smtp/sasl/secret.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "filters/authentication/crypto/base64.h"
#include "filters/authentication/crypto/digest.h"

namespace postern::smtp::sasl {
namespace {

using filters::crypto::decode_base64;
using filters::crypto::encode_base64;

constexpr std::size_t kHashOctets = 32;
constexpr std::string_view kScryptName = "scrypt", kScramName = "SCRAM-SHA-256";
// 16 MiB and one pass: what a server can afford for each login, and 16 MiB for each guess of whoever has the file.
constexpr unsigned kLog2N = 14, kR = 8, kP = 1;
constexpr unsigned kLog2NMax = 20;
constexpr std::uint64_t kScryptMemoryMax = std::uint64_t{1200} << 20;

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (bool more = true; more && parts.size() < 8;) {
    const std::size_t colon = text.find(':');
    more = colon != std::string_view::npos;
    parts.push_back(text.substr(0, colon));
    text.remove_prefix(more ? colon + 1 : text.size());
  }
  return parts;
}

bool number(std::string_view text, std::uint32_t& out) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  return problem == std::errc{} && end == text.data() + text.size();
}

struct Scrypt {
  unsigned log2_n = kLog2N, r = kR, p = kP;
  std::string salt, hash;
};

std::optional<Scrypt> parse_scrypt(std::string_view text) {
  const auto parts = split(text);
  if (parts.size() != 6 || parts[0] != kScryptName) return std::nullopt;
  Scrypt out;
  std::uint32_t log2_n = 0, r = 0, p = 0;
  if (!number(parts[1], log2_n) || !number(parts[2], r) || !number(parts[3], p)) return std::nullopt;
  if (log2_n < 10 || log2_n > kLog2NMax || r < 1 || r > 8 || p < 1 || p > 4) return std::nullopt;
  auto salt = decode_base64(parts[4]), hash = decode_base64(parts[5]);
  if (!salt || !hash || salt->empty() || hash->size() != kHashOctets) return std::nullopt;
  return Scrypt{.log2_n = log2_n, .r = r, .p = p, .salt = std::move(*salt), .hash = std::move(*hash)};
}

std::string scrypt(std::string_view password, const Scrypt& how) {
  std::array<unsigned char, kHashOctets> out{};
  const int done =
      EVP_PBE_scrypt(password.data(), password.size(),
                     reinterpret_cast<const unsigned char*>(how.salt.data()), how.salt.size(),
                     std::uint64_t{1} << how.log2_n, how.r, how.p, kScryptMemoryMax, out.data(), out.size());
  if (done != 1) return {};  // no memory: no password fits
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  const unsigned char* const made =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  if (made == nullptr) std::abort();  // OpenSSL without SHA-256 is a fault of the installation
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string sha256(std::string_view text) {
  return filters::crypto::digest(filters::crypto::Algorithm::sha256, text);
}

bool same_octets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string make_scrypt(std::string_view password, std::string_view salt) {
  const std::string hash = scrypt(password, {.salt = std::string(salt)});
  return fmt::format("{}:{}:{}:{}:{}:{}", kScryptName, kLog2N, kR, kP, encode_base64(salt),
                     encode_base64(hash));
}

bool check_scrypt(std::string_view text, std::string_view password) {
  const auto kept = parse_scrypt(text);
  const std::string hash = scrypt(password, kept.value_or(Scrypt{.salt = std::string(kSaltOctets, 'x')}));
  return kept && !hash.empty() && same_octets(hash, kept->hash);
}

bool is_scrypt(std::string_view text) {
  return parse_scrypt(text).has_value();
}

ScramSecret make_scram(std::string_view password, std::string_view salt, std::uint32_t iterations) {
  std::array<unsigned char, kHashOctets> salted{};
  const int done = PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                                     reinterpret_cast<const unsigned char*>(salt.data()),
                                     static_cast<int>(salt.size()), static_cast<int>(iterations),
                                     EVP_sha256(), static_cast<int>(salted.size()), salted.data());
  if (done != 1) std::abort();
  const std::string_view key(reinterpret_cast<const char*>(salted.data()), salted.size());
  return {.iterations = iterations,
          .salt = std::string(salt),
          .stored_key = sha256(hmac_sha256(key, "Client Key")),
          .server_key = hmac_sha256(key, "Server Key")};
}

std::string to_text(const ScramSecret& secret) {
  return fmt::format("{}:{}:{}:{}:{}", kScramName, secret.iterations, encode_base64(secret.salt),
                     encode_base64(secret.stored_key), encode_base64(secret.server_key));
}

std::optional<ScramSecret> parse_scram(std::string_view text) {
  const auto parts = split(text);
  if (parts.size() != 5 || parts[0] != kScramName) return std::nullopt;
  ScramSecret secret;
  auto salt = decode_base64(parts[2]), stored = decode_base64(parts[3]), server = decode_base64(parts[4]);
  if (!number(parts[1], secret.iterations) || !salt || !stored || !server) return std::nullopt;
  if (secret.iterations < 1 || secret.iterations > kScramIterationsMax) return std::nullopt;
  if (salt->empty() || stored->size() != kHashOctets || server->size() != kHashOctets) return std::nullopt;
  secret.salt = std::move(*salt);
  secret.stored_key = std::move(*stored);
  secret.server_key = std::move(*server);
  return secret;
}

ScramSecret decoy_scram(std::string_view user, std::string_view server_secret) {
  const std::string seed = hmac_sha256(server_secret, user);
  return {.iterations = kScramIterations,
          .salt = seed.substr(0, kSaltOctets),
          .stored_key = hmac_sha256(seed, "stored"),
          .server_key = hmac_sha256(seed, "server")};
}

}  // namespace postern::smtp::sasl
