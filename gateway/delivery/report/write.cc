#include "gateway/delivery/report/write.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "filters/authentication/crypto/base64.h"
#include "gateway/delivery/report/date.h"
#include "gateway/delivery/report/reason.h"
#include "gateway/smtp/address.h"
#include "gateway/smtp/client/reply_reader.h"

namespace postern::delivery::report {
namespace {

using smtp::client::printable_line;

constexpr std::size_t kValueOctetsMax = 1000;                     ///< of a field that quotes a stranger
constexpr std::size_t kLineOctetsMax = 76;                        ///< where text and fields are folded
constexpr std::size_t kHeaderOctetsMax = std::size_t{32} * 1024;  ///< of a returned header

bool wide(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x7f; });
}

/// Appends `text` after what stands on the line already, folded between words; runs of blanks become one, so that no line is
/// empty. What has no blank stays long.
void append_folded(std::string& out, std::string_view text, std::size_t column, std::string_view fold) {
  bool first = true;
  while (!text.empty()) {
    const std::size_t blank = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, blank);
    text.remove_prefix(std::min(text.size(), blank + 1));
    if (word.empty()) continue;
    if (!first && column + 1 + word.size() > kLineOctetsMax) {
      out.append("\r\n").append(fold);
      column = fold.size();
    } else if (!first) {
      out.push_back(' ');
      ++column;
    }
    out.append(word);
    column += word.size();
    first = false;
  }
  out.append("\r\n");
}

/// A paragraph of the text for people.
void append_indented(std::string& out, std::string_view text) {
  constexpr std::string_view kIndent = "    ";
  out.append(kIndent);
  append_folded(out, text, kIndent.size(), kIndent);
}

/// RFC 2047 §4.1, for words of the manifest; whole characters in each piece.
std::string encoded_words(std::string_view text) {
  if (!wide(text)) return std::string(text);
  constexpr std::size_t kPieceOctets = 42;
  std::string out;
  while (!text.empty()) {
    std::size_t end = std::min(kPieceOctets, text.size());
    while (end < text.size() && end > 1 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    if (!out.empty()) out.push_back(' ');
    out.append("=?utf-8?B?").append(filters::crypto::encode_base64(text.substr(0, end))).append("?=");
    text.remove_prefix(end);
  }
  return out;
}

/// RFC 2045 §6.8.
std::string base64_lines(std::string_view octets) {
  const std::string encoded = filters::crypto::encode_base64(octets);
  std::string out;
  for (std::size_t at = 0; at < encoded.size(); at += kLineOctetsMax)
    out.append(encoded, at, kLineOctetsMax).append("\r\n");
  return out;
}

/// A field whose value may hold what others wrote: one printable line, folded.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  append_folded(out, printable_line(value, kValueOctetsMax), name.size() + 2, " ");
}

void append_paragraphs(std::string& out, std::string_view text) {
  for (bool more = true; more;) {
    const std::size_t end = text.find('\n');
    more = end != std::string_view::npos;
    append_folded(out, text.substr(0, end), 0, "");
    text.remove_prefix(more ? end + 1 : text.size());
  }
}

/// RFC 3464 §2.1.2, RFC 6533 §3: the address with its type.
std::string typed(std::string_view address) {
  return std::string(wide(address) ? "utf-8; " : "rfc822; ") + std::string(address);
}

std::string typed_orcpt(std::string_view orcpt) {
  const std::size_t semicolon = std::min(orcpt.find(';'), orcpt.size());
  return std::string(orcpt.substr(0, semicolon)) + "; " +
         std::string(orcpt.substr(std::min(orcpt.size(), semicolon + 1)));
}

/// RFC 3464 §2.3.4: the class of the status is that of the action.
std::string status_of(const Subject& subject) {
  std::string status = subject.result.enhanced;
  const char wanted_class = subject.action == Action::failed    ? '5'
                            : subject.action == Action::delayed ? '4'
                                                                : '2';
  if (status.size() < 5) status = "x.0.0";
  // A recipient that was given up after temporary failures has a status of class 4 (RFC 3464 §2.3.4 allows it with "failed").
  if (subject.action == Action::failed && status.front() == '4') return status;
  status.front() = wanted_class;
  return status;
}

