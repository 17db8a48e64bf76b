#include "gateway/delivery/report/read.h"

#include <algorithm>
#include <utility>

#include "filters/authentication/crypto/base64.h"
#include "filters/message/analysis.h"
#include "filters/message/content_field.h"
#include "filters/message/mime.h"
#include "gateway/smtp/client/reply_reader.h"

namespace postern::delivery::report {
namespace {

using filters::Analysis;
using filters::same_word;
using smtp::client::printable_line;

constexpr std::size_t kValueOctetsMax = 1000;
constexpr std::size_t kStatusOctetsMax = std::size_t{1} << 20;  ///< of the machine's part

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

/// "rfc822; address" → "address".
std::string without_type(std::string_view value) {
  const std::size_t semicolon = value.find(';');
  if (semicolon != std::string_view::npos) value.remove_prefix(semicolon + 1);
  return std::string(trimmed(value));
}

std::optional<Action> action_of(std::string_view word) {
  for (const Action action :
       {Action::failed, Action::delayed, Action::delivered, Action::relayed, Action::expanded}) {
    if (same_word(word, to_string(action))) return action;
  }
  return std::nullopt;
}

/// One field or one line of the status part.
struct Line {
  enum class Kind : std::uint8_t { end, blank, field, junk } kind = Kind::end;
  std::string_view name;
  std::string value;  ///< unfolded
};

std::string_view take_raw_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Line take_line(std::string_view& text) {
  Line line;
  if (text.empty()) return line;
  const std::string_view first = take_raw_line(text);
  if (trimmed(first).empty()) {
    line.kind = Line::Kind::blank;
    return line;
  }
  std::string value;
  const std::size_t colon = first.find(':');
  line.kind = colon == std::string_view::npos ? Line::Kind::junk : Line::Kind::field;
  line.name = trimmed(first.substr(0, colon));
  if (line.kind == Line::Kind::field) value = trimmed(first.substr(colon + 1));
  while (text.starts_with(' ') || text.starts_with('\t')) {
    const std::string_view more = trimmed(take_raw_line(text));
    if (value.size() < kValueOctetsMax) value.append(1, ' ').append(more);
  }
  line.value = printable_line(value, kValueOctetsMax);
  return line;
}

/// Fields of one group go here; a field that the group has already, where only a recipient can begin anew, opens the next: some
/// leave out the blank line between recipients.
class StatusReader {
 public:
  explicit StatusReader(ReadReport& out) : out_(out) {}

  void blank() { open_ = false; }
  void field(std::string_view name, const std::string& value) {
    if (same_word(name, "Reporting-MTA")) out_.reporting_mta = without_type(value);
    if (same_word(name, "Original-Envelope-Id")) out_.envid = value;
    if (same_word(name, "Original-Recipient")) subject(&ReadSubject::original_recipient, without_type(value));
    if (same_word(name, "Final-Recipient")) subject(&ReadSubject::final_recipient, without_type(value));
    if (same_word(name, "Remote-MTA")) subject(&ReadSubject::remote_mta, without_type(value));
    if (same_word(name, "Diagnostic-Code")) subject(&ReadSubject::diagnostic, value);
    if (same_word(name, "Status")) {
      const std::string_view code = smtp::client::leading_enhanced_code(value);
      if (!code.empty()) subject(&ReadSubject::status, std::string(code));
    }
    if (same_word(name, "Action")) {
      if (ReadSubject* now = current(false)) now->action = action_of(value.substr(0, value.find(' ')));
    }
  }

 private:
  ReadSubject* current(bool anew) {
    if (!open_ || anew) {
      if (out_.subjects.size() == kSubjectsMax) return nullptr;
      out_.subjects.emplace_back();
      open_ = true;
    }
    return &out_.subjects.back();
  }
  void subject(std::string ReadSubject::* member, std::string value) {
    ReadSubject* now = current(false);
    if (now != nullptr && !(now->*member).empty()) now = current(true);
    if (now != nullptr) now->*member = std::move(value);
  }

  ReadReport& out_;
  bool open_ = false;
};

void read_status(std::string_view text, ReadReport& out) {
  StatusReader reader(out);
  bool base64 = false;
  text = text.substr(0, kStatusOctetsMax);
  for (;;) {
    // A relay that rewrites parts may have encoded what follows the first group.
    if (base64 && !text.starts_with("\r\n") && !text.starts_with('\n') &&
        text.substr(0, text.find('\n')).find(':') == std::string_view::npos) {
      if (const auto decoded = filters::crypto::decode_base64(text)) {
        std::string_view rest(*decoded);
        for (Line line = take_line(rest); line.kind != Line::Kind::end; line = take_line(rest)) {
          if (line.kind == Line::Kind::blank) reader.blank();
          if (line.kind == Line::Kind::field) reader.field(line.name, line.value);
        }
      }
      return;
    }
    const Line line = take_line(text);
    if (line.kind == Line::Kind::end) return;
    if (line.kind == Line::Kind::blank) reader.blank();
    if (line.kind != Line::Kind::field) continue;
    if (same_word(line.name, "Content-Transfer-Encoding") && same_word(line.value, "base64")) base64 = true;
    reader.field(line.name, line.value);
  }
}

struct Parsed {
  Analysis analysis;
  filters::StructuredField type;
};

Parsed parse(std::string_view message) {
  Parsed parsed{.analysis = Analysis::of(message), .type = {}};
  if (const auto* field = parsed.analysis.find("Content-Type"))
    parsed.type = filters::parse_structured_field(field->value);
  return parsed;
}

Kind kind_of(const filters::StructuredField& type) {
  if (type.value != "multipart/report") return Kind::none;
  const auto* parameter = type.find("report-type");
  if (parameter == nullptr) return Kind::none;
  if (same_word(parameter->value, "delivery-status") || same_word(parameter->value, "global-delivery-status"))
    return Kind::delivery_status;
  if (same_word(parameter->value, "disposition-notification")) return Kind::disposition_notification;
  return same_word(parameter->value, "feedback-report") ? Kind::feedback : Kind::none;
}

void read_original(std::string_view text, ReadReport& out) {
  const Analysis original = Analysis::of(text);
  if (const auto* field = original.find("Message-ID"))
    out.original_message_id = printable_line(trimmed(Analysis::unfolded(field->value)), kValueOctetsMax);
}

}  // namespace

Kind kind_of(std::string_view message) {
  return kind_of(parse(message).type);
}

std::optional<ReadReport> read(std::string_view message) {
  const Parsed parsed = parse(message);
  if (kind_of(parsed.type) != Kind::delivery_status) return std::nullopt;
  const filters::Mime tree = filters::Mime::of(parsed.analysis.fields(), parsed.analysis.body());
  ReadReport report;
  bool found = false;
  for (const filters::Entity& entity : tree.entities()) {
    if (!found &&
        (entity.type == "message/delivery-status" || entity.type == "message/global-delivery-status")) {
      std::string_view text = entity.body;
      std::optional<std::string> decoded;
      if (entity.encoding == "base64") decoded = filters::crypto::decode_base64(text);
      read_status(decoded ? std::string_view(*decoded) : text, report);
      found = true;
    } else if (found && report.original_message_id.empty() &&
               (entity.type == "message/rfc822" || entity.type == "text/rfc822-headers" ||
                entity.type == "message/global" || entity.type == "message/global-headers")) {
      read_original(entity.body, report);
    }
  }
  if (!found) return std::nullopt;
  return report;
}

}  // namespace postern::delivery::report
