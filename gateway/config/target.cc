#include "gateway/config/target.h"

#include <fmt/format.h>

#include <charconv>

#include "filters/dns.h"
#include "gateway/config/values.h"

namespace postern::config {
namespace {

constexpr std::string_view kForm =
    "HOST:PORT, IP:PORT, [IP6]:PORT, mx:DOMAIN or lmtp:unix:PATH, then priority=N and weight=N";
constexpr std::string_view kLmtp = "lmtp:", kUnix = "unix:", kMx = "mx:";
constexpr std::size_t kSocketPathOctetsMax = 107;  // sockaddr_un holds 108 with the final NUL

template <class T>
std::optional<T> number(std::string_view text, T max) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

std::unexpected<std::string> expected_form() {
  return std::unexpected(std::string(kForm));
}

/// A word behind the place: false when it is none.
bool take_option(std::string_view word, Target& target) {
  const auto value_of = [&](std::string_view key) -> std::optional<std::string_view> {
    if (!word.starts_with(key)) return std::nullopt;
    return word.substr(key.size());
  };
  if (const auto text = value_of("priority=")) {
    target.priority = number<std::uint32_t>(*text, Target::kPriorityMax);
    return target.priority.has_value();
  }
  if (const auto text = value_of("weight=")) {
    const auto weight = number<std::uint32_t>(*text, Target::kWeightMax);
    target.weight = weight.value_or(0);
    return target.weight != 0;
  }
  return false;
}

/// Takes ":PORT" off the end. False: there is something, and it is no port.
bool take_port(std::string_view& place, Target& target, bool required) {
  const std::size_t bracket = place.rfind(']');
  const std::size_t colon = place.rfind(':');
  const bool has_port = colon != place.npos && (bracket == place.npos || colon > bracket);
  if (!has_port) return !required;
  const auto port = number<std::uint16_t>(place.substr(colon + 1), 65'535);
  if (!port || *port == 0) return false;
  target.port = *port;
  place = place.substr(0, colon);
  return true;
}

std::optional<std::string> host_name(std::string_view text) {
  const auto ascii = ascii_domain(text);
  if (ascii && ascii->find_first_of(":[]/@ ") != ascii->npos) return std::nullopt;  // DNS would take them
  return ascii ? filters::dns::normal_name(*ascii) : std::nullopt;
}

bool take_place(std::string_view place, const std::filesystem::path& base, Target& target) {
  if (target.lmtp && place.starts_with(kUnix)) {
    target.kind = Target::Kind::unix_socket;
    target.name = std::string(place.substr(kUnix.size()));
    return !normalise_path(target.name, base) && target.name.size() <= kSocketPathOctetsMax;
  }
  const bool mx = place.starts_with(kMx);
  if (mx) place.remove_prefix(kMx.size());
  if (!take_port(place, target, target.lmtp)) return false;
  if (mx) {
    target.kind = Target::Kind::mx;
    if (place.empty()) return true;
    const auto name = host_name(place);
    target.name = name.value_or("");
    return name.has_value();
  }
  const bool bracketed = place.starts_with('[') && place.ends_with(']') && place.size() > 2;
  const auto ip = filters::Ip::parse(bracketed ? place.substr(1, place.size() - 2) : place);
  if (ip) {
    target.kind = Target::Kind::address;
    target.ip = *ip;
    return ip->is_v4() != bracketed;
  }
  const auto name = host_name(place);
  target.name = name.value_or("");
  // All digits and dots is a mistyped address, not a name (RFC 3696 §2).
  return name && !bracketed && name->find_first_not_of("0123456789.") != name->npos;
}

}  // namespace

std::string Target::text() const {
  std::string out(lmtp ? kLmtp : "");
  switch (kind) {
    case Kind::unix_socket:
      out.append(kUnix).append(name);
      break;
    case Kind::mx:
      out += fmt::format("{}{}:{}", kMx, name, port);
      break;
    case Kind::host:
      out += fmt::format("{}:{}", name, port);
      break;
    case Kind::address:
      out += ip.is_v4() ? fmt::format("{}:{}", ip.text(), port) : fmt::format("[{}]:{}", ip.text(), port);
      break;
  }
  if (priority) out += fmt::format(" priority={}", *priority);
  if (weight != 1) out += fmt::format(" weight={}", weight);
  return out;
}

std::expected<Target, std::string> parse_target(std::string_view text, const std::filesystem::path& base) {
  Target target;
  if (text.find('\0') != text.npos) return expected_form();
  std::string_view place = text.substr(0, text.find(' '));
  std::string_view rest = text.substr(place.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    if (!word.empty() && !take_option(word, target)) return expected_form();
  }
  if (place.starts_with(kLmtp)) {
    target.lmtp = true;
    place.remove_prefix(kLmtp.size());
  }
  if (place.empty() || !take_place(place, base, target)) return expected_form();
  return target;
}

}  // namespace postern::config
