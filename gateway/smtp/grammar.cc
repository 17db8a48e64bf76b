// Command lines, and the arguments of all commands but MAIL and RCPT, which are in parameters.cc.
#include "gateway/smtp/grammar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace postern::smtp {
namespace {

constexpr std::string_view kBlanks = " \t";
/// EHLO's name, and each value of XCLIENT.
constexpr std::size_t kNameOctetsMax = 255;

struct VerbName {
  std::string_view name;
  Verb verb;
};
/// The frequent ones first.
constexpr VerbName kVerbs[] = {
    {"MAIL", Verb::mail}, {"RCPT", Verb::rcpt}, {"DATA", Verb::data},         {"EHLO", Verb::ehlo},
    {"QUIT", Verb::quit}, {"BDAT", Verb::bdat}, {"RSET", Verb::rset},         {"NOOP", Verb::noop},
    {"HELO", Verb::helo}, {"LHLO", Verb::lhlo}, {"STARTTLS", Verb::starttls}, {"XCLIENT", Verb::xclient},
    {"AUTH", Verb::auth}, {"HELP", Verb::help}, {"VRFY", Verb::vrfy},         {"EXPN", Verb::expn},
    {"ETRN", Verb::etrn}, {"TURN", Verb::turn},
};

/// RFC 9110 §9.3, RFC 5789, RFC 4918; PRI begins the preface of HTTP/2 (RFC 9113 §3.4). And what stands in
/// the lines below a request.
constexpr std::string_view kHttpWords[] = {
    "GET",      "POST",  "HEAD", "PUT",   "DELETE",  "OPTIONS",     "CONNECT",  "TRACE",   "PATCH",
    "PROPFIND", "MKCOL", "PRI",  "HOST:", "ACCEPT:", "USER-AGENT:", "REFERER:", "COOKIE:",
};
constexpr char kTlsHandshakeRecord = '\x16';  // RFC 8446 §5.1

constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
constexpr bool is_graphic(char c) {
  return c > ' ' && c < '\x7f';
}

bool same_word(std::string_view word, std::string_view upper_case) {
  return word.size() == upper_case.size() && std::ranges::equal(word, upper_case, {}, upper);
}

Verb verb_of(std::string_view word) {
  for (const VerbName& known : kVerbs) {
    if (same_word(word, known.name)) return known.verb;
  }
  return Verb::unknown;
}

bool is_foreign(std::string_view word) {
  if (word.starts_with(kTlsHandshakeRecord) || word.starts_with("SSH-")) return true;
  return std::ranges::any_of(kHttpWords, [&](std::string_view known) { return same_word(word, known); });
}

std::string_view without_blanks_before(std::string_view text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBlanks)));
  return text;
}

/// Takes the first word and the blanks behind it off `text`.
std::string_view take_word(std::string_view& text) {
  const auto* const end = std::ranges::find_if(text, is_blank);
  const std::string_view word = text.substr(0, static_cast<std::size_t>(end - text.data()));
  text = without_blanks_before(text.substr(word.size()));
  return word;
}

std::unexpected<Reply> syntax_error(std::string_view text) {
  return std::unexpected(Reply{.code = 501, .enhanced = "5.5.4", .text = std::string(text)});
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameOctetsMax && std::ranges::all_of(text, is_graphic);
}

constexpr std::string_view kXclientAttributes[] = {"NAME", "ADDR", "PORT", "PROTO", "HELO"};

}  // namespace

std::string_view to_string(Verb verb) {
  for (const VerbName& known : kVerbs) {
    if (known.verb == verb) return known.name;
  }
  return "unknown";
}

CommandLine split_command(std::string_view line) {
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  CommandLine command;
  command.word = take_word(line);
  command.argument = line;
  command.verb = verb_of(command.word);
  command.foreign_protocol = command.verb == Verb::unknown && is_foreign(command.word);
  return command;
}

std::expected<BdatCommand, Reply> parse_bdat(std::string_view argument) {
  const std::string_view count = take_word(argument);
  BdatCommand command;
  const auto [end, problem] = std::from_chars(count.data(), count.data() + count.size(), command.octets);
  if (problem == std::errc::result_out_of_range) return syntax_error("The count of BDAT is too large");
  if (problem != std::errc{} || end != count.data() + count.size())
    return syntax_error("BDAT needs a count of octets");
  command.last = same_word(argument, "LAST");
  if (!argument.empty() && !command.last) return syntax_error("Only LAST may follow the count of BDAT");
  return command;
}

std::expected<std::string, Reply> parse_helo(std::string_view argument) {
  if (!is_name(argument)) return syntax_error("Expected one name of 1 to 255 printable characters");
  return std::string(argument);
}

std::expected<XclientCommand, Reply> parse_xclient(std::string_view argument) {
  if (argument.empty()) return syntax_error("XCLIENT needs an attribute");
  XclientCommand command;
  while (!argument.empty()) {
    const std::string_view word = take_word(argument);
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return syntax_error("Expected NAME=value");
    const std::string_view name = word.substr(0, equals);
    const auto* const known =
        std::ranges::find_if(kXclientAttributes, [&](std::string_view a) { return same_word(name, a); });
    if (known == std::end(kXclientAttributes)) return syntax_error("Unknown attribute of XCLIENT");
    if (std::ranges::any_of(command.attributes, [&](const auto& seen) { return seen.first == *known; }))
      return syntax_error("An attribute of XCLIENT is repeated");
    std::string value;
    if (!decode_xtext(word.substr(equals + 1), value) || !is_name(value))
      return syntax_error("Bad value of XCLIENT");
    if (*known == "PROTO" && !same_word(value, "SMTP") && !same_word(value, "ESMTP"))
      return syntax_error("PROTO is SMTP or ESMTP");
    command.attributes.emplace_back(*known, std::move(value));
  }
  return command;
}

}  // namespace postern::smtp
