#include "gateway/smtp/client/capabilities.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace postern::smtp::client {
namespace {

constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool same_word(std::string_view word, std::string_view upper_case) {
  return std::ranges::equal(word, upper_case, {}, upper);
}

std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (problem != std::errc{} || end != digits.data() + digits.size() || value == 0) return std::nullopt;
  return value;
}

void take_mechanisms(std::string_view rest, Capabilities& out) {
  for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) {
    if (same_word(word, "PLAIN")) out.auth_plain = true;
    if (same_word(word, "LOGIN")) out.auth_login = true;
  }
}

void take_limits(std::string_view rest, Capabilities& out) {
  for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) {
    const std::size_t equals = std::min(word.size(), word.find('='));
    const std::string_view name = word.substr(0, equals),
                           value = word.substr(std::min(word.size(), equals + 1));
    if (same_word(name, "RCPTMAX")) out.recipients_max = number(value);
    if (same_word(name, "MAILMAX")) out.transactions_max = number(value);
  }
}

struct Keyword {
  std::string_view name;
  bool Capabilities::* flag;
};
constexpr Keyword kKeywords[] = {
    {"PIPELINING", &Capabilities::pipelining},  {"8BITMIME", &Capabilities::eight_bit_mime},
    {"BINARYMIME", &Capabilities::binary_mime}, {"CHUNKING", &Capabilities::chunking},
    {"SMTPUTF8", &Capabilities::smtputf8},      {"DSN", &Capabilities::dsn},
    {"STARTTLS", &Capabilities::starttls},      {"ENHANCEDSTATUSCODES", &Capabilities::enhanced_codes},
};

}  // namespace

Capabilities Capabilities::of(const ServerReply& reply) {
  Capabilities out;
  for (std::size_t i = 1; i < reply.lines.size(); ++i) {
    std::string_view rest = reply.lines[i];
    const std::string_view word = take_word(rest);
    for (const Keyword& keyword : kKeywords) {
      if (same_word(word, keyword.name)) out.*keyword.flag = true;
    }
    if (same_word(word, "SIZE")) {
      out.size = true;
      out.octets_max = number(take_word(rest));
    }
    if (same_word(word, "AUTH")) take_mechanisms(rest, out);
    if (word.size() > 5 && same_word(word.substr(0, 5), "AUTH=")) {
      take_mechanisms(word.substr(5), out);
      take_mechanisms(rest, out);
    }
    if (same_word(word, "LIMITS")) take_limits(rest, out);
  }
  if (!out.chunking) out.binary_mime = false;
  return out;
}

}  // namespace postern::smtp::client
