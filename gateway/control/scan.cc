#include "gateway/control/scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/smtp/address.h"

namespace postern::control {
namespace {

std::expected<std::string, std::string> normal_form(std::string_view name, std::string_view text) {
  const auto mailbox = smtp::parse_mailbox(text, true);
  if (!mailbox)
    return std::unexpected(fmt::format("{}: \"{}\" is no address: at character {}: {}", name, text,
                                       mailbox.error().position + 1, mailbox.error().rule));
  return mailbox->normal_form();
}

}  // namespace

std::expected<filters::Envelope, std::string> scan_envelope(const ScanParameters& parameters,
                                                            std::string_view hostname, reactor::UtcTime now) {
  filters::Envelope envelope;
  envelope.receiving_host = hostname;
  envelope.protocol = "ESMTP";
  envelope.helo = parameters.helo;
  envelope.received_at = now;
  if (!parameters.ip.empty()) {
    const auto ip = filters::Ip::parse(parameters.ip);
    if (!ip) return std::unexpected(fmt::format("ip: \"{}\" is no IP address", parameters.ip));
    envelope.client_ip = *ip;
  }
  if (!parameters.mail_from.empty() && parameters.mail_from != "<>") {
    auto sender = normal_form("mail-from", parameters.mail_from);
    if (!sender) return std::unexpected(std::move(sender.error()));
    envelope.mail_from = std::move(*sender);
  }
  for (const std::string& text : parameters.rcpt) {
    auto recipient = normal_form("rcpt", text);
    if (!recipient) return std::unexpected(std::move(recipient.error()));
    envelope.recipients.push_back(std::move(*recipient));
  }
  const auto utf8 = [](std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > 0x7f; });
  };
  envelope.smtputf8 =
      utf8(envelope.mail_from) || std::any_of(envelope.recipients.begin(), envelope.recipients.end(), utf8);
  return envelope;
}

std::string as_received(std::string message) {
  if (message.find('\r') != std::string::npos) return message;
  const auto lines = static_cast<std::size_t>(std::count(message.begin(), message.end(), '\n'));
  if (lines == 0) return message;
  std::string out;
  out.reserve(message.size() + lines);
  for (const char c : message) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

std::expected<std::string, std::string> mailbox_key(std::string_view address) {
  return normal_form("address", address);
}

}  // namespace postern::control
