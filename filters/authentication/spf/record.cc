#include "filters/authentication/spf/record.h"

#include <charconv>
#include <optional>

#include "filters/authentication/spf/macro.h"

namespace postern::filters::spf {
namespace {

constexpr std::string_view kVersion = "v=spf1";

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

/// ABNF strings compare without case (RFC 5234 §2.3).
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

std::optional<MechanismKind> mechanism(std::string_view name) {
  constexpr MechanismKind kAll[] = {MechanismKind::all, MechanismKind::include, MechanismKind::a,
                                    MechanismKind::mx,  MechanismKind::ptr,     MechanismKind::ip4,
                                    MechanismKind::ip6, MechanismKind::exists};
  for (const MechanismKind kind : kAll)
    if (same(name, to_string(kind))) return kind;
  return std::nullopt;
}

/// "0", or digits without a leading zero, at most `max`.
std::optional<std::uint8_t> prefix_length(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  unsigned value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return static_cast<std::uint8_t>(value);
}

/// Reads the terms of one record.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::expected<Record, SyntaxError> read() {
    std::size_t at = kVersion.size();
    while (at < text_.size()) {
      if (text_[at] == ' ') {
        ++at;
        continue;
      }
      const std::size_t end = std::min(text_.find(' ', at), text_.size());
      if (!term(text_.substr(at, end - at))) return std::unexpected(std::move(error_));
      at = end;
    }
    return std::move(record_);
  }

 private:
  bool fail(std::string_view where, std::string_view rule) {
    error_ = {.position = static_cast<std::size_t>(where.data() - text_.data()), .rule = std::string(rule)};
    return false;
  }

  /// §4.6.1: what is followed by "=" is a modifier, anything else must be a mechanism.
  bool term(std::string_view text) {
    std::size_t name = 0;
    if (is_alpha(text.front()))
      while (name < text.size() && (is_alpha(text[name]) || is_digit(text[name]) || text[name] == '-' ||
                                    text[name] == '_' || text[name] == '.'))
        ++name;
    if (name > 0 && name < text.size() && text[name] == '=')
      return modifier(text.substr(0, name), text.substr(name + 1));
    return directive(text);
  }

  bool modifier(std::string_view name, std::string_view value) {
    const bool redirect = same(name, "redirect");
    if (!redirect && !same(name, "exp")) {  // §6: unknown modifiers are ignored, but must be macro-strings
      const auto wrong = check_macro_string(value, MacroUse::domain);
      return wrong ? fail(value.substr(*wrong), "macro-string (§7.1)") : true;
    }
    std::string_view& member = redirect ? record_.redirect : record_.exp;
    if (!member.empty()) return fail(name, redirect ? "redirect once (§6)" : "exp once (§6)");
    if (!domain_spec(value)) return false;
    member = value;
    return true;
  }

  bool domain_spec(std::string_view value) {
    if (value.empty()) return fail(value, "domain-spec (§7.1)");
    const auto wrong = check_domain_spec(value);
    return wrong ? fail(value.substr(std::min(*wrong, value.size())), "domain-spec (§7.1)") : true;
  }

  bool directive(std::string_view text) {
    Directive directive{.text = text};
    std::string_view rest = text;
    switch (rest.front()) {
      case '+':
        rest.remove_prefix(1);
        break;
      case '-':
        directive.qualifier = Qualifier::fail;
        rest.remove_prefix(1);
        break;
      case '~':
        directive.qualifier = Qualifier::softfail;
        rest.remove_prefix(1);
        break;
      case '?':
        directive.qualifier = Qualifier::neutral;
        rest.remove_prefix(1);
        break;
      default:
        break;
    }
    const std::size_t name = std::min(rest.find_first_of(":/"), rest.size());
    const auto kind = mechanism(rest.substr(0, name));
    if (!kind) return fail(rest, "mechanism or modifier (§4.6.1)");
    directive.kind = *kind;
    rest.remove_prefix(name);
    if (!arguments(directive, rest)) return false;
    record_.has_all |= directive.kind == MechanismKind::all;
    record_.directives.push_back(directive);
    return true;
  }

  /// `rest` is empty or begins with ':' or '/'.
  bool arguments(Directive& directive, std::string_view rest) {
    switch (directive.kind) {
      case MechanismKind::all:  // §5.1
        return rest.empty() ? true : fail(rest, "nothing after all (§5.1)");
      case MechanismKind::include:  // §5.2
      case MechanismKind::exists:   // §5.7
        if (!rest.starts_with(':')) return fail(rest, "\":\" domain-spec (§5.2, §5.7)");
        directive.target = rest.substr(1);
        return domain_spec(directive.target);
      case MechanismKind::ptr:  // §5.5
        if (rest.empty()) return true;
        if (rest.front() != ':') return fail(rest, "\":\" domain-spec (§5.5)");
        directive.target = rest.substr(1);
        return domain_spec(directive.target);
      case MechanismKind::a:   // §5.3
      case MechanismKind::mx:  // §5.4
        return target_and_prefixes(directive, rest);
      case MechanismKind::ip4:
      case MechanismKind::ip6:
        return network(directive, rest);
    }
    return false;
  }

