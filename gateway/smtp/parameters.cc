// MAIL and RCPT: the path, then the parameters of the extensions. RFC 5321 §4.1.1.2, §4.1.1.3 and §4.1.1.11;
// the section of each parameter stands beside it.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include "gateway/smtp/grammar.h"
#include "gateway/smtp/utf8.h"

namespace postern::smtp {
namespace {

constexpr std::string_view kBlanks = " \t";
/// RFC 1870 §4: 1*20DIGIT.
constexpr std::size_t kSizeDigitsMax = 20;
/// RFC 3461 §4.4 and §4.2, both of the encoded form.
constexpr std::size_t kEnvidOctetsMax = 100;
constexpr std::size_t kOrcptOctetsMax = 500;

constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool is_let_dig(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (upper(c) >= 'A' && upper(c) <= 'F') return upper(c) - 'A' + 10;
  return -1;
}
/// Graphic characters and the blank.
bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool same_word(std::string_view word, std::string_view upper_case) {
  return word.size() == upper_case.size() && std::ranges::equal(word, upper_case, {}, upper);
}

Reply bad_parameter(std::string_view text) {
  return {.code = 501, .enhanced = "5.5.4", .text = std::string(text)};
}
Reply unknown_parameter(std::string_view text) {
  return {.code = 555, .enhanced = "5.5.4", .text = std::string(text)};
}
/// RFC 6531 §3.5 names code and enhanced code.
Reply utf8_unannounced(std::string_view whose) {
  return {.code = 553,
          .enhanced = "5.6.7",
          .text = fmt::format("The {} address is UTF-8, MAIL needs SMTPUTF8", whose)};
}

struct Parameter {
  std::string_view keyword;
  std::optional<std::string_view> value;
};

/// esmtp-param of §4.1.2; RFC 6531 §3.3 lets values be UTF-8, which is left to whoever reads the value.
std::optional<Parameter> parse_parameter(std::string_view word) {
  const std::size_t equals = word.find('=');
  Parameter parameter{.keyword = word.substr(0, equals)};
  if (equals != std::string_view::npos) {
    parameter.value = word.substr(equals + 1);
    const bool clean = std::ranges::all_of(*parameter.value, [](char c) {
      return static_cast<unsigned char>(c) > 0x7f || (c > ' ' && c <= '~' && c != '=');
    });
    if (parameter.value->empty() || !clean) return std::nullopt;
  }
  const std::string_view keyword = parameter.keyword;
  if (keyword.empty() || !is_let_dig(keyword.front())) return std::nullopt;
  if (!std::ranges::all_of(keyword, [](char c) { return is_let_dig(c) || c == '-'; })) return std::nullopt;
  return parameter;
}

/// Splits at the blanks and gives each parameter to `take`, which returns the reply that refuses it, if any.
template <typename Take>
std::optional<Reply> each_parameter(std::string_view text, bool extended, Take take) {
  if (!text.empty() && kBlanks.find(text.front()) == std::string_view::npos)
    return bad_parameter("Expected a blank after the path");
  for (;;) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBlanks)));
    if (text.empty()) return std::nullopt;
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    text.remove_prefix(word.size());
    const auto parameter = parse_parameter(word);
    if (!parameter) return bad_parameter("Expected KEYWORD or KEYWORD=value after the path");
    if (!extended) return unknown_parameter("Parameters need EHLO");  // §4.1.1.11: HELO promised none
    if (auto refusal = take(*parameter)) return refusal;
  }
}

/// True the second time: no parameter may stand twice (the texts of the extensions allow one each).
bool repeated(bool& seen) {
  return std::exchange(seen, true);
}

/// The prefix up to the path: "FROM:" or "TO:". Blanks behind the colon are borne, though §3.3 forbids them.
std::optional<std::string_view> after_prefix(std::string_view argument, std::string_view prefix) {
  if (!same_word(argument.substr(0, prefix.size()), prefix)) return std::nullopt;
  argument.remove_prefix(prefix.size());
  argument.remove_prefix(std::min(argument.size(), argument.find_first_not_of(kBlanks)));
  return argument;
}

/// RFC 1870 §4 and §6.1.
std::optional<Reply> take_size(std::string_view value, std::uint64_t octets_max, std::uint64_t& out) {
  const bool digits = std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
  if (value.empty() || value.size() > kSizeDigitsMax || !digits)
    return bad_parameter("SIZE takes 1 to 20 digits");
  const auto result = std::from_chars(value.data(), value.data() + value.size(), out);
  if (result.ec == std::errc{} && out <= octets_max) return std::nullopt;
  return Reply{
      .code = 552, .enhanced = "5.3.4", .text = fmt::format("Messages may have {} octets", octets_max)};
}

