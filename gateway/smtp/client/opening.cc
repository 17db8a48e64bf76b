#include "gateway/smtp/client/opening.h"

#include <fmt/format.h>

#include <utility>

#include "filters/authentication/crypto/base64.h"

namespace postern::smtp::client {
namespace {

using filters::crypto::encode_base64;

constexpr int kServiceClosing = 421;  // RFC 5321 §3.8

GiveUp give_up(AttemptStage stage, std::string enhanced, std::string text) {
  return {local_result(RecipientResult::Kind::temporary, stage, std::move(enhanced), std::move(text))};
}

Say say(AttemptStage stage, std::string line) {
  line.append("\r\n");
  return {.line = std::move(line), .stage = stage};
}

}  // namespace

RecipientResult refused(const ServerReply& reply, AttemptStage stage, bool permanent_allowed) {
  RecipientResult result;
  const bool permanent = reply.permanent() && permanent_allowed;
  result.kind = permanent ? RecipientResult::Kind::permanent : RecipientResult::Kind::temporary;
  result.stage = stage;
  result.code = reply.code;
  result.enhanced = reply.enhanced;
  if (result.enhanced.empty())
    result.enhanced = permanent ? "5.0.0" : reply.code == kServiceClosing ? "4.3.2" : "4.0.0";
  // What we take for temporary must not go into a report with a status of class 5.
  if (!permanent) result.enhanced.front() = '4';
  result.text = reply.evidence();
  return result;
}

RecipientResult local_result(RecipientResult::Kind kind, AttemptStage stage, std::string enhanced,
                             std::string text) {
  RecipientResult result;
  result.kind = kind;
  result.stage = stage;
  result.enhanced = std::move(enhanced);
  result.text = printable_line(text, ServerReply::kEvidenceOctetsMax);
  return result;
}

OpeningStep Opening::replied(const ServerReply& reply) {
  switch (phase_) {
    case Phase::greeting:
      // §3.1: 554 says that there is no service here. It may be meant for us or be an accident of this host; other hosts of the
      // domain, or a later day, can tell.
      if (!reply.positive()) return GiveUp{refused(reply, AttemptStage::greeting, false)};
      return hello();
    case Phase::ehlo:
      if (reply.positive()) {
        capabilities_ = Capabilities::of(reply);
        return after_hello();
      }
      // §3.2: a server without EHLO says 500 or 502. RFC 2033 §4.1 has no such way back.
      if (terms_.lmtp || !reply.permanent()) return GiveUp{refused(reply, AttemptStage::hello, true)};
      phase_ = Phase::helo;
      return say(AttemptStage::hello, "HELO " + terms_.hello_name);
    case Phase::helo:
      if (!reply.positive()) return GiveUp{refused(reply, AttemptStage::hello, true)};
      capabilities_ = {};
      return after_hello();
    case Phase::starttls:
      if (reply.code == 220) return BeginTls{};
      // RFC 3207 §4: the session goes on in the clear where that is allowed.
      if (terms_.tls_required || reply.code == kServiceClosing)
        return GiveUp{refused(reply, AttemptStage::tls, false)};
      terms_.use_starttls = false;
      return after_hello();
    default:
      return after_auth(reply);
  }
}

OpeningStep Opening::hello() {
  phase_ = Phase::ehlo;
  return say(AttemptStage::hello, (terms_.lmtp ? "LHLO " : "EHLO ") + terms_.hello_name);
}

OpeningStep Opening::after_hello() {
  if (!terms_.tls_active && terms_.use_starttls && capabilities_.starttls) {
    phase_ = Phase::starttls;
    return say(AttemptStage::tls, "STARTTLS");
  }
  if (!terms_.tls_active && terms_.tls_required)
    return give_up(AttemptStage::tls, "4.7.4",
                   "The server does not offer STARTTLS, and the route demands TLS");
  if (!terms_.user.empty()) return authenticate();
  return Ready{};
}

OpeningStep Opening::tls_established() {
  terms_.tls_active = true;
  capabilities_ = {};  // RFC 3207 §4.2: what was said in the clear does not count
  return hello();
}

OpeningStep Opening::authenticate() {
  if (!terms_.tls_active)
    return give_up(AttemptStage::auth, "4.7.0", "Credentials are given under TLS only, and there is none");
  if (capabilities_.auth_plain) {
    phase_ = Phase::plain;
    std::string secret;  // RFC 4616 §2: authzid NUL authcid NUL passwd
    secret.append(1, '\0').append(terms_.user).append(1, '\0').append(terms_.password);
    return say(AttemptStage::auth, "AUTH PLAIN " + encode_base64(secret));
  }
  if (capabilities_.auth_login) {
    phase_ = Phase::login;
    return say(AttemptStage::auth, "AUTH LOGIN");
  }
  return give_up(AttemptStage::auth, "4.7.0", "The server offers neither AUTH PLAIN nor AUTH LOGIN");
}

OpeningStep Opening::after_auth(const ServerReply& reply) {
  const bool asked = reply.code == 334;  // RFC 4954 §4
  if (phase_ == Phase::login && asked) {
    phase_ = Phase::login_user;
    return say(AttemptStage::auth, encode_base64(terms_.user));
  }
  if (phase_ == Phase::login_user && asked) {
    phase_ = Phase::login_password;
    return say(AttemptStage::auth, encode_base64(terms_.password));
  }
  if ((phase_ == Phase::plain || phase_ == Phase::login_password) && reply.code == 235) return Ready{};
  // Wrong credentials are a mistake of this server's manifest, not of the message.
  return GiveUp{refused(reply, AttemptStage::auth, false)};
}

}  // namespace postern::smtp::client
