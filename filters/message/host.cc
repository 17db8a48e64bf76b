#include "filters/message/host.h"

#include <fmt/format.h>
#include <libpsl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "filters/idn.h"
#include "filters/message/content_field.h"

namespace postern::filters {
namespace {

constexpr std::size_t kHostOctetsMax = 253;  // RFC 1035 §2.3.4

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// One number of an IPv4 address: decimal, 0x… or 0….
std::optional<std::uint32_t> address_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
    if (text.empty()) return 0;
  } else if (text.size() > 1 && text.starts_with('0')) {
    base = 8;
    text.remove_prefix(1);
  }
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The IPv4 parser of the URL standard (§3.5): one to four numbers, the last of which fills the octets that are left.
std::optional<std::string> dotted_address(std::string_view host) {
  if (host.empty() || hex(host.front()) < 0 || host.size() > 64) return std::nullopt;
  std::array<std::uint32_t, 4> numbers{};
  std::size_t count = 0;
  while (true) {
    const std::size_t dot = std::min(host.find('.'), host.size());
    const auto number = address_number(host.substr(0, dot));
    if (!number || count == numbers.size()) return std::nullopt;
    numbers[count++] = *number;
    if (dot == host.size()) break;
    host.remove_prefix(dot + 1);
  }
  std::uint64_t address = numbers[count - 1];
  if (address >= std::uint64_t{1} << (8 * (5 - count))) return std::nullopt;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    if (numbers[i] > 255) return std::nullopt;
    address |= std::uint64_t{numbers[i]} << (8 * (3 - i));
  }
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

}  // namespace

UrlPieces split_url(std::string_view url) {
  UrlPieces pieces;
  const std::size_t colon = url.find(':');
  if (colon != std::string_view::npos && colon < 16) {
    pieces.scheme = url.substr(0, colon);
    url.remove_prefix(colon + 1);
  }
  while (!url.empty() && (url.front() == '/' || url.front() == '\\')) url.remove_prefix(1);
  const std::size_t end = std::min(url.find_first_of("/\\?#"), url.size());
  std::string_view authority = url.substr(0, end);
  pieces.path = url.substr(end);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    pieces.userinfo = authority.substr(0, at);
    pieces.has_userinfo = true;
    authority.remove_prefix(at + 1);
  }
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : std::string_view::npos;
  const std::size_t port = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  pieces.host = authority.substr(0, port);
  if (port != std::string_view::npos) pieces.port = authority.substr(port + 1);
  return pieces;
}

std::string normal_host(std::string_view host) {
  std::string name = host.find('%') == std::string_view::npos ? std::string(host) : percent_decoded(host);
  name = to_lower(name.substr(0, kHostOctetsMax));
  while (name.ends_with('.')) name.pop_back();
  if (const auto address = dotted_address(name)) return *address;
  const bool ascii = std::ranges::all_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii)
    if (auto labels = ascii_domain(name)) return *std::move(labels);
  return name;
}

bool is_address_host(std::string_view host) {
  return host.starts_with('[') || dotted_address(host).has_value();
}

std::string registrable_domain(std::string_view host) {
  if (is_address_host(host)) return std::string(host);
  const std::string name(host);
  const psl_ctx_t* const list = psl_builtin();
  const char* const domain = list == nullptr ? nullptr : psl_registrable_domain(list, name.c_str());
  return domain == nullptr ? name : std::string(domain);
}

}  // namespace postern::filters
