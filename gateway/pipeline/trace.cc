#include "gateway/pipeline/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "filters/authentication/results/field.h"

namespace postern::pipeline {
namespace {

constexpr std::size_t kLineOctets = 78;      // RFC 5322 §2.1.1: SHOULD be no more
constexpr std::size_t kHeloOctetsMax = 255;  // RFC 5321 §4.5.3.1.2
constexpr std::size_t kTestsOctetsMax =
    800;                       // of X-Spam-Status: a name longer than a line still stays below 998
constexpr int kStarsMax = 50;  // as SpamAssassin's
constexpr std::size_t kFrontOctetsExpected = 512;
constexpr std::string_view kContinuationNote =
    "X-Postern-Note: the message begins with a continuation line\r\n";

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && same_ignoring_case(text.substr(0, prefix.size()), prefix);
}

/// One folded field: words are put one behind the other, and a new line begins where the next would stick
/// out.
class FoldedField {
 public:
  FoldedField(std::string& out, std::string_view name) : out_(out), column_(name.size() + 1) {
    out_.append(name).append(1, ':');
  }
  FoldedField& add(std::string_view word) {
    const bool first = std::exchange(first_, false);
    if (!first && column_ + 1 + word.size() > kLineOctets) {
      out_.append("\r\n ");
      column_ = 1;
    } else {
      out_.push_back(' ');
      ++column_;
    }
    out_.append(word);
    column_ += word.size();
    return *this;
  }
  /// A clause: its keyword and value stay on one line.
  FoldedField& add(std::string_view keyword, std::string_view value) {
    return add(fmt::format("{} {}", keyword, value));
  }
  void end() { out_.append("\r\n"); }

 private:
  std::string& out_;
  std::size_t column_;
  bool first_ = true;
};

/// A name that came from outside as it may stand in a structured field: what is neither a domain's nor a
/// literal's octet becomes '?', an atom's character (RFC 5322 §3.2.3), so that nothing can end the clause or
/// the line.
std::string harmless_name(std::string_view name) {
  std::string out(name.substr(0, kHeloOctetsMax));
  for (char& c : out) {
    const bool fine =
        is_letter_or_digit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    if (!fine) c = '?';
  }
  // Brackets only around a whole literal.
  const bool literal = out.size() > 2 && out.front() == '[' && out.back() == ']';
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool bracket = out[i] == '[' || out[i] == ']';
    const bool edge = i == 0 || i + 1 == out.size();
    if ((bracket && !(literal && edge)) || (out[i] == ':' && !literal)) out[i] = '?';
  }
  return out.empty() ? "unknown" : out;
}

/// An address was parsed before it came here; that no control gets through is checked where it is written all
/// the same.
std::string harmless_address(std::string_view address) {
  std::string out;
  out.reserve(address.size() + 2);
  out.push_back('<');
  for (const char c : address) {
    const auto octet = static_cast<unsigned char>(c);
    out.push_back(octet < 0x20 || octet == 0x7f ? '?' : c);
  }
  out.push_back('>');
  return out;
}

/// As many decimals as it has (a verdict's score is rounded to a millionth), at least one: what is just below
/// a threshold must not look as if it had reached it.
std::string score_text(double score) {
  if (!std::isfinite(score)) return "0.0";
  std::string text = fmt::format("{:.6f}", score);
  while (text.back() == '0' && text[text.size() - 2] != '.') text.pop_back();
  return text == "-0.0" ? "0.0" : text;
}

bool is_spam(filters::Action action) {
  return action == filters::Action::tag || action == filters::Action::quarantine;
}

/// Whether results from outside claim to be ours (RFC 8601 §5), however oddly they are written.
bool claims_our_name(std::string_view value, std::string_view host) {
  std::string id = filters::results::claimed_authserv_id(value);
  std::erase_if(id,
                [](char c) { return c == '\r' || c == '\n'; });  // RFC 5322 §3.2.4: the fold is no content
  return same_ignoring_case(std::string_view(id).substr(0, id.find('/')), host);
}

