#include <algorithm>
#include <charconv>
#include <optional>

#include "filters/authentication/results/field.h"

namespace postern::filters::results {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}
bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
/// token of RFC 2045 §5.1.
bool is_token(char c) {
  return c > ' ' && c < 0x7f && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

struct KnownResults {
  std::string_view method, results;
};
/// The registry of RFC 8601 §6.6 for the methods that matter here; any other method may have any result (§2.7.6).
constexpr KnownResults kKnown[] = {
    {"dkim", " none pass fail policy neutral temperror permerror "},
    {"spf", " none pass fail softfail policy neutral temperror permerror "},
    {"dmarc", " none pass fail temperror permerror "},
};

class Reader {
 public:
  Reader(std::string_view text, const ParseOptions& options) : text_(text), options_(options) {}

  std::expected<Field, ParseError> read() {
    if (!header() || !all_results()) return std::unexpected(std::move(error_));
    return std::move(field_);
  }

 private:
  bool fail(std::string_view rule) {
    if (error_.rule.empty()) error_ = {.position = at_, .rule = std::string(rule)};
    return false;
  }
  bool at_end() const { return at_ == text_.size(); }
  char next() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (next() != c || at_end()) return false;
    ++at_;
    return true;
  }

  /// CFWS. False: a comment without an end, or nested beyond all reason.
  bool blanks() {
    while (!at_end()) {
      if (is_blank(text_[at_])) {
        ++at_;
      } else if (text_[at_] != '(') {
        break;
      } else if (!comment()) {
        return false;
      }
    }
    return true;
  }

  bool comment() {
    unsigned depth = 0;
    for (; !at_end(); ++at_) {
      const char c = text_[at_];
      if (c == '\\') {
        if (++at_ == text_.size()) break;
      } else if (c == '(') {
        if (++depth > kCommentDepthMax) return fail("fewer comments in comments");
      } else if (c == ')' && --depth == 0) {
        ++at_;
        return true;
      }
    }
    at_ = std::min(at_, text_.size());
    return fail("the end of a comment");
  }

  bool quoted(std::string& out) {
    ++at_;
    for (; !at_end(); ++at_) {
      char c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '\\' && at_ + 1 < text_.size()) c = text_[++at_];
      if (c == '\r' || c == '\n') continue;  // folding
      if (static_cast<unsigned char>(c) >= 0x80 && !options_.internationalized) return fail("US-ASCII");
      out += c;
    }
    return fail("the end of a quoted-string");
  }

  /// value = token / quoted-string.
  bool value(std::string& out, std::string_view rule) {
    if (next() == '"') return quoted(out);
    const std::size_t begin = at_;
    while (!at_end() && is_token(text_[at_])) ++at_;
    out = std::string(text_.substr(begin, at_ - begin));
    return at_ > begin || fail(rule);
  }

  /// pvalue: a value, or an address, or "@" and a domain. Relaxed: whatever is no blank and no semicolon.
  bool property_value(std::string& out) {
    if (next() == '"') {
      if (!quoted(out)) return false;
      if (next() != '@') return true;
    }
    const std::size_t begin = at_;
    bool at_sign = false;
    while (!at_end()) {
      const char c = text_[at_];
      const bool eight_bit = static_cast<unsigned char>(c) >= 0x80;
      if (c == '@' && !at_sign) {
        at_sign = true;
      } else if (eight_bit) {
        if (!options_.internationalized) return fail("US-ASCII");
      } else if (!is_token(c) && !(at_sign && (c == '[' || c == ']' || c == ':'))) {
        if (!options_.relaxed || is_blank(c) || c == ';' || c == '(' || c == '"') break;
      }
      ++at_;
    }
    out += text_.substr(begin, at_ - begin);
    return at_ > begin || !out.empty() || fail("a property's value");
  }

  /// Keyword of RFC 5321 §4.1.2 (ldh-str).
  bool keyword(std::string& out, std::string_view rule, bool underscore = false) {
    const std::size_t begin = at_;
    while (!at_end() &&
           (is_alphanumeric(text_[at_]) || text_[at_] == '-' || (underscore && text_[at_] == '_')))
      ++at_;
    out = std::string(text_.substr(begin, at_ - begin));
    return at_ > begin || fail(rule);
  }

  bool number(unsigned& out) {
    const auto [end, problem] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), out);
    if (problem != std::errc{}) return fail("a version number");
    at_ = static_cast<std::size_t>(end - text_.data());
    return true;
  }

  /// authserv-id [version]
  bool header() {
    if (!blanks()) return false;
    if (options_.relaxed && starts_with_result()) return true;  // no authserv-id at all
    if (!value(field_.authserv_id, "authserv-id")) return false;
    const std::size_t before = at_;
    if (!blanks()) return false;
    if (!at_end() && next() >= '0' && next() <= '9') {
      if (at_ == before) return fail("a blank before the version");
      if (!number(field_.version) || !blanks()) return false;
    }
    return at_end() || next() == ';' || fail("\";\"");
  }

  bool starts_with_result() {
    const std::size_t before = at_;
    std::string word;
    const bool is_result = keyword(word, "") && next() == '=';
    at_ = before;
    error_ = {};
    return is_result;
  }

  bool all_results() {
    bool first = true;
    while (true) {
      if (!blanks()) return false;
      if (at_end()) return !first || options_.relaxed || fail("\";\" and a result");
      const bool separated = take(';');
      if (!separated && !(first && options_.relaxed && field_.authserv_id.empty())) return fail("\";\"");
      if (!blanks()) return false;
      if (at_end()) return options_.relaxed || fail("a result");
      if (first && none()) return true;
      first = false;
      if (field_.results.size() == kResultsMax) return fail("fewer results");
      if (!result()) return false;
    }
  }

  /// no-result = ";" "none", and nothing behind.
  bool none() {
    const std::size_t before = at_;
    std::string word;
    if (keyword(word, "") && lowered(word) == "none" && blanks() && at_end()) return true;
    at_ = before;
    error_ = {};
    return false;
  }

  /// methodspec [reasonspec] *propspec
  bool result() {
    MethodResult found;
    if (!keyword(found.method, "a method") || !blanks()) return false;
    found.method = lowered(found.method);
    if (take('/') && (!blanks() || !number(found.version) || !blanks())) return false;
    if (!take('=')) return fail("\"=\"");
    if (!blanks() || !keyword(found.result, "a result", true)) return false;
    if (!check_result(found)) return false;
    found.result = lowered(found.result);
    if (!properties(found)) return false;
    field_.results.push_back(std::move(found));
    return true;
  }

  bool check_result(const MethodResult& found) {
    if (options_.relaxed) return true;
    const auto known = std::ranges::find(kKnown, found.method, &KnownResults::method);
    if (known == std::end(kKnown)) return true;
    // RFC 4408 printed SPF's results with a capital, and many still write them so.
    const std::string result = found.method == "spf" ? lowered(found.result) : found.result;
    return known->results.find(' ' + result + ' ') != std::string_view::npos ||
           fail("a result that the method has");
  }

  bool properties(MethodResult& found) {
    while (true) {
      const std::size_t before = at_;
      if (!blanks()) return false;
      if (at_end() || next() == ';') return true;
      if (at_ == before) return fail("a blank or \";\"");
      std::string type, name, text;
      if (!keyword(type, "a property type") || !blanks()) return false;
      if (take('=')) {  // reason, and what Outlook writes in the same form
        const std::string word = lowered(type);
        if (!blanks()) return false;
        if (word == "reason" && found.properties.empty() && found.reason.empty()) {
          if (!value(found.reason, "a reason")) return false;
        } else if (!options_.relaxed || !property_value(text)) {
          return fail("\".\"");
        }
        continue;
      }
      if (!take('.')) return fail("\".\"");
      if (!blanks() || !keyword(name, "a property", true) || !blanks()) return false;
      if (!take('=')) return fail("\"=\"");
      if (!blanks() || !property_value(text)) return false;
      found.properties.emplace_back(lowered(type) + '.' + lowered(name), std::move(text));
    }
  }

  std::string_view text_;
  const ParseOptions& options_;
  std::size_t at_ = 0;
  Field field_;
  ParseError error_;
};

}  // namespace

std::expected<Field, ParseError> parse(std::string_view value, const ParseOptions& options) {
  return Reader(value, options).read();
}

std::string claimed_authserv_id(std::string_view value) {
  // Comments and quotes off, up to the first blank or semicolon behind something.
  std::string id;
  unsigned depth = 0;
  bool in_quotes = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (in_quotes) {
      if (c == '\\' && i + 1 < value.size()) {
        id += lower(value[++i]);
      } else if (c == '"') {
        in_quotes = false;
      } else {
        id += lower(c);
      }
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      depth -= depth > 0 ? 1 : 0;
    } else if (depth > 0) {
      i += c == '\\' ? 1 : 0;
    } else if (c == '"') {
      in_quotes = true;
    } else if (c == ';' || (is_blank(c) && !id.empty())) {
      break;
    } else if (!is_blank(c)) {
      id += lower(c);
    }
  }
  while (id.ends_with('.')) id.pop_back();
  return id;
}

}  // namespace postern::filters::results
