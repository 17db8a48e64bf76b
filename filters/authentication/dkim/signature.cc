#include "filters/authentication/dkim/signature.h"

#include <algorithm>
#include <charconv>

#include "filters/authentication/crypto/base64.h"
#include "filters/idn.h"

namespace postern::filters::dkim {
namespace {

constexpr std::size_t kSignatureOctetsMax = 2048;  // an RSA key of 8192 bits makes 1024

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Canonical> canonical(std::string_view name) {
  if (same_word(name, "simple")) return Canonical::simple;
  if (same_word(name, "relaxed")) return Canonical::relaxed;
  return std::nullopt;
}

std::expected<void, std::string> read_algorithm(const TagList& tags, Signature& out) {
  const auto algorithm = tags.find("a");
  if (!algorithm) return std::unexpected("a= is missing");
  out.algorithm = std::string(*algorithm);
  if (same_word(*algorithm, "rsa-sha256")) {
    out.key_type = crypto::KeyType::rsa;
  } else if (same_word(*algorithm, "ed25519-sha256")) {
    out.key_type = crypto::KeyType::ed25519;
  } else if (same_word(*algorithm, "rsa-sha1")) {
    return std::unexpected("rsa-sha1 must not be believed (RFC 8301 §3.1)");
  } else {
    return std::unexpected("algorithm unknown (a=)");
  }
  return {};
}

std::expected<void, std::string> read_canonical(const TagList& tags, Signature& out) {
  const auto value = tags.find("c");
  if (!value) return {};
  const std::size_t slash = value->find('/');
  const auto header = canonical(trimmed(value->substr(0, slash)));
  const auto body = slash == std::string_view::npos ? std::optional(Canonical::simple)
                                                    : canonical(trimmed(value->substr(slash + 1)));
  if (!header || !body) return std::unexpected("canonicalization unknown (c=)");
  out.header = *header;
  out.body = *body;
  return {};
}

std::expected<void, std::string> read_signed_names(const TagList& tags, Signature& out, bool wants_from) {
  const auto names = tags.find("h");
  if (!names) return std::unexpected("h= is missing");
  out.names = colon_list(*names);
  if (out.names.size() > kSignedNamesMax) return std::unexpected("h= names too many fields");
  if (std::ranges::any_of(out.names, &std::string_view::empty))
    return std::unexpected("h= has an empty name");
  if (wants_from &&
      std::ranges::none_of(out.names, [](std::string_view name) { return same_word(name, "from"); })) {
    return std::unexpected("From is not signed (h=)");  // §5.4
  }
  return {};
}

/// §3.5, i=: its domain is d= or below it.
bool is_within(std::string_view identity, std::string_view domain) {
  const std::size_t at = identity.rfind('@');
  if (at == std::string_view::npos) return false;
  const std::string_view host = identity.substr(at + 1);
  if (host.size() < domain.size()) return false;
  return same_word(host.substr(host.size() - domain.size()), domain) &&
         (host.size() == domain.size() || host[host.size() - domain.size() - 1] == '.');
}

}  // namespace

std::expected<void, std::string> read_seal_tags(const TagList& tags, Signature& out) {
  // d= and s= first, so that whatever is wrong behind them can be reported with a name.
  const auto domain = tags.find("d"), selector = tags.find("s"), value = tags.find("b");
  if (domain) out.domain = std::string(*domain);
  if (selector) out.selector = std::string(*selector);
  if (value) out.value_text = *value;
  if (auto read = read_algorithm(tags, out); !read) return read;
  if (!domain || domain->empty()) return std::unexpected("d= is missing");
  if (!selector || selector->empty()) return std::unexpected("s= is missing");
  if (!value) return std::unexpected("b= is missing");
  if (value->size() > 2 * kSignatureOctetsMax) return std::unexpected("b= is too long");
  auto decoded = crypto::decode_base64(*value);
  if (!decoded || decoded->empty() || decoded->size() > kSignatureOctetsMax) {
    return std::unexpected("b= is no signature in base64");
  }
  out.value = std::move(*decoded);
  for (const auto& [tag, member] : {std::pair("t", &out.signed_at), std::pair("x", &out.expires_at)}) {
    const auto text = tags.find(tag);
    if (!text) continue;
    *member = number(*text);
    if (!*member) return std::unexpected(std::string(tag) + "= is no number");
  }
  return {};
}

std::expected<void, std::string> read_common_tags(const TagList& tags, Signature& out, bool wants_from) {
  if (auto read = read_seal_tags(tags, out); !read) return read;
  const auto body_hash = tags.find("bh");
  if (!body_hash) return std::unexpected("bh= is missing");
  auto decoded = crypto::decode_base64(*body_hash);
  if (!decoded || decoded->empty()) return std::unexpected("bh= is no base64");
  out.body_hash = std::move(*decoded);
  if (auto read = read_canonical(tags, out); !read) return read;
  if (auto read = read_signed_names(tags, out, wants_from); !read) return read;
  if (const auto length = tags.find("l")) {
    const auto octets = number(*length);
    if (!octets) return std::unexpected("l= is no number");
    out.length = *octets;
  }
  if (out.signed_at && out.expires_at && *out.expires_at <= *out.signed_at)
    return std::unexpected("x= is not after t=");
  return {};
}

std::expected<void, std::string> parse_signature(std::string_view value, Signature& out) {
  const auto tags = TagList::parse(value);
  if (!tags) return std::unexpected("signature syntax: expected " + tags.error().rule);
  out.domain = std::string(tags->find("d").value_or(""));
  out.selector = std::string(tags->find("s").value_or(""));
  out.identity = '@' + out.domain;
  if (const auto identity = tags->find("i")) out.identity = std::string(*identity);
  const auto version = tags->find("v");
  if (!version) return std::unexpected("v= is missing");
  if (*version != "1") return std::unexpected("version is not 1 (v=)");
  if (auto read = read_common_tags(*tags, out); !read) return read;
  if (!is_within(out.identity, out.domain)) return std::unexpected("i= is not within d=");
  // §3.5, q=: only dns/txt is defined; a list without it cannot be asked.
  if (const auto methods = tags->find("q")) {
    const auto list = colon_list(*methods);
    if (std::ranges::none_of(list, [](std::string_view method) {
          return same_word(method, "dns/txt") || same_word(method, "dns");
        })) {
      return std::unexpected("query method unknown (q=)");
    }
  }
  return {};
}

std::optional<std::string> key_name(std::string_view selector, std::string_view domain) {
  const std::string name = std::string(selector) + "._domainkey." + std::string(domain);
  return ascii_domain(name);
}

}  // namespace postern::filters::dkim
