#include "gateway/config/values.h"

#include <fmt/format.h>
#include <idn2.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include "gateway/config/target.h"
#include "gateway/smtp/address.h"

namespace postern::config {
namespace {

constexpr std::size_t kShownOctetsMax = 80;
constexpr std::size_t kSocketPathOctetsMax = sizeof(sockaddr_un{}.sun_path) - 1;

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string is_not(std::string_view value, std::string_view what) {
  return fmt::format("{} is not {}", shown(value), what);
}

/// The grammar of domains is that of the mail protocol: one parser for both.
std::optional<smtp::Mailbox> parse_domain(std::string_view text, bool utf8) {
  auto mailbox = smtp::parse_mailbox(fmt::format("a@{}", text), utf8);
  if (!mailbox || text.find('@') != std::string_view::npos) return std::nullopt;
  return std::move(*mailbox);
}

std::optional<std::string> normalise_domain(std::string& value, bool utf8, bool literal) {
  const auto parsed = parse_domain(value, utf8);
  const bool fits = parsed && (literal || !parsed->literal);
  if (!fits || (!parsed->literal && !ascii_domain(parsed->domain))) {
    return is_not(value, literal ? "a domain name or an address literal" : "a domain name");
  }
  value = parsed->domain;
  return std::nullopt;
}

std::optional<std::string> normalise_mailbox(std::string& value) {
  const auto parsed = smtp::parse_mailbox(value, true);
  if (!parsed || (!parsed->literal && !ascii_domain(parsed->domain))) {
    return is_not(value, "an address of the form local@domain");
  }
  value = parsed->normal_form();
  return std::nullopt;
}

/// Decimal, no sign, no leading zeros, at most 65535.
std::optional<unsigned> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  unsigned port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port <= 65535 ? std::optional(port) : std::nullopt;
}

/// IP:PORT or [IP6]:PORT.
std::optional<std::string> normalise_endpoint(std::string& value, bool port_zero, std::string_view expected) {
  const std::string_view text = value;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    const bool is_ip = filters::Ip::parse(text).has_value();
    return is_not(value, fmt::format("{}{}", expected, is_ip ? "; the port is missing" : ""));
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = filters::Ip::parse(host);
  const auto port = parse_port(text.substr(colon + 1));
  const bool is_v6_text = host.find(':') != std::string_view::npos;
  if (ip && is_v6_text && !bracketed) {
    return is_not(value, fmt::format("{}; an IPv6 address stands in brackets", expected));
  }
  if (!ip || !port || is_v6_text != bracketed) return is_not(value, expected);
  if (*port == 0 && !port_zero) return is_not(value, fmt::format("{}; the port is 0", expected));
  value = ip->is_v4() ? fmt::format("{}:{}", ip->text(), *port) : fmt::format("[{}]:{}", ip->text(), *port);
  return std::nullopt;
}

std::optional<std::string> normalise_socket_path(std::string& value, const std::filesystem::path& base) {
  if (value.empty()) return "a socket needs a path";
  if (auto wrong = normalise_path(value, base)) return wrong;
  if (value.size() <= kSocketPathOctetsMax) return std::nullopt;
  return fmt::format("{} is too long for a Unix socket: {} octets, at most {}", shown(value), value.size(),
                     kSocketPathOctetsMax);
}

std::optional<std::string> normalise_listener(std::string& value, const std::filesystem::path& base) {
  constexpr std::string_view kUnix = "unix:";
  if (!value.starts_with(kUnix)) return normalise_endpoint(value, true, "IP:PORT, [IP6]:PORT or unix:PATH");
  std::string path = value.substr(kUnix.size());
  if (auto wrong = normalise_socket_path(path, base)) return wrong;
  value = fmt::format("{}{}", kUnix, path);
  return std::nullopt;
}

std::optional<std::string> normalise_entry(std::string& value, bool null_path) {
  if (null_path && value == "<>") return std::nullopt;
  if (!value.starts_with('@')) {
    if (!normalise_mailbox(value)) return std::nullopt;
    return is_not(value,
                  null_path ? "an address, @domain, @.domain or <>" : "an address, @domain or @.domain");
  }
  const std::string_view prefix = value.starts_with("@.") ? "@." : "@";
  std::string domain = value.substr(prefix.size());
  if (auto wrong = normalise_domain(domain, true, false)) return is_not(value, "@domain or @.domain");
  value = fmt::format("{}{}", prefix, domain);
  return std::nullopt;
}

/// "file=PATH", with blanks around the sign as people write them.
std::optional<std::string> normalise_recipients(std::string& value, const std::filesystem::path& base) {
  constexpr std::string_view kFile = "file";
  if (value == "accounts" || value == "any") return std::nullopt;
  std::string_view rest = value;
  const auto skip_blanks = [&rest] {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  };
  if (rest.starts_with(kFile)) rest.remove_prefix(kFile.size());
  skip_blanks();
  if (!value.starts_with(kFile) || !rest.starts_with('='))
    return is_not(value, "\"accounts\", \"any\" or \"file=PATH\"");
  rest.remove_prefix(1);
  skip_blanks();
  std::string path(rest);
  if (auto wrong = normalise_path(path, base)) return wrong;
  value = fmt::format("{}={}", kFile, path);
  return std::nullopt;
}

std::optional<std::string> normalise_answer(std::string& value) {
  std::string address;  // with each "*" in place of an octet made a number
  for (std::size_t at = 0; at < value.size(); ++at) {
    const bool begins = at == 0 || value[at - 1] == '.';
    const bool ends = at + 1 == value.size() || value[at + 1] == '.';
    address += value[at] == '*' && begins && ends ? '0' : value[at];
  }
  const auto ip = filters::Ip::parse(address);
  if (!ip || !ip->is_v4())
    return is_not(value, "an IPv4 address, as blocklists answer (RFC 5782 §2.1); an octet may be *");
  return std::nullopt;
}

constexpr double kPointsMax = 1000;  // as scores everywhere
constexpr std::size_t kRuleOctetsMax = 100;

/// Upper and lower case letters, digits and "_", not beginning with a digit.
std::optional<std::string> normalise_rule(const std::string& value) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (value.empty() || value.size() > kRuleOctetsMax || (value.front() >= '0' && value.front() <= '9') ||
      !std::ranges::all_of(value, is_word))
    return is_not(value, "the name of a rule");
  return std::nullopt;
}

}  // namespace

