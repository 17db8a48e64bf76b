#include "gateway/smtp/client/envelope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

#include "filters/idn.h"
#include "gateway/smtp/address.h"
#include "gateway/smtp/client/opening.h"
#include "gateway/smtp/utf8.h"

namespace postern::smtp::client {
namespace {

using Kind = RecipientResult::Kind;

/// RFC 5321 §4.5.3.1.6, without the line end: what is longer is no text that DATA carries safely.
constexpr std::size_t kTextLineOctetsMax = 998;

bool wide(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x7f; });
}

/// An address as it goes into a path.
struct PathText {
  std::string text;
  bool needs_utf8 = false;
};

/// The address again through our own grammar: whatever a store or a manifest held, no blank, bracket or line end of it can become
/// a part of the command. RFC 6531 §3.2: a domain may go as A-labels; a local part cannot.
std::optional<PathText> path_text(std::string_view address, bool utf8_offered) {
  if (address.empty() || address == "postmaster") return PathText{std::string(address), false};
  auto mailbox = parse_mailbox(address, true);
  if (!mailbox) return std::nullopt;
  if (!mailbox->utf8) return PathText{mailbox->normal_form(), false};
  if (!utf8_offered && !wide(mailbox->local)) {
    if (auto ascii = filters::ascii_domain(mailbox->domain)) {
      mailbox->domain = std::move(*ascii);
      return PathText{mailbox->normal_form(), false};
    }
  }
  return PathText{mailbox->normal_form(), true};
}

RecipientResult permanent(AttemptStage stage, std::string enhanced, std::string text) {
  return local_result(Kind::permanent, stage, std::move(enhanced), std::move(text));
}

bool long_lines(std::string_view text) {
  while (text.size() > kTextLineOctetsMax) {
    const std::size_t end = text.substr(0, kTextLineOctetsMax + 2).find('\n');
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
  return false;
}

/// Holds what only BINARYMIME carries unharmed.
bool truly_binary(const OutboundMessage& message, const Survey& survey) {
  return message.body == BodyType::binary_mime &&
         (survey.bare_line_ending || survey.nul || long_lines(message.head) || long_lines(message.content));
}

std::string notify_value(std::uint8_t notify) {
  if ((notify & kNotifyNever) != 0) return "NEVER";
  std::string value;
  const auto add = [&](std::uint8_t flag, std::string_view word) {
    if ((notify & flag) == 0) return;
    if (!value.empty()) value.push_back(',');
    value.append(word);
  };
  add(kNotifySuccess, "SUCCESS");
  add(kNotifyFailure, "FAILURE");
  add(kNotifyDelay, "DELAY");
  return value;
}

EnvelopePlan::Recipient plan_recipient(const OutboundRecipient& recipient, const Capabilities& offered,
                                       bool smtputf8, bool utf8_offered) {
  EnvelopePlan::Recipient plan;
  const auto path = path_text(recipient.address, utf8_offered);
  if (!path) {
    plan.refusal = permanent(AttemptStage::rcpt, "5.1.3", "The recipient's address is none");
    return plan;
  }
  if (path->needs_utf8 && !smtputf8) {  // RFC 6531 §3.2
    plan.refusal = permanent(AttemptStage::rcpt, "5.6.7",
                             "The address is internationalized, and the server does not take such addresses");
    return plan;
  }
  plan.line = fmt::format("RCPT TO:<{}>", path->text);
  if (offered.dsn) {
    if (recipient.notify != kNotifyUnspecified) plan.line += " NOTIFY=" + notify_value(recipient.notify);
    if (!recipient.orcpt.empty()) plan.line += " ORCPT=" + orcpt_value(recipient.orcpt, smtputf8);
  }
  plan.line += "\r\n";
  return plan;
}

EnvelopePlan refusal(RecipientResult result) {
  EnvelopePlan plan;
  plan.refusal = std::move(result);
  return plan;
}

}  // namespace

