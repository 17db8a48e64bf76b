#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// What clients say inside AUTH, decoded from base64: RFC 4616, the LOGIN of old clients, RFC 5802. Nothing here checks a password.
namespace postern::smtp::sasl {

inline constexpr std::size_t kUserOctetsMax = 255;
inline constexpr std::size_t kPasswordOctetsMax = 1024;
inline constexpr std::size_t kNonceOctetsMax = 256;

struct PlainMessage {
  std::string authorization;  ///< may be empty
  std::string user, password;
};
/// RFC 4616 §2: three texts with a NUL between them. UTF-8, bounded, user and password not empty.
std::optional<PlainMessage> parse_plain(std::string_view message);

/// The user of LOGIN, or its password: UTF-8 without NUL, 1 to `octets_max` octets.
bool is_credential(std::string_view text, std::size_t octets_max);

/// RFC 5802 §7.
struct ScramFirst {
  std::string gs2_header;  ///< "n,," with its commas
  std::string bare;        ///< client-first-message-bare
  std::string user, nonce;
};
/// Channel binding ("p=") is refused because it is not offered; so are mandatory extensions ("m=").
std::optional<ScramFirst> parse_scram_first(std::string_view message);

struct ScramFinal {
  std::string binding;  ///< c=, decoded
  std::string nonce;
  std::string proof;          ///< decoded, 32 octets
  std::string without_proof;  ///< client-final-message-without-proof
};
std::optional<ScramFinal> parse_scram_final(std::string_view message);

}  // namespace postern::smtp::sasl
