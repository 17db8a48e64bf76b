#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/smtp/command.h"

/// What goes out and what became of it: the words that the dialogue, its driver and the queue share. Plain values.
namespace postern::smtp::client {

/// One recipient of an outgoing message, with what RFC 3461 lets its sender say.
struct OutboundRecipient {
  std::string address;                       ///< normal form, without angle brackets
  std::uint8_t notify = kNotifyUnspecified;  ///< flags of Notify
  std::string orcpt;                         ///< "rfc822;address" decoded, as RcptCommand has it; empty: none
};

/// One message as the next hop is to get it. The octets are looked at, never copied: `owner` keeps them alive.
struct OutboundMessage {
  std::string mail_from;  ///< normal form; empty: the null path
  std::vector<OutboundRecipient> recipients;
  DsnReturn ret = DsnReturn::unspecified;
  std::string envid;                    ///< decoded
  BodyType body = BodyType::seven_bit;  ///< as MAIL said; what the octets really hold is looked at too
  bool smtputf8 = false;
  /// The message is these pieces in this order (added fields, then the message as received), with CRLF line ends unless
  /// `body` is binary_mime. No dots are stuffed.
  std::string_view head, content;
  std::shared_ptr<const void> owner;

  std::uint64_t octets() const { return head.size() + content.size(); }
};

/// Where in the dialogue a result was decided.
enum class AttemptStage : std::uint8_t { connect, greeting, hello, tls, auth, mail, rcpt, data, message };
std::string_view to_string(AttemptStage stage);

/// What became of one recipient at one next hop. Temporary and permanent are never confused: what the peer did not refuse
/// with a 5xx, and what is trouble of ours, is temporary.
struct RecipientResult {
  enum class Kind : std::uint8_t { delivered, temporary, permanent };
  Kind kind = Kind::temporary;
  AttemptStage stage = AttemptStage::connect;
  int code = 0;          ///< of the next hop's reply; 0: it never replied, the text is ours
  std::string enhanced;  ///< "5.1.1"; where the next hop gave none, the one that fits
  /// The next hop's last word, one line, printable UTF-8, bounded; or our own sentence when `code` is 0.
  std::string text;
  /// The connection was lost after the whole message had been sent and before its reply: it may have arrived. Trying again may
  /// make a second copy (RFC 5321 §4.2.5, RFC 1047).
  bool in_doubt = false;
  /// The next hop took over the duty to report about this recipient (it offered DSN, and the parameters were passed on).
  bool dsn_passed_on = false;
};

}  // namespace postern::smtp::client