std::string encode_xtext(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c > ' ' && c <= '~' && c != '+' && c != '=') {
      out.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(out), "+{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string orcpt_value(std::string_view stored, bool smtputf8) {
  const std::size_t semicolon = std::min(stored.find(';'), stored.size());
  const std::string_view type = stored.substr(0, semicolon);
  std::string_view address = stored.substr(std::min(stored.size(), semicolon + 1));
  std::string out = encode_xtext(type) + ";";
  if (type != "utf-8") return out + encode_xtext(address);
  // RFC 6533 §3: "\x{…}" for everything that is no plain printable character.
  while (!address.empty()) {
    const std::size_t octets = std::max<std::size_t>(1, utf8_sequence(address));
    const std::string_view piece = address.substr(0, octets);
    address.remove_prefix(octets);
    const auto first = static_cast<unsigned char>(piece.front());
    const bool plain =
        octets == 1 && first > ' ' && first <= '~' && first != '+' && first != '=' && first != '\\';
    if (plain || (octets > 1 && smtputf8)) {
      out.append(piece);
      continue;
    }
    std::uint32_t code_point = first;
    if (octets > 1) {
      code_point = first & (0xffU >> (octets + 1));
      for (const char c : piece.substr(1))
        code_point = code_point << 6 | (static_cast<unsigned char>(c) & 0x3fU);
    }
    fmt::format_to(std::back_inserter(out), "\\x{{{:02X}}}", code_point);
  }
  return out;
}

EnvelopePlan plan_envelope(const OutboundMessage& message, const Survey& survey, const Capabilities& offered,
                           bool convertible) {
  // RFC 1870 §6.1: a message over the announced maximum need not be tried.
  if (offered.octets_max && message.octets() > *offered.octets_max)
    return refusal(permanent(AttemptStage::mail, "5.3.4",
                             fmt::format("The message has {} octets, the server takes at most {}",
                                         message.octets(), *offered.octets_max)));

  const auto sender = path_text(message.mail_from, offered.smtputf8);
  if (!sender) return refusal(permanent(AttemptStage::mail, "5.1.7", "The sender's address is none"));

  // RFC 6531 §3.5, §3.6: only what needs it demands it. An undeclared 8-bit header is ordinary 8-bit content.
  const bool header_utf8 = message.smtputf8 && survey.eight_bit_header;
  if ((sender->needs_utf8 || header_utf8) && !offered.smtputf8)
    return refusal(permanent(AttemptStage::mail, "5.6.7",
                             "The message is internationalized, and the server does not take such mail"));
  const bool wide_recipient =
      std::ranges::any_of(message.recipients, [](const OutboundRecipient& one) { return wide(one.address); });
  const bool smtputf8 = offered.smtputf8 && (sender->needs_utf8 || header_utf8 || wide_recipient);

  EnvelopePlan plan;
  const bool binary = truly_binary(message, survey);
  const bool eight_bit = survey.eight_bit() || message.body != BodyType::seven_bit;
  plan.chunked = binary && offered.binary_mime;
  // RFC 6152 §3, RFC 3030 §3: convert, or return to the sender. Header fields in 8-bit have no other form.
  if (binary ? !offered.binary_mime : survey.eight_bit() && !offered.eight_bit_mime) {
    if (survey.eight_bit_header || !convertible)
      return refusal(permanent(AttemptStage::mail, "5.6.3",
                               binary
                                   ? "The message is binary, and the server does not take BINARYMIME"
                                   : "The message has 8-bit content, and the server does not take 8BITMIME"));
    plan.convert = true;
  }

  plan.mail_line = fmt::format("MAIL FROM:<{}>", sender->text);
  if (offered.size && !plan.convert) plan.mail_line += fmt::format(" SIZE={}", message.octets());
  if (plan.chunked) {
    plan.mail_line += " BODY=BINARYMIME";
  } else if (eight_bit && offered.eight_bit_mime && !plan.convert) {
    plan.mail_line += " BODY=8BITMIME";
  }
  if (smtputf8) plan.mail_line += " SMTPUTF8";
  if (offered.dsn) {
    if (message.ret != DsnReturn::unspecified)
      plan.mail_line += message.ret == DsnReturn::full ? " RET=FULL" : " RET=HDRS";
    if (!message.envid.empty()) plan.mail_line += " ENVID=" + encode_xtext(message.envid);
  }
  plan.mail_line += "\r\n";
  plan.recipients.reserve(message.recipients.size());
  for (const OutboundRecipient& recipient : message.recipients)
    plan.recipients.push_back(plan_recipient(recipient, offered, smtputf8, offered.smtputf8));
  return plan;
}

}  // namespace postern::smtp::client
