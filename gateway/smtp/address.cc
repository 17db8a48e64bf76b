// Paths and mailboxes: RFC 5321 §4.1.2 and §4.1.3, with RFC 6531 §3.3. One pass from left to right.
#include "gateway/smtp/address.h"

#include <idn2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <utility>

#include "gateway/smtp/utf8.h"

namespace postern::smtp {
namespace {

/// RFC 1035 §2.3.4.
constexpr std::size_t kLabelOctetsMax = 63;
/// Without its angle brackets.
constexpr std::size_t kMailboxOctetsMax = kPathOctetsMax - 2;

// What was expected, as replies say it: ASCII only.
constexpr std::string_view kPathExpected = "a path in angle brackets";
constexpr std::string_view kPathEnd = "the closing bracket of the path";
constexpr std::string_view kNullForbidden = "a mailbox, the path may not be empty";
constexpr std::string_view kAtomExpected = "a word of the local part";
constexpr std::string_view kQuoteEnd = "the closing quote of the local part";
constexpr std::string_view kQuotedText = "printable text in the quoted local part";
constexpr std::string_view kQuotedPair = "a printable character after the backslash";
constexpr std::string_view kLocalPartTooLong = "a local part of at most 64 octets";
constexpr std::string_view kAtExpected = "an at sign";
constexpr std::string_view kLabelExpected = "a domain label";
constexpr std::string_view kLabelHyphen = "a letter or digit where the domain label has a hyphen";
constexpr std::string_view kLabelTooLong = "a domain label of at most 63 octets";
constexpr std::string_view kLabelNotIdn = "an internationalized label that IDNA2008 allows";
constexpr std::string_view kDomainTooLong = "a domain of at most 255 octets";
constexpr std::string_view kLiteral = "an address literal, [a.b.c.d] or [IPv6:address]";
constexpr std::string_view kLiteralEnd = "a closed address literal of at most 255 octets";
constexpr std::string_view kPathTooLong = "a path of at most 256 octets";
constexpr std::string_view kRouteEnd = "a comma or the colon after the source route";
constexpr std::string_view kEndExpected = "the end of the mailbox";
constexpr std::string_view kUtf8 = "UTF-8 (RFC 3629)";
constexpr std::string_view kAscii = "ASCII, UTF-8 needs SMTPUTF8";

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_let_dig(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool is_ascii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}

/// atext: RFC 5322 §3.2.3.
constexpr std::array<bool, 128> kAtext = [] {
  std::array<bool, 128> table{};
  for (unsigned c = 0; c < 128; ++c) table[c] = is_let_dig(static_cast<char>(c));
  for (const char c : std::string_view("!#$%&'*+-/=?^_`{|}~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();
constexpr bool is_atext(char c) {
  return is_ascii(c) && kAtext[static_cast<unsigned char>(c)];
}

bool same_text(std::string_view a, std::string_view lower_case) {
  return std::ranges::equal(a, lower_case, {}, lower);
}

/// Dot-string of §4.1.2; octets over 127 were checked when they were read.
bool is_dot_string(std::string_view local) {
  bool word = false;
  for (const char c : local) {
    if (c == '.') {
      if (!word) return false;
      word = false;
    } else if (is_atext(c) || !is_ascii(c)) {
      word = true;
    } else {
      return false;
    }
  }
  return word;
}

/// The A-label's length, or 0 when the label is no U-label (RFC 5890 §2.3.2.1). What maps to plain ASCII or
/// to several labels (full-width forms, the ideographic full stop) is none: the text would name another
/// domain than it shows.
std::size_t a_label_octets(const std::string& label) {
  std::uint8_t* converted = nullptr;
  const int result = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(label.c_str()), &converted,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (result != IDN2_OK) return 0;
  const std::string_view ascii(reinterpret_cast<const char*>(converted));
  const bool is_label = ascii.starts_with("xn--") && ascii.find('.') == std::string_view::npos;
  const std::size_t octets = is_label ? ascii.size() : 0;
  idn2_free(converted);
  return octets;
}

class Parser {
 public:
  Parser(std::string_view text, bool utf8) : text_(text), utf8_(utf8) {}

  /// §4.1.2: Reverse-path or Forward-path.
  bool path(PathKind kind, Path& out);
  /// §4.1.2: Mailbox.
  bool mailbox(Mailbox& out);

  bool at_end() const { return position_ == text_.size(); }
  std::size_t position() const { return position_; }
  bool fail_here(std::string_view rule) { return fail(position_, rule); }
  SyntaxError error() const { return {.position = error_position_, .rule = std::string(rule_)}; }

 private:
  bool route(Path& out);
  bool dot_string(std::string& out);
  bool quoted_string(std::string& out);
  bool domain(std::string& out);
  bool label(std::string& out, std::size_t& ascii_octets);
  bool literal(Mailbox& out);
  bool non_ascii(std::string& out);

  char peek() const { return at_end() ? '\0' : text_[position_]; }
  bool take(char wanted) {
    if (at_end() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }
  bool fail(std::size_t position, std::string_view rule) {
    error_position_ = position;
    rule_ = rule;
    return false;
  }

  std::string_view text_, rule_;
  std::size_t position_ = 0, error_position_ = 0;
  bool utf8_;
};

bool Parser::path(PathKind kind, Path& out) {
  const std::size_t begin = position_;
  if (!take('<')) return fail_here(kPathExpected);
  if (take('>')) {
    if (kind == PathKind::forward) return fail(begin, kNullForbidden);
    out.null = true;  // §4.5.5
    return true;
  }
  constexpr std::string_view kPostmaster = "postmaster>";
  if (kind == PathKind::forward && same_text(text_.substr(position_, kPostmaster.size()), kPostmaster)) {
    position_ += kPostmaster.size();  // §4.1.1.3: in any case, without a domain
    out.postmaster = true;
    return true;
  }
  if (peek() == '@' && !route(out)) return false;
  if (!mailbox(out.mailbox)) return false;
  if (!take('>')) return fail_here(kPathEnd);
  if (position_ - begin > kPathOctetsMax) return fail(begin + kPathOctetsMax, kPathTooLong);
  return true;
}

/// A-d-l ":". To be taken and ignored: §3.3 and appendix C. The caller's bound on the path is checked as it
/// goes, so that no more is kept than a path may hold.
bool Parser::route(Path& out) {
  do {
    if (!take('@')) return fail_here(kAtExpected);
    std::string hop;
    if (!domain(hop)) return false;
    if (position_ > kPathOctetsMax) return fail(kPathOctetsMax, kPathTooLong);
    out.route.push_back(std::move(hop));
  } while (take(','));
  return take(':') || fail_here(kRouteEnd);
}

bool Parser::mailbox(Mailbox& out) {
  const std::size_t begin = position_;
  out.quoted = peek() == '"';
  if (!(out.quoted ? quoted_string(out.local) : dot_string(out.local))) return false;
  // §4.5.3.1.1, as it stands on the wire
  if (position_ - begin > kLocalPartOctetsMax) return fail(begin + kLocalPartOctetsMax, kLocalPartTooLong);
  if (!take('@')) return fail_here(kAtExpected);
  if (!(peek() == '[' ? literal(out) : domain(out.domain))) return false;
  if (position_ - begin > kMailboxOctetsMax) return fail(begin + kMailboxOctetsMax, kPathTooLong);
  const auto over = [](char c) { return !is_ascii(c); };
  out.utf8 = std::ranges::any_of(out.local, over) || std::ranges::any_of(out.domain, over);
  return true;
}

/// Dot-string = Atom *("." Atom). A dot at an edge or beside another is no part of it.
bool Parser::dot_string(std::string& out) {
  for (;;) {
    const std::size_t word = position_;
    for (;;) {
      const std::size_t run = position_;
      while (position_ < text_.size() && is_atext(text_[position_])) ++position_;
      out.append(text_.substr(run, position_ - run));
      if (at_end() || is_ascii(text_[position_])) break;
      if (!non_ascii(out)) return false;
    }
    if (position_ == word) return fail_here(kAtomExpected);
    if (!take('.')) return true;
    out.push_back('.');
  }
}

/// Quoted-string of §4.1.2: blanks but no tab, and any printable ASCII after a backslash.
bool Parser::quoted_string(std::string& out) {
  ++position_;
  while (!at_end()) {
    const char c = text_[position_];
    if (!is_ascii(c)) {
      if (!non_ascii(out)) return false;
      continue;
    }
    if (c == '"') {
      ++position_;
      return true;
    }
    if (c == '\\') {
      ++position_;
      if (at_end() || peek() < ' ' || peek() > '~') return fail_here(kQuotedPair);
    } else if (c < ' ' || c > '~') {
      return fail_here(kQuotedText);
    }
    out.push_back(text_[position_++]);
  }
  return fail_here(kQuoteEnd);
}

/// Domain = sub-domain *("." sub-domain). The bound counts A-labels where there are U-labels (RFC 6531 §3.3).
bool Parser::domain(std::string& out) {
  const std::size_t begin = position_;
  std::size_t ascii_octets = 0;
  for (;;) {
    if (!label(out, ascii_octets)) return false;
    if (std::max(ascii_octets, out.size()) > kDomainOctetsMax) return fail(begin, kDomainTooLong);
    if (!take('.')) return true;
    out.push_back('.');
    ++ascii_octets;
  }
}

/// sub-domain = Let-dig [Ldh-str], or a U-label.
bool Parser::label(std::string& out, std::size_t& ascii_octets) {
  const std::size_t begin = position_;
  std::string label;
  bool wide = false;
  while (!at_end()) {
    const char c = text_[position_];
    if (is_ascii(c)) {
      if (!is_let_dig(c) && c != '-') break;
      label.push_back(lower(c));
      ++position_;
    } else {
      if (!non_ascii(label)) return false;
      wide = true;
    }
    if (label.size() > kDomainOctetsMax) return fail(begin, kLabelTooLong);
  }
  if (label.empty()) return fail_here(kLabelExpected);
  if (label.front() == '-') return fail(begin, kLabelHyphen);
  if (label.back() == '-') return fail(position_ - 1, kLabelHyphen);
  const std::size_t octets = wide ? a_label_octets(label) : label.size();
  if (octets == 0) return fail(begin, kLabelNotIdn);
  if (octets > kLabelOctetsMax) return fail(begin, kLabelTooLong);
  ascii_octets += octets;
  out.append(label);
  return true;
}

/// §4.1.3. Of tags there is only IPv6: no other was ever registered.
bool Parser::literal(Mailbox& out) {
  const std::size_t begin = position_;
  const std::size_t end = text_.substr(0, begin + kDomainOctetsMax).find(']', begin);
  if (end == std::string_view::npos) return fail(begin, kLiteralEnd);
  std::string_view inner = text_.substr(begin + 1, end - begin - 1);
  constexpr std::string_view kTag = "ipv6:";
  const bool tagged = same_text(inner.substr(0, kTag.size()), kTag);
  if (tagged) inner.remove_prefix(kTag.size());
  const auto ip = filters::Ip::parse(inner);
  const bool v6_text = inner.find(':') != std::string_view::npos;  // an IPv4-mapped address is folded to IPv4
  if (!ip || tagged != v6_text) return fail(begin + 1, kLiteral);
  out.literal = true;
  out.literal_ip = *ip;
  out.domain = tagged ? "[IPv6:" : "[";
  std::ranges::transform(inner, std::back_inserter(out.domain), lower);
  out.domain.push_back(']');
  position_ = end + 1;
  return true;
}

/// One UTF8-non-ascii of RFC 6531 §3.3. C1 controls are left out: they are no text, and some terminals obey
/// them.
bool Parser::non_ascii(std::string& out) {
  if (!utf8_) return fail_here(kAscii);
  const std::size_t octets = utf8_sequence(text_.substr(position_));
  const bool control =
      octets == 2 && text_[position_] == '\xc2' && static_cast<unsigned char>(text_[position_ + 1]) < 0xa0;
  if (octets == 0 || control) return fail_here(kUtf8);
  out.append(text_.substr(position_, octets));
  position_ += octets;
  return true;
}

}  // namespace

std::string Mailbox::normal_form() const {
  std::string form;
  form.reserve(local.size() + domain.size() + 3);
  if (is_dot_string(local)) {
    form = local;
  } else {
    form.push_back('"');
    for (const char c : local) {
      if (c == '"' || c == '\\') form.push_back('\\');
      form.push_back(c);
    }
    form.push_back('"');
  }
  form.push_back('@');
  form.append(domain);
  return form;
}

std::string Path::normal_form() const {
  if (null) return {};
  return postmaster ? "postmaster" : mailbox.normal_form();
}

std::expected<Mailbox, SyntaxError> parse_mailbox(std::string_view text, bool utf8) {
  Parser parser(text, utf8);
  Mailbox mailbox;
  if (!parser.mailbox(mailbox)) return std::unexpected(parser.error());
  if (!parser.at_end()) {
    parser.fail_here(kEndExpected);
    return std::unexpected(parser.error());
  }
  return mailbox;
}

std::expected<Path, SyntaxError> parse_path(std::string_view text, PathKind kind, bool utf8,
                                            std::size_t* consumed) {
  Parser parser(text, utf8);
  Path path;
  if (!parser.path(kind, path)) return std::unexpected(parser.error());
  if (consumed != nullptr) *consumed = parser.position();
  return path;
}

}  // namespace postern::smtp
