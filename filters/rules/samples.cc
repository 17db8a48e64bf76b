#include "filters/rules/samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "filters/message/content_field.h"

namespace postern::filters::rules {
namespace {

constexpr std::string_view kEnd = "\r\n";
constexpr std::string_view kMixed = "sample-mixed", kAlternative = "sample-alternative";

struct DefaultField {
  std::string_view name, value;
};
constexpr DefaultField kDefaults[] = {
    {"Received",
     "from mail.sender.example (mail.sender.example [192.0.2.10]) by mx.receiver.example; Mon, 6 Jan 2025 "
     "10:00:00 +0000"},
    {"From", "Robin Sample <robin@sender.example>"},
    {"To", "Kim Reader <kim@receiver.example>"},
    {"Subject", "A note"},
    {"Date", "Mon, 6 Jan 2025 10:00:00 +0000"},
    {"Message-ID", "<sample.1@sender.example>"},
    {"MIME-Version", "1.0"},
};
/// 6 January 2025, 10:00:05 UTC.
constexpr std::chrono::sys_seconds kArrival{std::chrono::seconds(1736157605)};

/// Calls take(key, value) for each "key=value" between blanks.
template <typename Take>
void each_pair(std::string_view text, Take take) {
  while (!text.empty()) {
    const std::size_t blank = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, blank);
    const std::size_t equal = word.find('=');
    if (equal != std::string_view::npos) take(word.substr(0, equal), word.substr(equal + 1));
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
}

class Maker {
 public:
  explicit Maker(const Sample& sample) {
    mail_.envelope.receiving_host = "mx.receiver.example";
    mail_.envelope.client_ip = Ip::parse("192.0.2.10").value_or(Ip());
    mail_.envelope.client_name = "mail.sender.example";
    mail_.envelope.helo = "mail.sender.example";
    mail_.envelope.protocol = "ESMTPS";
    mail_.envelope.tls.version = "TLSv1.3";
    mail_.envelope.mail_from = "robin@sender.example";
    mail_.envelope.recipients = {"kim@receiver.example"};
    mail_.envelope.received_at = kArrival;
    for (const auto& [kind, text] : sample.pieces) take(kind, text);
  }

  SampleMail run() {
    if (mail_.message.empty()) mail_.message = header() + body();
    return std::move(mail_);
  }

 private:
  void take(std::string_view kind, const std::string& text) {
    if (kind == "body") plain_ += text;
    if (kind == "html") html_ += text;
    if (kind == "header") fields_.push_back(text);
    if (kind == "attach") attach(text);
    if (kind == "envelope") each_pair(text, [this](auto key, auto value) { envelope(key, value); });
    if (kind == "auth")
      each_pair(text, [this](auto method, auto result) {
        mail_.others.authentication.push_back({.method = std::string(method), .result = std::string(result)});
      });
    if (kind == "message") mail_.message = text;
  }

  void envelope(std::string_view key, std::string_view value) {
    Envelope& envelope = mail_.envelope;
    if (key == "from") envelope.mail_from = std::string(value);
    if (key == "helo") envelope.helo = std::string(value);
    if (key == "name") envelope.client_name = std::string(value);
    if (key == "ip") envelope.client_ip = Ip::parse(value).value_or(Ip());
    if (key == "rcpt") envelope.recipients = {std::string(value)};
    if (key == "early") envelope.early_talker = value == "yes";
    if (key == "tls" && value == "no") envelope.tls = {};
  }

  /// "NAME|TYPE|OCTETS".
  void attach(std::string_view text) {
    const std::size_t first = std::min(text.find('|'), text.size());
    const std::size_t second = std::min(text.find('|', std::min(first + 1, text.size())), text.size());
    const std::string_view name = text.substr(0, first);
    const std::string_view type =
        first < text.size() ? text.substr(first + 1, second - first - 1) : "application/octet-stream";
    const std::string_view octets = second < text.size() ? text.substr(second + 1) : "data";
    attachments_ += fmt::format(
        "--{}{}Content-Type: {}{}Content-Transfer-Encoding: 8bit{}Content-Disposition: attachment; "
        "filename=\"{}\"{}{}{}{}",
        kMixed, kEnd, type, kEnd, kEnd, name, kEnd, kEnd, octets, kEnd);
  }

  bool has(std::string_view name) const {
    return std::ranges::any_of(fields_, [name](std::string_view field) {
      if (field.starts_with('-')) return same_word(field.substr(1), name);
      return same_word(field.substr(0, field.find(':')), name);
    });
  }

  std::string header() const {
    std::string out;
    for (const DefaultField& field : kDefaults)
      if (!has(field.name)) out += fmt::format("{}: {}{}", field.name, field.value, kEnd);
    for (const std::string& field : fields_)
      if (!field.starts_with('-')) out.append(field).append(kEnd);
    return out;
  }

  static std::string part(std::string_view type, std::string_view text) {
    return fmt::format("Content-Type: {}; charset=utf-8{}Content-Transfer-Encoding: 8bit{}{}{}{}", type, kEnd,
                       kEnd, kEnd, text, kEnd);
  }

  std::string text_part() const {
    if (html_.empty()) return part("text/plain", plain_);
    if (plain_.empty()) return part("text/html", html_);
    return fmt::format("Content-Type: multipart/alternative; boundary={}{}{}--{}{}{}--{}{}{}--{}--{}",
                       kAlternative, kEnd, kEnd, kAlternative, kEnd, part("text/plain", plain_), kAlternative,
                       kEnd, part("text/html", html_), kAlternative, kEnd);
  }

  std::string body() const {
    if (has("Content-Type")) return fmt::format("{}{}{}", kEnd, plain_, html_);
    if (attachments_.empty()) return text_part();
    return fmt::format("Content-Type: multipart/mixed; boundary={}{}{}--{}{}{}{}--{}--{}", kMixed, kEnd, kEnd,
                       kMixed, kEnd, text_part(), attachments_, kMixed, kEnd);
  }

  SampleMail mail_;
  std::string plain_, html_, attachments_;
  std::vector<std::string> fields_;
};

}  // namespace

SampleMail make_mail(const Sample& sample) {
  return Maker(sample).run();
}

std::vector<Problem> check_samples(const RuleSet& set) {
  std::vector<Problem> problems;
  for (std::size_t i = 0; i < set.rules().size(); ++i)
    for (const Sample& sample : set.rules()[i].samples) {
      const SampleMail mail = make_mail(sample);
      Analysis analysis = Analysis::of(mail.message);
      analysis.read_content();
      const auto scanned = set.scan(mail.envelope, analysis, *analysis.content());
      const bool found = set.evaluate(*scanned, mail.others)[i] != 0;
      if (found == sample.match) continue;
      problems.push_back(
          {.place = sample.place,
           .what = fmt::format("{} {} this", set.rules()[i].name, found ? "matches" : "does not match")});
    }
  return problems;
}

}  // namespace postern::filters::rules
