#include "gateway/smtp/sasl/message.h"

#include <algorithm>
#include <utility>

#include "filters/authentication/crypto/base64.h"
#include "gateway/smtp/utf8.h"

namespace postern::smtp::sasl {
namespace {

constexpr std::size_t kProofOctets = 32;  // SHA-256

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t octets = utf8_sequence(text);
    if (octets == 0) return false;
    text.remove_prefix(octets);
  }
  return true;
}

/// Up to the comma; the comma goes too.
std::string_view take_item(std::string_view& text) {
  const std::size_t comma = std::min(text.find(','), text.size());
  const std::string_view item = text.substr(0, comma);
  text.remove_prefix(std::min(text.size(), comma + 1));
  return item;
}

/// saslname: "=2C" is a comma, "=3D" an equals sign, and no other equals sign may stand there.
std::optional<std::string> decode_name(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    if (text.front() != '=') {
      name.push_back(text.front());
      text.remove_prefix(1);
    } else if (text.starts_with("=2C") || text.starts_with("=3D")) {
      name.push_back(text[1] == '2' ? ',' : '=');
      text.remove_prefix(3);
    } else {
      return std::nullopt;
    }
  }
  if (!is_credential(name, kUserOctetsMax)) return std::nullopt;
  return name;
}

bool is_nonce(std::string_view text) {  // printable, without a comma
  return !text.empty() && text.size() <= kNonceOctetsMax &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

/// Strict base64, as RFC 5802 §7 writes it: padded, no blanks.
std::optional<std::string> decode_strict(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  auto decoded = filters::crypto::decode_base64(text);
  if (!decoded || filters::crypto::encode_base64(*decoded) != text) return std::nullopt;
  return decoded;
}

}  // namespace

bool is_credential(std::string_view text, std::size_t octets_max) {
  return !text.empty() && text.size() <= octets_max && text.find('\0') == std::string_view::npos &&
         is_utf8(text);
}

std::optional<PlainMessage> parse_plain(std::string_view message) {
  const std::size_t first = message.find('\0');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = message.find('\0', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  PlainMessage plain{.authorization = std::string(message.substr(0, first)),
                     .user = std::string(message.substr(first + 1, second - first - 1)),
                     .password = std::string(message.substr(second + 1))};
  const bool fine = (plain.authorization.empty() || is_credential(plain.authorization, kUserOctetsMax)) &&
                    is_credential(plain.user, kUserOctetsMax) &&
                    is_credential(plain.password, kPasswordOctetsMax);
  if (!fine) return std::nullopt;
  return plain;
}

std::optional<ScramFirst> parse_scram_first(std::string_view message) {
  ScramFirst first;
  std::string_view rest = message;
  const std::string_view flag = take_item(rest);
  if (flag != "n" && flag != "y") return std::nullopt;
  const std::string_view authorization = take_item(rest);
  first.gs2_header = message.substr(0, message.size() - rest.size());
  if (!first.gs2_header.ends_with(',')) return std::nullopt;
  first.bare = rest;
  const std::string_view user = take_item(rest), nonce = take_item(rest);
  if (!user.starts_with("n=") || !nonce.starts_with("r=") || !is_nonce(nonce.substr(2))) return std::nullopt;
  auto name = decode_name(user.substr(2));
  if (!name) return std::nullopt;
  if (!authorization.empty()) {  // to act for somebody else is not offered
    if (!authorization.starts_with("a=")) return std::nullopt;
    const auto other = decode_name(authorization.substr(2));
    if (!other || *other != *name) return std::nullopt;
  }
  first.user = std::move(*name);
  first.nonce = nonce.substr(2);
  return first;
}

std::optional<ScramFinal> parse_scram_final(std::string_view message) {
  const std::size_t at = message.rfind(",p=");  // the proof comes last
  if (at == std::string_view::npos) return std::nullopt;
  ScramFinal final;
  final.without_proof = message.substr(0, at);
  auto proof = decode_strict(message.substr(at + 3));
  std::string_view rest = message.substr(0, at);
  const std::string_view binding = take_item(rest), nonce = take_item(rest);
  if (!proof || proof->size() != kProofOctets || !binding.starts_with("c=") || !nonce.starts_with("r="))
    return std::nullopt;
  auto decoded = decode_strict(binding.substr(2));
  if (!decoded || nonce.size() > 2 + 2 * kNonceOctetsMax || nonce.size() == 2) return std::nullopt;
  final.binding = std::move(*decoded);
  final.nonce = nonce.substr(2);
  final.proof = std::move(*proof);
  return final;
}

}  // namespace postern::smtp::sasl
