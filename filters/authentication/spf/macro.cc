#include "filters/authentication/spf/macro.h"

#include <algorithm>
#include <vector>

#include "filters/dns.h"

namespace postern::filters::spf {
namespace {

constexpr std::string_view kDelimiters = ".-+,/_=";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alphanumeric(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

/// One macro-expand of §7.1, without "%{" and "}".
struct Macro {
  char letter = 0;
  bool escaped = false;  ///< an upper-case letter
  unsigned keep = 0;     ///< DIGIT: the number of right-hand parts; 0: all
  bool reverse = false;
  std::string_view delimiters;
};

/// `text` begins with "%". Gives the macro's size, or nothing when it is none; `letter` 0 for %%, %_ and %-.
std::optional<std::size_t> read_macro(std::string_view text, MacroUse use, Macro& macro) {
  if (text.size() < 2) return std::nullopt;
  if (text[1] == '%' || text[1] == '_' || text[1] == '-') {
    macro = {};
    return 2;
  }
  if (text[1] != '{' || text.size() < 4) return std::nullopt;
  macro = {.letter = lower(text[2]), .escaped = text[2] != lower(text[2])};
  const std::string_view letters = use == MacroUse::explanation ? "slodiphcrtv" : "slodiphv";
  if (letters.find(macro.letter) == std::string_view::npos) return std::nullopt;
  std::size_t at = 3;
  const std::size_t digits = at;
  // More parts than a name can have mean the same as all of them.
  while (at < text.size() && is_digit(text[at]))
    macro.keep = std::min(macro.keep * 10 + static_cast<unsigned>(text[at++] - '0'), 1000U);
  if (at > digits && macro.keep == 0) return std::nullopt;  // §7.1: nonzero
  if (at < text.size() && lower(text[at]) == 'r') {
    macro.reverse = true;
    ++at;
  }
  const std::size_t end = text.find_first_not_of(kDelimiters, at);
  if (end == std::string_view::npos || text[end] != '}') return std::nullopt;
  macro.delimiters = text.substr(at, end - at);
  return end + 1;
}

std::string_view local_part(std::string_view sender) {
  return sender.substr(0, std::min(sender.rfind('@'), sender.size()));
}
std::string_view sender_domain(std::string_view sender) {
  const auto at = sender.rfind('@');
  return at == std::string_view::npos ? std::string_view{} : sender.substr(at + 1);
}

/// %{i}: dotted quad, or nibbles with dots between them (§7.3). In upper case: names do not care, and the suite of the
/// standard's authors wants it so in explanations, although the example of §7.4 is in lower case.
std::string dotted(const Ip& ip) {
  if (!ip.is_v6()) return ip.text();
  std::string text = dns::reversed(ip);
  std::ranges::reverse(text);
  for (char& c : text)
    if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 32);
  return text;
}

std::string value_of(char letter, const MacroValues& values) {
  const auto or_unknown = [](std::string_view text) { return std::string(text.empty() ? "unknown" : text); };
  switch (letter) {
    case 's':
      return std::string(values.sender);
    case 'l':
      return std::string(local_part(values.sender));
    case 'o':
      return std::string(sender_domain(values.sender));
    case 'd':
      return std::string(values.domain);
    case 'i':
      return dotted(values.ip);
    case 'p':
      return or_unknown(values.validated);
    case 'h':
      return std::string(values.helo);
    case 'c':
      return values.ip.text();
    case 'r':
      return or_unknown(values.receiver);
    case 't':
      return std::to_string(values.now.time_since_epoch().count());
    case 'v':
      return values.ip.is_v6() ? "ip6" : "in-addr";
    default:
      return {};
  }
}

/// §7.3: split at the delimiters, reverse, keep the right-hand parts, join with dots.
std::string transform(const std::string& value, const Macro& macro) {
  if (macro.keep == 0 && !macro.reverse && macro.delimiters.empty()) return value;
  const std::string_view delimiters = macro.delimiters.empty() ? "." : macro.delimiters;
  std::vector<std::string_view> parts;
  std::string_view rest = value;
  for (;;) {
    const std::size_t end = rest.find_first_of(delimiters);
    parts.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (macro.reverse) std::ranges::reverse(parts);
  const std::size_t first = macro.keep != 0 && macro.keep < parts.size() ? parts.size() - macro.keep : 0;
  std::string joined;
  for (std::size_t i = first; i < parts.size(); ++i) {
    if (i > first) joined += '.';
    joined += parts[i];
  }
  return joined;
}

/// §7.3: upper-case letters ask for URL escaping of all but the unreserved characters of RFC 3986 §2.3.
void append_escaped(std::string& out, std::string_view value) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : value) {
    if (is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto octet = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[octet >> 4];
      out += kHex[octet & 15];
    }
  }
}

}  // namespace