/// RFC 6152 §2, RFC 3030 §3.
std::optional<Reply> take_body(std::string_view value, BodyType& out) {
  if (same_word(value, "7BIT")) {
    out = BodyType::seven_bit;
  } else if (same_word(value, "8BITMIME")) {
    out = BodyType::eight_bit_mime;
  } else if (same_word(value, "BINARYMIME")) {
    out = BodyType::binary_mime;
  } else {
    return bad_parameter("BODY takes 7BIT, 8BITMIME or BINARYMIME");
  }
  return std::nullopt;
}

/// RFC 3461 §4.3.
std::optional<Reply> take_ret(std::string_view value, DsnReturn& out) {
  if (same_word(value, "FULL")) {
    out = DsnReturn::full;
  } else if (same_word(value, "HDRS")) {
    out = DsnReturn::headers;
  } else {
    return bad_parameter("RET takes FULL or HDRS");
  }
  return std::nullopt;
}

/// RFC 3461 §4.4.
std::optional<Reply> take_envid(std::string_view value, std::string& out) {
  if (value.empty() || value.size() > kEnvidOctetsMax || !decode_xtext(value, out) || !is_printable(out))
    return bad_parameter("ENVID takes xtext of 1 to 100 characters");
  return std::nullopt;
}

/// RFC 3461 §4.1: NEVER alone, or a list.
std::optional<Reply> take_notify(std::string_view value, std::uint8_t& out) {
  std::uint8_t flags = kNotifyUnspecified;
  bool never = false, valid = true;
  for (bool more = true; more;) {
    const std::size_t comma = value.find(',');
    const std::string_view word = value.substr(0, comma);
    more = comma != std::string_view::npos;
    value.remove_prefix(more ? comma + 1 : value.size());
    if (same_word(word, "NEVER")) {
      never = true;
    } else if (same_word(word, "SUCCESS")) {
      flags |= kNotifySuccess;
    } else if (same_word(word, "FAILURE")) {
      flags |= kNotifyFailure;
    } else if (same_word(word, "DELAY")) {
      flags |= kNotifyDelay;
    } else {
      valid = false;
    }
    if (never && (flags != 0 || more)) valid = false;
  }
  if (!valid) return bad_parameter("NOTIFY takes NEVER, or a list of SUCCESS, FAILURE and DELAY");
  out = never ? kNotifyNever : flags;
  return std::nullopt;
}

/// RFC 6533 §3: printable ASCII without "+", "=" and "\", "\x{…}" for any code point, and with SMTPUTF8 UTF-8
/// itself.
bool decode_utf8_address(std::string_view text, bool utf8, std::string& out) {
  constexpr std::size_t kDigitsMax = 6;
  while (!text.empty()) {
    if (text.starts_with("\\x{")) {
      const std::size_t end = text.find('}');
      if (end == std::string_view::npos) return false;
      const std::string_view digits = text.substr(3, end - 3);
      if (digits.size() < 2 || digits.size() > kDigitsMax) return false;
      std::uint32_t code_point = 0;
      const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), code_point, 16);
      if (result.ec != std::errc{} || result.ptr != digits.data() + digits.size()) return false;
      const bool control = code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
      if (control || !append_utf8(code_point, out)) return false;
      text.remove_prefix(end + 1);
      continue;
    }
    const std::size_t octets = utf8_sequence(text);
    if (octets == 0 || (octets > 1 && !utf8)) return false;
    if (octets == 1 && (text[0] <= ' ' || text[0] > '~' || text[0] == '+' || text[0] == '\\')) return false;
    out.append(text.substr(0, octets));
    text.remove_prefix(octets);
  }
  return true;
}

/// RFC 3461 §4.2, RFC 6533 §3. The address is kept, and is no address that anything is sent to.
std::optional<Reply> take_orcpt(std::string_view value, bool utf8, std::string& out) {
  const std::size_t semicolon = value.find(';');
  const std::string_view type = value.substr(0, semicolon);
  const bool type_valid = !type.empty() && semicolon != std::string_view::npos &&
                          std::ranges::all_of(type, [](char c) { return is_let_dig(c) || c == '-'; });
  if (type_valid && value.size() <= kOrcptOctetsMax) {
    const std::string_view address = value.substr(semicolon + 1);
    std::string decoded;
    const bool wide = same_word(type, "UTF-8");
    const bool valid = wide ? decode_utf8_address(address, utf8, decoded)
                            : decode_xtext(address, decoded) && is_printable(decoded);
    if (valid && !decoded.empty()) {
      out.clear();
      std::ranges::transform(type, std::back_inserter(out), lower);
      out.push_back(';');
      out.append(decoded);
      return std::nullopt;
    }
  }
  return bad_parameter("ORCPT takes type;address in xtext, at most 500 characters");
}

