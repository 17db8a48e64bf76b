#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "gateway/smtp/sasl/message.h"
#include "gateway/smtp/sasl/secret.h"

namespace postern::smtp::sasl {

enum class Mechanism : std::uint8_t { plain, login, scram_sha_256 };
std::string_view to_string(Mechanism mechanism);
std::optional<Mechanism> mechanism_of(std::string_view word);  ///< in any case

/// Send these octets as a challenge.
struct Challenge {
  std::string octets;
};
/// Somebody must compare the password with what is kept; that ends the exchange.
struct CheckPassword {
  std::string user, password;
};
/// found() must be told what is kept for the user, or a decoy.
struct LookUp {
  std::string user;
};
/// The client has proved that it knows the password.
struct Proved {
  std::string user;
};
struct Refused {
  bool malformed = false;  ///< no message of the mechanism, rather than a wrong password
};
using Step = std::variant<Challenge, CheckPassword, LookUp, Proved, Refused>;

/// The server's side of one AUTH, as a pure machine over decoded messages: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, RFC 7677).
class Exchange {
 public:
  /// `nonce`: the server's part, fresh and printable without commas; SCRAM only.
  Exchange(Mechanism mechanism, std::string nonce) : mechanism_(mechanism), nonce_(std::move(nonce)) {}

  /// The initial response, where AUTH carried one (RFC 4954 §4).
  Step begin(std::optional<std::string_view> initial);
  Step respond(std::string_view message);
  /// After LookUp.
  Step found(ScramSecret secret);

 private:
  enum class Phase : std::uint8_t { begin, first, user, password, look_up, final, acknowledged, over };

  Step plain(std::string_view message);
  Step scram_first(std::string_view message);
  Step scram_final(std::string_view message);
  Step refuse(bool malformed);

  Mechanism mechanism_;
  Phase phase_ = Phase::begin;
  std::string nonce_, user_, server_first_;
  ScramFirst first_;
  ScramSecret secret_;
};

}  // namespace postern::smtp::sasl