std::optional<std::size_t> check_macro_string(std::string_view text, MacroUse use) {
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '%') {
      Macro macro;
      const auto size = read_macro(text.substr(at), use, macro);
      if (!size) return at;
      at += *size;
    } else if ((c > ' ' && c < 0x7f) || (c == ' ' && use == MacroUse::explanation)) {
      ++at;
    } else {
      return at;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> check_domain_spec(std::string_view text) {
  if (const auto wrong = check_macro_string(text, MacroUse::domain)) return wrong;
  if (text.ends_with('}') || text.ends_with("%%") || text.ends_with("%_") || text.ends_with("%-")) {
    // domain-end = macro-expand, if that is what the last octets are.
    std::size_t last = std::string_view::npos;
    for (std::size_t at = 0; at < text.size();) {
      Macro macro;
      last = text[at] == '%' ? at : std::string_view::npos;
      at += text[at] == '%' ? *read_macro(text.substr(at), MacroUse::domain, macro) : 1;
    }
    if (last != std::string_view::npos) return std::nullopt;
  }
  // domain-end = "." toplabel ["."]
  std::string_view rest = text;
  if (rest.ends_with('.')) rest.remove_suffix(1);
  const std::size_t dot = rest.rfind('.');
  if (dot == std::string_view::npos) return text.size();
  const std::string_view label = rest.substr(dot + 1);
  if (label.empty() || label.front() == '-' || label.back() == '-') return dot + 1;
  bool digits_only = true;
  for (const char c : label) {
    if (!is_alphanumeric(c) && c != '-') return dot + 1;
    digits_only &= is_digit(c);
  }
  return digits_only ? std::optional(dot + 1) : std::nullopt;
}

bool uses_validated_name(std::string_view text) {
  for (std::size_t at = text.find("%{"); at != std::string_view::npos; at = text.find("%{", at + 2))
    if (at + 2 < text.size() && lower(text[at + 2]) == 'p') return true;
  return false;
}

std::string expand(std::string_view text, const MacroValues& values) {
  std::string out;
  for (std::size_t at = 0; at < text.size() && out.size() < kExpandedOctetsMax;) {
    const std::size_t percent = std::min(text.find('%', at), text.size());
    out += text.substr(at, percent - at);
    at = percent;
    if (at == text.size()) break;
    Macro macro;
    const auto size = read_macro(text.substr(at), MacroUse::explanation, macro);
    if (!size) break;  // the caller has checked it
    if (macro.letter != 0) {
      const std::string value = transform(value_of(macro.letter, values), macro);
      if (macro.escaped) {
        append_escaped(out, value);
      } else {
        out += value;
      }
    } else {
      out += text[at + 1] == '%' ? "%" : text[at + 1] == '_' ? " " : "%20";
    }
    at += *size;
  }
  if (out.size() > kExpandedOctetsMax) out.resize(kExpandedOctetsMax);
  return out;
}

std::string expand_name(std::string_view text, const MacroValues& values) {
  std::string name = expand(text, values);
  if (name.ends_with('.')) name.pop_back();
  while (name.size() > dns::kNameOctetsMax) {
    const auto dot = name.find('.');
    if (dot == std::string::npos) break;
    name.erase(0, dot + 1);
  }
  return name;
}

}  // namespace postern::filters::spf