bool holds_utf8(const Path& path) {
  const auto wide = [](std::string_view hop) {
    return std::ranges::any_of(hop, [](char c) { return static_cast<unsigned char>(c) > 0x7f; });
  };
  return path.mailbox.utf8 || std::ranges::any_of(path.route, wide);
}

std::string where(const SyntaxError& error, std::string_view whose) {
  return fmt::format("Bad {} address: expected {} at octet {}", whose, error.rule, error.position + 1);
}

}  // namespace

bool decode_xtext(std::string_view text, std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c <= ' ' || c > '~' || c == '=') return false;
    if (c != '+') {
      out.push_back(c);
      continue;
    }
    // Upper case by the text; lower case cannot be mistaken for anything else.
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) return false;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return true;
}

std::expected<MailCommand, Reply> parse_mail(std::string_view argument, const GrammarContext& context) {
  const auto text = after_prefix(argument, "FROM:");
  if (!text) return std::unexpected(bad_parameter("Expected MAIL FROM:<address>"));
  std::size_t consumed = 0;
  auto path = parse_path(*text, PathKind::reverse, true, &consumed);
  if (!path)
    return std::unexpected(Reply{.code = 501, .enhanced = "5.1.7", .text = where(path.error(), "sender")});

  MailCommand mail{.path = std::move(*path)};
  bool size = false, body = false, ret = false, envid = false, smtputf8 = false, auth = false;
  const auto take = [&](const Parameter& parameter) -> std::optional<Reply> {
    const std::string_view keyword = parameter.keyword, value = parameter.value.value_or("");
    if (same_word(keyword, "SIZE")) {
      if (repeated(size)) return bad_parameter("SIZE is repeated");
      return take_size(value, context.message_octets_max, mail.size);
    }
    if (same_word(keyword, "BODY")) {
      if (repeated(body)) return bad_parameter("BODY is repeated");
      return take_body(value, mail.body);
    }
    if (same_word(keyword, "SMTPUTF8") && context.smtputf8) {
      if (repeated(smtputf8)) return bad_parameter("SMTPUTF8 is repeated");
      if (parameter.value) return bad_parameter("SMTPUTF8 takes no value");  // RFC 6531 §3.1
      mail.smtputf8 = true;
      return std::nullopt;
    }
    if (same_word(keyword, "RET")) {
      if (repeated(ret)) return bad_parameter("RET is repeated");
      return take_ret(value, mail.ret);
    }
    if (same_word(keyword, "ENVID")) {
      if (repeated(envid)) return bad_parameter("ENVID is repeated");
      return take_envid(value, mail.envid);
    }
    if (same_word(keyword, "AUTH") &&
        context.auth) {  // who somebody else says that the client is: not believed
      std::string ignored;
      if (repeated(auth)) return bad_parameter("AUTH is repeated");
      if (value.empty() || !decode_xtext(value, ignored)) return bad_parameter("AUTH takes xtext");
      return std::nullopt;
    }
    return unknown_parameter("Unknown parameter of MAIL");
  };
  if (auto refusal = each_parameter(text->substr(consumed), context.extended, take))
    return std::unexpected(std::move(*refusal));
  if (holds_utf8(mail.path) && !mail.smtputf8) return std::unexpected(utf8_unannounced("sender"));
  return mail;
}

std::expected<RcptCommand, Reply> parse_rcpt(std::string_view argument, const GrammarContext& context) {
  const auto text = after_prefix(argument, "TO:");
  if (!text) return std::unexpected(bad_parameter("Expected RCPT TO:<address>"));
  std::size_t consumed = 0;
  auto path = parse_path(*text, PathKind::forward, true, &consumed);
  if (!path)
    return std::unexpected(Reply{.code = 501, .enhanced = "5.1.3", .text = where(path.error(), "recipient")});
  if (holds_utf8(*path) && !context.smtputf8) return std::unexpected(utf8_unannounced("recipient"));

  RcptCommand rcpt{.path = std::move(*path)};
  bool notify = false, orcpt = false;
  const auto take = [&](const Parameter& parameter) -> std::optional<Reply> {
    const std::string_view keyword = parameter.keyword, value = parameter.value.value_or("");
    if (same_word(keyword, "NOTIFY")) {
      if (repeated(notify)) return bad_parameter("NOTIFY is repeated");
      return take_notify(value, rcpt.notify);
    }
    if (same_word(keyword, "ORCPT")) {
      if (repeated(orcpt)) return bad_parameter("ORCPT is repeated");
      return take_orcpt(value, context.smtputf8, rcpt.orcpt);
    }
    return unknown_parameter("Unknown parameter of RCPT");
  };
  if (auto refusal = each_parameter(text->substr(consumed), context.extended, take))
    return std::unexpected(std::move(*refusal));
  return rcpt;
}

}  // namespace postern::smtp
