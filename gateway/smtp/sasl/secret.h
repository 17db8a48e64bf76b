#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Passwords as they are kept. Text forms, one line each, without blanks:
///   scrypt:LOG2N:R:P:SALT:HASH                   RFC 7914; SALT and HASH in base64
///   SCRAM-SHA-256:ITERATIONS:SALT:STORED:SERVER  RFC 5802 §3, RFC 7677
namespace postern::smtp::sasl {

struct ScramSecret {
  std::uint32_t iterations = 0;
  std::string salt, stored_key, server_key;  ///< octets
};

inline constexpr std::size_t kSaltOctets = 16;
/// RFC 7677 §4 asks for 4096 at least. Done by clients and by `account passwd`, never by the server.
inline constexpr std::uint32_t kScramIterations = 10'000;
inline constexpr std::uint32_t kScramIterationsMax = 10'000'000;

std::string hmac_sha256(std::string_view key, std::string_view text);
std::string sha256(std::string_view text);
/// In time that does not depend on where they differ.
bool same_octets(std::string_view a, std::string_view b);

/// `salt`: kSaltOctets random octets. 16 MiB and some 40 ms: on a worker.
std::string make_scrypt(std::string_view password, std::string_view salt);
/// The same cost, also for a text that is none, so that time does not tell whether an account has a password.
bool check_scrypt(std::string_view text, std::string_view password);

ScramSecret make_scram(std::string_view password, std::string_view salt,
                       std::uint32_t iterations = kScramIterations);
std::string to_text(const ScramSecret& secret);
std::optional<ScramSecret> parse_scram(std::string_view text);
/// A secret that nobody's password fits, the same for the same user, so that a client cannot find out who exists.
ScramSecret decoy_scram(std::string_view user, std::string_view server_secret);

bool is_scrypt(std::string_view text);

}  // namespace postern::smtp::sasl