void append_tests(FoldedField& field, const std::vector<filters::Finding>& findings) {
  std::string word = "tests=";
  std::size_t octets = 0;
  bool first = true;
  for (const filters::Finding& finding : findings) {
    octets += finding.name.size() + 1;
    if (octets > kTestsOctetsMax) break;
    if (!std::exchange(first, false)) {
      word.push_back(',');
      field.add(word);
      word.clear();
    }
    for (const char c : finding.name) word.push_back(is_letter_or_digit(c) || c == '_' ? c : '?');
  }
  field.add(first ? "tests=none" : word);
}

}  // namespace

std::string date_time(std::chrono::sys_seconds time) {
  static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{}, {} {} {:04} {:02}:{:02}:{:02} +0000", kDays[std::chrono::weekday(day).c_encoding()],
                     static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

/// RFC 5321 §4.4.
std::string received_field(const filters::Envelope& envelope) {
  std::string out;
  out.reserve(kFrontOctetsExpected);
  FoldedField field(out, "Received");
  field.add("from", harmless_name(envelope.helo));
  if (!envelope.client_ip.empty()) {  // TCP-info; a Unix socket has none
    const std::string literal = envelope.client_ip.literal();
    if (envelope.client_name.empty()) {
      field.add(fmt::format("({})", literal));
    } else {
      field.add(fmt::format("({} {})", harmless_name(envelope.client_name), literal));
    }
  }
  field.add("by", harmless_name(envelope.receiving_host)).add("(Postern)");
  field.add("with", envelope.protocol);
  if (envelope.tls.active())
    field.add(
        fmt::format("({} {})", harmless_name(envelope.tls.version), harmless_name(envelope.tls.cipher)));
  field.add("id", envelope.id);
  // RFC 5321 §7.2: with several recipients the clause would tell each of them of another.
  if (envelope.recipients.size() == 1) field.add("for", harmless_address(envelope.recipients.front()));
  // RFC 8314 §4.3: the registered name. OpenSSL spells only those of TLS 1.3 as the registry does.
  if (envelope.tls.cipher.starts_with("TLS_")) field.add("tls", harmless_name(envelope.tls.cipher));
  out.push_back(';');
  field.add(date_time(std::chrono::floor<std::chrono::seconds>(envelope.received_at)));
  field.end();
  return out;
}

std::string spam_fields(const filters::Verdict& verdict) {
  const bool spam = is_spam(verdict.action);
  std::string out;
  out.reserve(kFrontOctetsExpected / 2);
  if (spam) out.append("X-Spam-Flag: YES\r\n");
  const std::string score = score_text(verdict.score);
  out.append("X-Spam-Score: ").append(score).append("\r\n");
  const double stars = std::clamp(std::isfinite(verdict.score) ? verdict.score : 0.0, 0.0, double{kStarsMax});
  if (stars >= 1) out.append("X-Spam-Level: ").append(static_cast<std::size_t>(stars), '*').append("\r\n");
  FoldedField status(out, "X-Spam-Status");
  status.add(spam ? "Yes," : "No,");
  status.add("score=" + score).add("required=" + score_text(verdict.required));
  append_tests(status, verdict.findings);
  status.end();
  return out;
}

bool is_forged(const filters::HeaderField& field, std::string_view receiving_host) {
  const std::string_view name = field.name;
  if (name.size() < 6) return false;
  switch (lower(name.front())) {
    case 'r':
      return same_ignoring_case(name, "Return-Path");
    case 'x':
      return starts_with_ignoring_case(name, "X-Spam-") || starts_with_ignoring_case(name, "X-Spamd-") ||
             starts_with_ignoring_case(name, "X-Postern-");
    case 'a':
      return same_ignoring_case(name, "Authentication-Results") &&
             claims_our_name(field.value, receiving_host);
    default:
      return false;
  }
}

namespace {

/// A value of Received-SPF. What a header of ASCII cannot hold becomes '?'; nothing can end the string or the line.
std::string quoted_value(std::string_view value) {
  std::string out = "\"";
  for (const char c : value.substr(0, kHeloOctetsMax)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c < ' ' || c == 0x7f ? '?' : c);  // char is signed: 8-bit is < ' '
  }
  return out + "\"";
}

}  // namespace