std::string filled(std::string_view text, const Order& order) {
  std::chrono::sys_seconds until = order.now;
  for (const Subject& subject : order.subjects)
    if (subject.will_retry_until) until = std::max(until, *subject.will_retry_until);
  const std::pair<std::string_view, std::string> values[] = {
      {"{host}", order.reporting_host},        {"{sender}", order.sender},
      {"{arrival}", date_text(order.arrival)}, {"{until}", date_text(until)},
      {"{postmaster}", order.postmaster},
  };
  std::string out;
  while (!text.empty()) {
    const auto* const found =
        std::ranges::find_if(values, [&](const auto& v) { return text.starts_with(v.first); });
    if (found != std::end(values)) {
      out.append(printable_line(found->second, kValueOctetsMax));
      text.remove_prefix(found->first.size());
    } else {
      out.push_back(text.front());
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string_view header_of(std::string_view head, std::string_view content, std::string& storage) {
  if (head.starts_with("\r\n") || head.find("\r\n\r\n") != std::string_view::npos) {
    storage = head;
  } else {
    const std::string_view rest = content.substr(0, kHeaderOctetsMax);
    const std::size_t end = rest.starts_with("\r\n") ? 0 : rest.find("\r\n\r\n");
    storage = std::string(head) + std::string(rest.substr(0, end == 0                        ? 0
                                                             : end == std::string_view::npos ? end
                                                                                             : end + 2));
  }
  std::string_view header(storage);
  if (const std::size_t end = header.find("\r\n\r\n"); end != std::string_view::npos)
    header = header.substr(0, end + 2);
  if (header.size() > kHeaderOctetsMax) {
    const std::size_t line = header.rfind("\r\n", kHeaderOctetsMax);
    header = header.substr(0, line == std::string_view::npos ? 0 : line + 2);
  }
  return header;
}

/// A boundary that no line of the returned octets begins with.
std::string boundary_for(const Order& order, std::string_view returned) {
  for (unsigned number = 0;; ++number) {
    std::string boundary = fmt::format("report-{}-{}", printable_line(order.report_id, 40), number);
    std::ranges::replace_if(
        boundary,
        [](char c) {
          return !(c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
        },
        '-');
    if (returned.find("--" + boundary) == std::string_view::npos) return boundary;
  }
}

void append_human(std::string& out, const Order& order, Action action) {
  const Texts& texts = order.texts;
  append_paragraphs(out, filled(action == Action::failed    ? texts.failure
                                : action == Action::delayed ? texts.delay
                                                            : texts.success,
                                order));
  for (const Subject& subject : order.subjects) {
    out.append("\r\n");
    append_folded(out, "<" + printable_line(subject.address, kValueOctetsMax) + ">", 0, "");
    if (subject.action == Action::failed || subject.action == Action::delayed) {
      append_indented(out, std::string(sentence(reason_of(subject.result))));
      if (!subject.result.text.empty()) {
        const std::string who =
            subject.remote_host.empty() || subject.result.code == 0
                ? std::string("What happened: ")
                : fmt::format("The server {} said: {} ", printable_line(subject.remote_host, 255),
                              subject.result.code);
        append_indented(out, who + printable_line(subject.result.text, kValueOctetsMax));
      }
    } else if (subject.action == Action::relayed) {
      // RFC 3461 §6.2.5: the trail ends here.
      append_indented(out,
                      "Handed on to a server that does not send such reports; you may hear no more of it.");
    } else {
      append_indented(out, "Delivered.");
    }
  }
  out.append("\r\n");
  append_paragraphs(out, filled(texts.closing, order));
}

void append_status(std::string& out, const Order& order) {
  append_field(out, "Reporting-MTA", "dns; " + order.reporting_host);
  if (!order.envid.empty()) append_field(out, "Original-Envelope-Id", order.envid);
  append_field(out, "Arrival-Date", date_text(order.arrival));
  for (const Subject& subject : order.subjects) {
    out.append("\r\n");
    if (!subject.orcpt.empty()) append_field(out, "Original-Recipient", typed_orcpt(subject.orcpt));
    append_field(out, "Final-Recipient", typed(subject.address));
    append_field(out, "Action", to_string(subject.action));
    append_field(out, "Status", status_of(subject));
    if (!subject.remote_host.empty()) append_field(out, "Remote-MTA", "dns; " + subject.remote_host);
    const auto& result = subject.result;
    if (result.code != 0) {
      append_field(out, "Diagnostic-Code",
                   fmt::format("smtp; {} {} {}", result.code, result.enhanced, result.text));
    } else if (!result.text.empty()) {
      append_field(out, "Diagnostic-Code", "x-postern; " + result.text);
    }
    if (subject.last_attempt) append_field(out, "Last-Attempt-Date", date_text(*subject.last_attempt));
    if (subject.will_retry_until && subject.action == Action::delayed)
      append_field(out, "Will-Retry-Until", date_text(*subject.will_retry_until));
  }
}

std::string_view encoding_of(std::string_view part) {
  return wide(part) ? "8bit" : "7bit";
}

}  // namespace

std::string_view to_string(Action action) {
  switch (action) {
    case Action::failed:
      return "failed";
    case Action::delayed:
      return "delayed";
    case Action::delivered:
      return "delivered";
    case Action::relayed:
      return "relayed";
    case Action::expanded:
      break;
  }
  return "expanded";
}

bool wanted(std::string_view sender, std::uint8_t notify, Action action) {
  if (sender.empty() || (notify & smtp::kNotifyNever) != 0) return false;  // RFC 5321 §6.1
  const bool unspecified = notify == smtp::kNotifyUnspecified;
  switch (action) {
    case Action::failed:
      return unspecified || (notify & smtp::kNotifyFailure) != 0;
    case Action::delayed:  // RFC 3461 §4.1: without NOTIFY the server may tell of delays
      return unspecified || (notify & smtp::kNotifyDelay) != 0;
    case Action::delivered:
    case Action::relayed:
    case Action::expanded:
      break;
  }
  return (notify & smtp::kNotifySuccess) != 0;
}

std::optional<Written> write(const Order& order) {
  if (order.subjects.empty() || order.sender.empty() || !smtp::parse_mailbox(order.sender, true))
    return std::nullopt;
  const Action action = order.subjects.front().action;
  const bool failed = action == Action::failed;

  // RFC 3461 §4.3: RET=FULL is about failures; every other report returns the header only.
  const std::size_t octets = order.head.size() + order.content.size();
  const bool full = failed && order.ret != smtp::DsnReturn::headers && octets <= order.returned_octets_max;
  std::string returned;
  if (full) {
    returned = std::string(order.head) + std::string(order.content);
  } else {
    std::string storage;
    returned = header_of(order.head, order.content, storage);
  }
  if (!returned.ends_with("\r\n")) returned.append("\r\n");

  Written written;
  const auto internationalized = [](const Subject& one) { return wide(one.address) || wide(one.orcpt); };
  written.smtputf8 = wide(order.sender) || std::ranges::any_of(order.subjects, internationalized);

  std::string human, status;
  append_human(human, order, action);
  append_status(status, order);
  if (!written.smtputf8) {  // RFC 3464 §2.1: ASCII
    std::ranges::replace_if(status, [](char c) { return static_cast<unsigned char>(c) > 0x7f; }, '?');
  }
  const std::string boundary = boundary_for(order, returned);
  written.eight_bit = wide(status) || wide(returned);

  std::string& out = written.message;
  const Texts& texts = order.texts;
  append_field(out, "From", fmt::format("Mail Delivery System <MAILER-DAEMON@{}>", order.reporting_host));
  append_field(out, "To", fmt::format("<{}>", order.sender));
  const std::string& subject = failed                      ? texts.failure_subject
                               : action == Action::delayed ? texts.delay_subject
                                                           : texts.success_subject;
  append_field(out, "Subject", encoded_words(printable_line(subject, kValueOctetsMax)));
  append_field(out, "Date", date_text(order.now));
  append_field(out, "Message-ID", fmt::format("<report.{}@{}>", order.report_id, order.reporting_host));
  append_field(out, "Auto-Submitted", "auto-replied");  // RFC 3834 §5
  append_field(out, "MIME-Version", "1.0");
  out.append("Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"")
      .append(boundary)
      .append("\"\r\n");
  if (written.eight_bit) out.append("Content-Transfer-Encoding: 8bit\r\n");
  out.append("\r\n");

  const auto part = [&](std::string_view type, std::string_view encoding, std::string_view content) {
    out.append("--").append(boundary).append("\r\nContent-Type: ").append(type);
    out.append("\r\nContent-Transfer-Encoding: ").append(encoding).append("\r\n\r\n");
    out.append(content);
    out.append("\r\n");
  };
  if (wide(human)) {  // the text alone must not make the report one that some servers cannot take
    part("text/plain; charset=utf-8", "base64", base64_lines(human));
  } else {
    part("text/plain; charset=us-ascii", "7bit", human);
  }
  part(written.smtputf8 ? "message/global-delivery-status" : "message/delivery-status", encoding_of(status),
       status);  // RFC 6533 §4
  if (full) {
    part(written.smtputf8 ? "message/global" : "message/rfc822", encoding_of(returned), returned);
  } else {
    part(written.smtputf8 ? "message/global-headers" : "text/rfc822-headers", encoding_of(returned),
         returned);
  }
  out.append("--").append(boundary).append("--\r\n");
  return written;
}

}  // namespace postern::delivery::report
