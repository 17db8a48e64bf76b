#include "gateway/smtp/sasl/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "filters/authentication/crypto/base64.h"

namespace postern::smtp::sasl {
namespace {

using filters::crypto::encode_base64;

constexpr std::pair<std::string_view, Mechanism> kMechanisms[] = {
    {"PLAIN", Mechanism::plain}, {"LOGIN", Mechanism::login}, {"SCRAM-SHA-256", Mechanism::scram_sha_256}};

constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

}  // namespace

std::string_view to_string(Mechanism mechanism) {
  for (const auto& [name, known] : kMechanisms) {
    if (known == mechanism) return name;
  }
  return {};
}

std::optional<Mechanism> mechanism_of(std::string_view word) {
  for (const auto& [name, known] : kMechanisms) {
    if (std::ranges::equal(word, name, {}, upper)) return known;
  }
  return std::nullopt;
}

Step Exchange::begin(std::optional<std::string_view> initial) {
  phase_ = mechanism_ == Mechanism::login ? Phase::user : Phase::first;
  if (initial) return respond(*initial);
  return Challenge{mechanism_ == Mechanism::login ? "Username:" : ""};
}

Step Exchange::respond(std::string_view message) {
  switch (phase_) {
    case Phase::first:
      return mechanism_ == Mechanism::plain ? plain(message) : scram_first(message);
    case Phase::user:
      if (!is_credential(message, kUserOctetsMax)) return refuse(true);
      user_ = message;
      phase_ = Phase::password;
      return Challenge{"Password:"};
    case Phase::password:
      if (!is_credential(message, kPasswordOctetsMax)) return refuse(true);
      phase_ = Phase::over;
      return CheckPassword{.user = user_, .password = std::string(message)};
    case Phase::final:
      return scram_final(message);
    case Phase::acknowledged:  // RFC 4954 §4: the answer to the server's last message is empty
      if (!message.empty()) return refuse(true);
      phase_ = Phase::over;
      return Proved{user_};
    case Phase::begin:
    case Phase::look_up:
    case Phase::over:
      break;
  }
  return refuse(true);
}

Step Exchange::plain(std::string_view message) {
  auto parsed = parse_plain(message);
  if (!parsed) return refuse(true);
  // To act for somebody else is not offered (RFC 4616 §2).
  if (!parsed->authorization.empty() && parsed->authorization != parsed->user) return refuse(false);
  phase_ = Phase::over;
  return CheckPassword{.user = std::move(parsed->user), .password = std::move(parsed->password)};
}

Step Exchange::scram_first(std::string_view message) {
  auto parsed = parse_scram_first(message);
  if (!parsed) return refuse(true);
  first_ = std::move(*parsed);
  user_ = first_.user;
  phase_ = Phase::look_up;
  return LookUp{user_};
}

Step Exchange::found(ScramSecret secret) {
  if (phase_ != Phase::look_up) return refuse(true);
  secret_ = std::move(secret);
  server_first_ =
      fmt::format("r={}{},s={},i={}", first_.nonce, nonce_, encode_base64(secret_.salt), secret_.iterations);
  phase_ = Phase::final;
  return Challenge{server_first_};
}

/// RFC 5802 §3: the proof holds the client's key, which the server knows the digest of.
Step Exchange::scram_final(std::string_view message) {
  const auto final = parse_scram_final(message);
  if (!final) return refuse(true);
  if (final->nonce != first_.nonce + nonce_ || final->binding != first_.gs2_header) return refuse(false);
  const std::string text = fmt::format("{},{},{}", first_.bare, server_first_, final->without_proof);
  std::string key = hmac_sha256(secret_.stored_key, text);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<char>(key[i] ^ final->proof[i]);
  if (!same_octets(sha256(key), secret_.stored_key)) return refuse(false);
  phase_ = Phase::acknowledged;
  return Challenge{"v=" + encode_base64(hmac_sha256(secret_.server_key, text))};
}

Step Exchange::refuse(bool malformed) {
  phase_ = Phase::over;
  return Refused{malformed};
}

}  // namespace postern::smtp::sasl
