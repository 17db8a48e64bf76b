#include "filters/message/content_field.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace postern::filters {
namespace {

constexpr std::size_t kPieceNumberMax = 9999;  // of RFC 2231 §3; bounds the arithmetic, not the memory

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
  return -1;
}

/// Percent signs before two hexadecimal digits; others stand.
std::string without_percents(std::string_view text) {
  std::string octets;
  octets.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      octets += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      octets += text[i];
    }
  }
  return octets;
}

/// name*3* taken apart: RFC 2231 §4.1.
struct Piece {
  std::string name;
  std::optional<std::size_t> number;
  bool extended = false;
  std::string value;
  bool quoted = false;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  StructuredField run() {
    field_.value = to_lower(bare_value(true));
    while (at_ < text_.size()) {
      ++at_;  // the semicolon
      parameter();
    }
    join();
    return std::move(field_);
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size()) {
      if (is_blank(text_[at_])) {
        ++at_;
      } else if (text_[at_] == '(') {
        skip_comment();
      } else {
        return;
      }
    }
  }

  void skip_comment() {
    unsigned depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\') {
        ++at_;
      } else if (c == '(') {
        ++depth;
      } else if (c == ')' && --depth == 0) {
        ++at_;
        return;
      }
    }
    at_ = text_.size();
    field_.oddities.add(Oddity::parameter_broken);
  }

  /// Up to the semicolon. Blanks inside stay, except in the value before the parameters; a comment counts only after a blank, so that
  /// name=report(1).pdf keeps its number.
  std::string bare_value(bool squeeze) {
    std::string value;
    skip_blanks();
    bool blank = false;
    while (at_ < text_.size() && text_[at_] != ';') {
      const char c = text_[at_];
      if (c == '(' && (blank || squeeze)) {
        skip_comment();
        continue;
      }
      if (c == '\n' && !value.empty() && parameter_follows(at_ + 1)) {
        field_.oddities.add(Oddity::parameter_broken);  // a forgotten semicolon at the end of a line
        break;
      }
      blank = is_blank(c);
      if (c != '\r' && c != '\n' && !(squeeze && blank)) value += c;
      ++at_;
    }
    while (!value.empty() && is_blank(value.back())) value.pop_back();
    return value;
  }

  /// Whether a name and "=" come next. Looks at no more than kLookAhead octets.
  bool parameter_follows(std::size_t from) const {
    constexpr std::size_t kLookAhead = 64;
    const std::size_t end = std::min(text_.size(), from + kLookAhead);
    while (from < end && is_blank(text_[from])) ++from;
    const std::size_t begin = from;
    while (from < end && (text_[from] == '*' || text_[from] == '-' || text_[from] == '_' ||
                          (lower(text_[from]) >= 'a' && lower(text_[from]) <= 'z') ||
                          (text_[from] >= '0' && text_[from] <= '9')))
      ++from;
    return from > begin && from < end && text_[from] == '=';
  }

  /// In front of it the quotation mark. Only the quotation mark and the backslash can be quoted: a path of another system is written
  /// with single backslashes more often than anything else is quoted.
  std::string quoted_value() {
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        skip_blanks();
        if (at_ < text_.size() && text_[at_] != ';') {
          field_.oddities.add(Oddity::parameter_broken);
          // A forgotten semicolon, or a quotation mark inside: what follows is dropped up to the next parameter.
          at_ = parameter_follows(at_) ? at_ - 1 : std::min(text_.find(';', at_), text_.size());
        }
        return value;
      }
      if (c == '\\' && at_ + 1 < text_.size() && (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\')) {
        value += text_[++at_];
      } else if (c != '\r' && c != '\n') {
        value += c;
      }
    }
    field_.oddities.add(Oddity::parameter_broken);
    while (!value.empty() && (is_blank(value.back()) || value.back() == ';')) value.pop_back();
    return value;
  }

  void parameter() {
    skip_blanks();
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '=' && text_[at_] != ';') ++at_;
    std::string_view name = text_.substr(begin, at_ - begin);
    while (!name.empty() && is_blank(name.back())) name.remove_suffix(1);
    if (at_ == text_.size() || text_[at_] == ';') {
      if (!name.empty()) field_.oddities.add(Oddity::parameter_broken);
      return;
    }
    ++at_;
    skip_blanks();
    Piece piece;
    piece.quoted = at_ < text_.size() && text_[at_] == '"';
    piece.value = piece.quoted ? quoted_value() : bare_value(false);
    if (name.empty()) {
      field_.oddities.add(Oddity::parameter_broken);
      return;
    }
    name_piece(name, piece);
    if (pieces_.size() == StructuredField::kParametersMax) {
      field_.oddities.add(Oddity::parameter_limit);
      return;
    }
    pieces_.push_back(std::move(piece));
  }

  static void name_piece(std::string_view name, Piece& piece) {
    const std::size_t star = name.find('*');
    piece.name = to_lower(name.substr(0, star));
    if (star == std::string_view::npos) return;
    std::string_view rest = name.substr(star + 1);
    piece.extended = rest.empty() || rest.ends_with('*');
    if (rest.ends_with('*')) rest.remove_suffix(1);
    if (rest.empty()) return;
    std::size_t number = 0;
    for (const char c : rest) {
      if (c < '0' || c > '9' || number > kPieceNumberMax) {
        piece = {.name = to_lower(name),
                 .number = {},
                 .extended = false,
                 .value = std::move(piece.value),
                 .quoted = piece.quoted};
        return;
      }
      number = number * 10 + static_cast<std::size_t>(c - '0');
    }
    piece.number = number;
  }

  /// RFC 2231 §3, §4: pieces in the order of their numbers. A parameter in that form wins over a plain one of the same name, which
  /// senders add for old readers.
  void join() {
    std::vector<const Piece*> ordered;
    for (const Piece& piece : pieces_) ordered.push_back(&piece);
    std::ranges::sort(ordered, [](const Piece* a, const Piece* b) {
      return a->number != b->number ? a->number < b->number : a < b;  // within a number as they stand
    });
    std::vector<bool> plain;  // of field_.parameters, at the same index
    std::vector<std::size_t> next;
    for (const Piece* each : ordered) {
      const Piece& piece = *each;
      const auto known = std::ranges::find(field_.parameters, piece.name, &Parameter::name);
      const auto index = static_cast<std::size_t>(known - field_.parameters.begin());
      const bool is_plain = !piece.extended && !piece.number;
      if (known == field_.parameters.end()) {
        field_.parameters.push_back({.name = piece.name, .value = {}, .charset = {}, .quoted = piece.quoted});
        plain.push_back(is_plain);
        next.push_back(0);
      } else if (plain[index] && !is_plain) {
        *known = {.name = piece.name, .value = {}, .charset = {}, .quoted = piece.quoted};
        plain[index] = false;
        next[index] = 0;
      } else if (is_plain || !piece.number || next[index] == 0 || *piece.number < next[index]) {
        if (is_plain == plain[index]) field_.oddities.add(Oddity::parameter_repeated);
        continue;
      }
      Parameter& parameter = field_.parameters[index];
      if (piece.number && *piece.number != next[index]) field_.oddities.add(Oddity::parameter_gap);
      next[index] = piece.number.value_or(0) + 1;
      append(parameter, piece, !piece.number || *piece.number == 0);
    }
  }

  static void append(Parameter& parameter, const Piece& piece, bool first) {
    if (!piece.extended) {
      parameter.value += piece.value;
      return;
    }
    std::string_view value = piece.value;
    if (first) {  // charset "'" language "'" text
      const std::size_t charset_end = value.find('\'');
      const std::size_t language_end =
          charset_end == std::string_view::npos ? charset_end : value.find('\'', charset_end + 1);
      if (language_end != std::string_view::npos) {
        parameter.charset = to_lower(value.substr(0, charset_end));
        value.remove_prefix(language_end + 1);
      }
    }
    parameter.value += without_percents(value);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  StructuredField field_;
  std::vector<Piece> pieces_;
};

}  // namespace

const Parameter* StructuredField::find(std::string_view name) const {
  const auto found = std::ranges::find(parameters, name, &Parameter::name);
  return found == parameters.end() ? nullptr : &*found;
}

StructuredField parse_structured_field(std::string_view value) {
  return Reader(value).run();
}

bool is_media_type(std::string_view value) {
  const std::size_t slash = value.find('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < value.size() &&
         value.find('/', slash + 1) == std::string_view::npos && std::ranges::all_of(value, [](char c) {
           return c > 32 && c < 127 && std::string_view("()<>@,;:\\\"[]?=").find(c) == std::string_view::npos;
         });
}

std::string to_lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = lower(c);
  return result;
}

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace postern::filters