  bool target_and_prefixes(Directive& directive, std::string_view rest) {
    if (rest.starts_with(':')) {
      rest.remove_prefix(1);
      const std::size_t size = without_prefixes(rest);
      directive.target = rest.substr(0, size);
      if (!domain_spec(directive.target)) return false;
      rest.remove_prefix(size);
    }
    return prefixes(directive, rest);
  }

  /// A domain-spec may hold '/', but never ends in '/' and digits: dual-cidr-length is what stands there at
  /// the end.
  static std::size_t without_prefixes(std::string_view text) {
    std::size_t end = text.size();
    for (int part = 0; part < 2; ++part) {
      std::size_t digits = end;
      while (digits > 0 && is_digit(text[digits - 1])) --digits;
      if (digits == end || digits == 0 || text[digits - 1] != '/') {
        // "a:host/" and the like: the slash belongs to a broken cidr-length, which prefixes() then reports.
        if (part == 0 && end > 0 && text[end - 1] == '/') end = text.find_last_not_of('/') + 1;
        break;
      }
      end = digits - 1;
      if (end > 0 && text[end - 1] == '/') {  // "//": the ip6 part; an ip4 part may stand before
        --end;
        continue;
      }
      break;
    }
    return end;
  }

  bool prefixes(Directive& directive, std::string_view rest) {
    if (rest.empty()) return true;
    if (rest.front() != '/') return fail(rest, "dual-cidr-length (§5.3)");
    if (!rest.starts_with("//")) {
      const std::size_t end = std::min(rest.find('/', 1), rest.size());
      const auto bits = prefix_length(rest.substr(1, end - 1), 32);
      if (!bits) return fail(rest, "ip4-cidr-length of 0 to 32 (§5.3)");
      directive.v4_bits = *bits;
      rest.remove_prefix(end);
      if (rest.empty()) return true;
    }
    if (!rest.starts_with("//")) return fail(rest, "\"//\" ip6-cidr-length (§5.3)");
    const auto bits = prefix_length(rest.substr(2), 128);
    if (!bits) return fail(rest, "ip6-cidr-length of 0 to 128 (§5.3)");
    directive.v6_bits = *bits;
    return true;
  }

  /// §5.6.
  bool network(Directive& directive, std::string_view rest) {
    const bool v4 = directive.kind == MechanismKind::ip4;
    const std::string_view rule = v4 ? "ip4-network (§5.6)" : "ip6-network (§5.6)";
    if (!rest.starts_with(':')) return fail(rest, rule);
    rest.remove_prefix(1);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view address = rest.substr(0, slash);
    if (v4 == (address.find(':') != std::string_view::npos)) return fail(rest, rule);
    unsigned bits = v4 ? 32 : 128;
    if (slash < rest.size()) {
      const auto given = prefix_length(rest.substr(slash + 1), bits);
      if (!given) return fail(rest.substr(slash), "cidr-length (§5.6)");
      bits = *given;
    }
    const auto ip = Ip::parse(address);
    if (!ip) return fail(rest, rule);
    // An IPv4-mapped ip6 network is folded to IPv4 by Ip; §5 compares an IPv4 client with ip4 only, so it can
    // match nobody.
    if (ip->is_v4() != v4) {
      directive.network = Network{};
      return true;
    }
    const auto parsed = Network::parse(ip->text() + '/' + std::to_string(bits));
    if (!parsed) return fail(rest, rule);
    directive.network = *parsed;
    return true;
  }

  std::string_view text_;
  Record record_;
  SyntaxError error_;
};

}  // namespace

std::string_view to_string(MechanismKind kind) {
  switch (kind) {
    case MechanismKind::all:
      return "all";
    case MechanismKind::include:
      return "include";
    case MechanismKind::a:
      return "a";
    case MechanismKind::mx:
      return "mx";
    case MechanismKind::ptr:
      return "ptr";
    case MechanismKind::ip4:
      return "ip4";
    case MechanismKind::ip6:
      return "ip6";
    case MechanismKind::exists:
      return "exists";
  }
  return "";
}

bool is_spf(std::string_view text) {
  return text.size() >= kVersion.size() && same(text.substr(0, kVersion.size()), kVersion) &&
         (text.size() == kVersion.size() || text[kVersion.size()] == ' ');
}

std::expected<Record, SyntaxError> parse_record(std::string_view text) {
  return Reader(text).read();
}

}  // namespace postern::filters::spf
