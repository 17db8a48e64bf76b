#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "gateway/smtp/client/capabilities.h"
#include "gateway/smtp/client/outbound.h"
#include "gateway/smtp/client/reply_reader.h"

namespace postern::smtp::client {

struct OpeningTerms {
  std::string hello_name;
  bool lmtp = false;
  bool use_starttls = true;  ///< when offered
  bool tls_required = false;
  bool tls_active = false;  ///< from the first octet
  /// To authenticate with; empty: no AUTH.
  std::string user, password;
};

/// Send `line` (CRLF included; empty at the greeting) and wait for one reply.
struct Say {
  std::string line;
  AttemptStage stage;
};
/// Start TLS now; then tls_established().
struct BeginTls {};
/// Transactions may follow.
struct Ready {};
/// Nothing more can be done here. RecipientResult holds for every recipient.
struct GiveUp {
  RecipientResult result;
};
using OpeningStep = std::variant<Say, BeginTls, Ready, GiveUp>;

/// From the connection to the first MAIL, as a pure machine: greeting, EHLO with HELO as the way back (RFC 5321 §3.2), STARTTLS
/// (RFC 3207), EHLO again, AUTH (RFC 4954). Replies in, steps out.
class Opening {
 public:
  explicit Opening(OpeningTerms terms) : terms_(std::move(terms)) {}

  OpeningStep begin() const { return Say{.line = {}, .stage = AttemptStage::greeting}; }
  OpeningStep replied(const ServerReply& reply);
  OpeningStep tls_established();

  const Capabilities& capabilities() const { return capabilities_; }

 private:
  enum class Phase : std::uint8_t {
    greeting,
    ehlo,
    helo,
    starttls,
    plain,
    login,
    login_user,
    login_password
  };

  OpeningStep hello();
  OpeningStep after_hello();
  OpeningStep authenticate();
  OpeningStep after_auth(const ServerReply& reply);

  OpeningTerms terms_;
  Capabilities capabilities_;
  Phase phase_ = Phase::greeting;
};

/// What a reply that is no success means for the recipients it is about. `permanent_allowed`: a 5xx is this stage's last word;
/// otherwise it is an obstacle that may go away, and temporary.
RecipientResult refused(const ServerReply& reply, AttemptStage stage, bool permanent_allowed);
/// A result of our own making: no reply was there.
RecipientResult local_result(RecipientResult::Kind kind, AttemptStage stage, std::string enhanced,
                             std::string text);

}  // namespace postern::smtp::client
