#include "filters/verdict.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace postern::filters {
namespace {

/// The length of the well-formed UTF-8 character at the start of `text`, 0 if there is none (RFC 3629 §4).
std::size_t character_octets(std::string_view text) {
  const auto at = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = at(0);
  if (first < 0x80) return 1;
  std::size_t size = 0;
  std::uint8_t second_min = 0x80;
  std::uint8_t second_max = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    size = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    size = 3;
    if (first == 0xe0) second_min = 0xa0;  // shorter forms exist
    if (first == 0xed) second_max = 0x9f;  // surrogates
  } else if (first >= 0xf0 && first <= 0xf4) {
    size = 4;
    if (first == 0xf0) second_min = 0x90;
    if (first == 0xf4) second_max = 0x8f;  // above U+10FFFF
  }
  if (size == 0 || text.size() < size || at(1) < second_min || at(1) > second_max) return 0;
  for (std::size_t i = 2; i < size; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  return size;
}

/// RFC 8259 §7. DEL is escaped as well: verdicts are looked at on terminals.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t size = character_octets(text);
    const char c = text.front();
    if (size == 0) {
      out += "\\ufffd";
    } else if (size > 1) {
      out += text.substr(0, size);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  out += '"';
}

void append_number(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += "null";  // JSON has no word for it
  } else {
    fmt::format_to(std::back_inserter(out), "{}", number);
  }
}

/// ,"key":"text"
void append_member(std::string& out, std::string_view key, std::string_view text) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":", key);
  append_quoted(out, text);
}

void append_finding(std::string& out, const Finding& finding) {
  out += "{\"name\":";
  append_quoted(out, finding.name);
  out += ",\"score\":";
  append_number(out, finding.score);
  append_member(out, "evidence", finding.evidence);
  out += '}';
}

void append_refusal(std::string& out, const Refusal& refusal) {
  fmt::format_to(std::back_inserter(out), ",\"refusal\":{{\"code\":{}", refusal.code);
  append_member(out, "enhanced", refusal.enhanced);
  append_member(out, "text", refusal.text);
  out += '}';
}

void append_method(std::string& out, const results::MethodResult& method) {
  out += "{\"method\":";
  append_quoted(out, method.method);
  append_member(out, "result", method.result);
  if (!method.reason.empty()) append_member(out, "reason", method.reason);
  if (!method.comment.empty()) append_member(out, "comment", method.comment);
  out += ",\"properties\":{";
  for (std::size_t i = 0; i < method.properties.size(); ++i) {
    if (i > 0) out += ',';
    append_quoted(out, method.properties[i].first);
    out += ':';
    append_quoted(out, method.properties[i].second);
  }
  out += "}}";
}

void append_disposition(std::string& out, const Disposition& disposition) {
  out += "{\"recipient\":";
  append_quoted(out, disposition.recipient);
  if (!disposition.profile.empty()) append_member(out, "profile", disposition.profile);
  append_member(out, "action", to_string(disposition.action));
  out += ",\"required\":";
  append_number(out, disposition.required);
  append_member(out, "reason", disposition.reason);
  if (disposition.refusal.code != 0) append_refusal(out, disposition.refusal);
  out += '}';
}

}  // namespace

std::string_view to_string(Action action) {
  switch (action) {
    case Action::accept:
      return "accept";
    case Action::tag:
      return "tag";
    case Action::quarantine:
      return "quarantine";
    case Action::discard:
      return "discard";
    case Action::defer:
      return "defer";
    case Action::reject:
      return "reject";
  }
  return "unknown";
}

std::string to_json(const Verdict& verdict) {
  std::string out = "{\"action\":";
  append_quoted(out, to_string(verdict.action));
  out += ",\"score\":";
  append_number(out, verdict.score);
  out += ",\"required\":";
  append_number(out, verdict.required);
  append_member(out, "reason", verdict.reason);
  if (verdict.refusal.code != 0) append_refusal(out, verdict.refusal);
  out += ",\"findings\":[";
  for (std::size_t i = 0; i < verdict.findings.size(); ++i) {
    if (i > 0) out += ',';
    append_finding(out, verdict.findings[i]);
  }
  out += "],\"incomplete\":[";
  for (std::size_t i = 0; i < verdict.incomplete.size(); ++i) {
    if (i > 0) out += ',';
    append_quoted(out, verdict.incomplete[i]);
  }
  out += ']';
  for (std::size_t i = 0; i < verdict.authentication.size(); ++i) {
    out += i > 0 ? "," : ",\"authentication\":[";
    append_method(out, verdict.authentication[i]);
  }
  if (!verdict.authentication.empty()) out += ']';
  for (std::size_t i = 0; i < verdict.dispositions.size(); ++i) {
    out += i > 0 ? "," : ",\"dispositions\":[";
    append_disposition(out, verdict.dispositions[i]);
  }
  out += verdict.dispositions.empty() ? "}" : "]}";
  return out;
}

}  // namespace postern::filters