std::optional<std::string> normalise_path(std::string& value, const std::filesystem::path& base) {
  if (value.empty()) return "the path is empty";
  if (value.find('\0') != std::string::npos) return is_not(value, "a path: it holds a NUL");
  value = (base / value).lexically_normal().string();
  return std::nullopt;
}

std::optional<std::string> normalise(Shape shape, std::string& value, const std::filesystem::path& base) {
  switch (shape) {
    case Shape::text:
      return std::nullopt;
    case Shape::domain:
      return normalise_domain(value, true, false);
    case Shape::ascii_domain:
      return normalise_domain(value, false, false);
    case Shape::hostname:
      return normalise_domain(value, false, true);
    case Shape::mailbox:
      return normalise_mailbox(value);
    case Shape::listener:
      return normalise_listener(value, base);
    case Shape::endpoint:
      return normalise_endpoint(value, true, "IP:PORT or [IP6]:PORT");
    case Shape::resolver:
      return normalise_endpoint(value, false, "IP:PORT or [IP6]:PORT");
    case Shape::sender_entry:
      return normalise_entry(value, true);
    case Shape::recipient_entry:
      return normalise_entry(value, false);
    case Shape::socket_path:
      return normalise_socket_path(value, base);
    case Shape::file:
      return normalise_path(value, base);
    case Shape::answers:
      return normalise_answer(value);
    case Shape::target: {
      auto target = parse_target(value, base);
      if (!target) return is_not(value, target.error());
      value = target->text();
      return std::nullopt;
    }
    case Shape::recipients:
      return normalise_recipients(value, base);
    case Shape::ip: {
      const auto ip = filters::Ip::parse(value);
      if (!ip) return is_not(value, "an IP address");
      value = ip->text();
      return std::nullopt;
    }
    case Shape::rule:
    case Shape::points:
      return normalise_rule(value);
    case Shape::name_owner:
      if (value.empty()) return "a name is empty";
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> normalise_value(Shape shape, std::string& value) {
  if (shape == Shape::name_owner) return normalise_domain(value, true, false);
  if (shape != Shape::points) return std::nullopt;
  double points = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), points);
  const bool whole = error == std::errc() && end == value.data() + value.size();
  if (!whole || !(points >= -kPointsMax && points <= kPointsMax))
    return is_not(value, "a number from -1000 to 1000");
  return std::nullopt;
}

std::optional<std::string> ascii_domain(std::string_view domain) {
  if (is_ascii(domain)) {
    std::string lower(domain);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return lower;
  }
  const std::string text(domain);  // idn2 wants a terminated string; the domain grammar has kept NUL out
  std::uint8_t* converted = nullptr;
  const int result = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(text.c_str()), &converted,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (result != IDN2_OK) return std::nullopt;
  std::string ascii(reinterpret_cast<const char*>(converted));
  idn2_free(converted);
  return ascii;
}

std::string shown(std::string_view text) {
  std::string out = "\"";
  std::size_t used = 0;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool starts_character = (octet & 0xC0U) != 0x80U;
    if (used >= kShownOctetsMax && starts_character) {
      out += "…";
      break;
    }
    ++used;
    if (octet < 0x20 || octet == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", octet);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + "\"";
}

std::optional<std::size_t> invalid_utf8(std::string_view text) {
  const auto octet = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  for (std::size_t at = 0; at < text.size();) {
    const unsigned first = octet(at);
    if (first < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (length == 0 || text.size() - at < length) return at;
    for (std::size_t i = 1; i < length; ++i) {
      if ((octet(at + i) & 0xC0U) != 0x80U) return at;
    }
    const unsigned second = octet(at + 1);
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool surrogate = first == 0xED && second > 0x9F;
    const bool too_large = first == 0xF4 && second > 0x8F;
    if (overlong || surrogate || too_large) return at;
    at += length;
  }
  return std::nullopt;
}

}  // namespace postern::config