std::string received_spf_field(const filters::Envelope& envelope, const filters::Verdict& verdict) {
  const auto spf = std::ranges::find(verdict.authentication, "spf", &filters::results::MethodResult::method);
  if (spf == verdict.authentication.end()) return {};
  const bool helo = envelope.mail_from.empty();  // RFC 7208 §2.4
  std::string out;
  FoldedField field(out, "Received-SPF");
  field.add(spf->result);
  const auto pair = [&field](std::string_view key, std::string_view value, bool last = false) {
    field.add(fmt::format("{}={}{}", key, quoted_value(value), last ? "" : ";"));
  };
  pair("identity", helo ? "helo" : "mailfrom");
  pair("client-ip", envelope.client_ip.text());
  pair("envelope-from", envelope.mail_from);
  pair("helo", envelope.helo);
  if (!spf->reason.empty()) pair("problem", spf->reason);
  pair("receiver", envelope.receiving_host, true);
  field.end();
  return out;
}

namespace {

/// The field with the tag in front of its text; the text as it came, folded behind the tag where the line would be too long.
void append_tagged_subject(std::string& out, std::string_view raw, std::string_view tag) {
  const std::size_t colon = raw.find(':');
  std::string_view rest = raw.substr(colon + 1);
  const std::size_t text = rest.find_first_not_of(" \t");
  const std::string_view shown = text == std::string_view::npos ? std::string_view() : rest.substr(text);
  if (shown.starts_with(tag)) {
    out.append(raw);
    return;
  }
  out.append(raw.substr(0, colon + 1)).append(1, ' ').append(tag);
  const std::size_t line = raw.find('\r');
  if (std::min(line, raw.size()) + tag.size() + 1 > kLineOctets && text != std::string_view::npos &&
      shown.front() != '\r' && shown.front() != '\n')
    out.append("\r\n");
  if (!rest.starts_with(' ') && !rest.starts_with('\t') && !rest.starts_with('\r')) out.push_back(' ');
  out.append(rest);
}

}  // namespace

TracedMessage put_trace_in_front(const filters::Envelope& envelope, const filters::Verdict* verdict,
                                 const filters::Analysis& analysis, bool received_spf,
                                 std::string_view subject_tag) {
  TracedMessage result{.body = analysis.message()};
  std::string& out = result.header;
  out.reserve(2 * kFrontOctetsExpected);
  out.append("Return-Path: ").append(harmless_address(envelope.mail_from)).append("\r\n");
  result.return_path_octets = out.size();
  if (verdict != nullptr) {
    out.append(spam_fields(*verdict));
    if (!verdict->authentication.empty())
      out.append(filters::results::write(
          {.authserv_id = envelope.receiving_host, .version = 1, .results = verdict->authentication}));
    if (received_spf) out.append(received_spf_field(envelope, *verdict));
  }
  out.append(received_field(envelope));
  const filters::HeaderField* subject = subject_tag.empty() ? nullptr : analysis.find("Subject");
  if (!subject_tag.empty() && subject == nullptr) out.append("Subject: ").append(subject_tag).append("\r\n");
  // A message that begins with a folded line would go on writing our last field.
  if (result.body.starts_with(' ') || result.body.starts_with('\t')) out.append(kContinuationNote);

  const std::string_view header = analysis.header();
  std::size_t done = 0;  // of the message's own header: copied, changed or taken out
  for (const filters::HeaderField& field : analysis.fields()) {
    const bool tagged = &field == subject;
    if (!tagged && !is_forged(field, envelope.receiving_host)) continue;
    const auto at = static_cast<std::size_t>(field.raw.data() - header.data());
    out.append(header.substr(done, at - done));
    if (tagged) append_tagged_subject(out, field.raw, subject_tag);
    done = at + field.raw.size();
  }
  if (done > 0) {
    out.append(header.substr(done));
    result.body = analysis.body();
  }
  return result;
}

}  // namespace postern::pipeline
