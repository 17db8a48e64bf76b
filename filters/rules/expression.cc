#include "filters/rules/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "filters/message/content_field.h"
#include "filters/rules/facts.h"

namespace postern::filters::rules {
namespace {

constexpr std::size_t kNameOctetsMax = 100;
constexpr std::size_t kShownOctetsMax = 40;  // of a word in a problem

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Texts that are named by a word alone.
struct FieldRow {
  std::string_view word;
  Field field;
};
constexpr FieldRow kFields[] = {
    {"body", Field::body},
    {"hidden", Field::hidden},
    {"rawbody", Field::rawbody},
    {"message", Field::message},
    {"url", Field::url},
    {"url.host", Field::url_host},
    {"url.domain", Field::url_domain},
    {"header", Field::header_block},
    {"attachment.name", Field::attachment_name},
    {"attachment.type", Field::attachment_type},
    {"attachment.extension", Field::attachment_extension},
    {"envelope.from", Field::envelope_from},
    {"envelope.recipient", Field::envelope_recipient},
    {"envelope.helo", Field::envelope_helo},
    {"client.name", Field::client_name},
    {"client.ip", Field::client_ip},
};

constexpr std::string_view kMethods[] = {"spf", "dkim", "dmarc", "arc", "iprev"};

struct OperatorRow {
  std::string_view sign;
  Step::Kind kind;
  int binds;  ///< tighter the higher
};
// Longer signs before their beginnings.
constexpr OperatorRow kOperators[] = {
    {"||", Step::Kind::logical_or, 1}, {"&&", Step::Kind::logical_and, 2},
    {"==", Step::Kind::equal, 3},      {"!=", Step::Kind::not_equal, 3},
    {"<=", Step::Kind::less_equal, 4}, {">=", Step::Kind::greater_equal, 4},
    {"<", Step::Kind::less, 4},        {">", Step::Kind::greater, 4},
    {"|", Step::Kind::logical_or, 1},  {"&", Step::Kind::logical_and, 2},
    {"+", Step::Kind::add, 5},         {"-", Step::Kind::subtract, 5},
    {"*", Step::Kind::multiply, 6},    {"/", Step::Kind::divide, 6},
};

struct Failure {
  std::size_t position;
  std::string what;
};

class Parser {
 public:
  Parser(std::string_view text, const Place& place, Dialect dialect, RuleBook& book)
      : text_(text), place_(place), dialect_(dialect), book_(book) {}

  std::expected<Expression, Problem> run() {
    const bool read = expression(0);
    if (read && !failed_) {
      skip_blanks();
      if (at_ < text_.size()) fail(at_, fmt::format("\"{}\" is not expected here", word_at(at_)));
    }
    if (failed_) {
      Place where = place_;
      where.column += static_cast<unsigned>(failed_->position);
      return std::unexpected(Problem{.place = std::move(where), .what = std::move(failed_->what)});
    }
    return std::move(out_);
  }

 private:
  bool fail(std::size_t position, std::string what) {
    if (!failed_) failed_ = Failure{.position = position, .what = std::move(what)};
    return false;
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  bool take(std::string_view sign) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }

  std::string word_at(std::size_t at) const {
    std::size_t end = at;
    while (end < text_.size() && text_[end] != ' ' && text_[end] != '\t') ++end;
    return std::string(text_.substr(at, std::min(std::max(end, at + 1) - at, kShownOctetsMax)));
  }

  bool put(Step step) {
    if (out_.steps.size() >= Expression::kStepsMax)
      return fail(at_, fmt::format("the expression has more than {} steps", Expression::kStepsMax));
    out_.steps.push_back(step);
    return true;
  }

  const OperatorRow* operator_here() const {
    const std::string_view rest = text_.substr(at_);
    for (const OperatorRow& row : kOperators)
      if (rest.starts_with(row.sign)) return &row;
    return nullptr;
  }

  /// Precedence climbing: operators that bind at least as tightly as `binds`.
  bool expression(int binds) {
    if (++depth_ > Expression::kDepthMax) return fail(at_, "brackets are nested too deeply");
    if (!operand()) return false;
    for (;;) {
      skip_blanks();
      const OperatorRow* row = operator_here();
      if (row == nullptr || row->binds < binds) break;
      at_ += row->sign.size();
      if (!expression(row->binds + 1)) return false;
      if (!put({.kind = row->kind})) return false;
    }
    --depth_;
    return true;
  }

  bool operand() {
    skip_blanks();
    const std::size_t start = at_;
    if (at_ >= text_.size()) return fail(start, "the expression ends where a value is expected");
    const char c = text_[at_];
    if (c == '(') {
      ++at_;
      if (!expression(0)) return false;
      if (!take(")")) return fail(at_, "a closing bracket is missing");
      return true;
    }
    if (c == '!' || c == '-') {
      ++at_;
      if (++depth_ > Expression::kDepthMax) return fail(at_, "signs are nested too deeply");
      if (!operand()) return false;
      --depth_;
      return put({.kind = c == '!' ? Step::Kind::logical_not : Step::Kind::negate});
    }
    if (is_digit(c) || c == '.') return number();
    if (is_word(c)) return dialect_ == Dialect::postern ? word() : rule_name();
    return fail(start, fmt::format("a value is expected, found \"{}\"", word_at(start)));
  }

  bool number() {
    double value = 0;
    const char* const begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc()) return fail(at_, "not a number");
    at_ += static_cast<std::size_t>(end - begin);
    return put({.kind = Step::Kind::number, .number = value});
  }

  std::string_view take_word(bool dots) {
    const std::size_t start = at_;
    while (at_ < text_.size() && (is_word(text_[at_]) || (dots && text_[at_] == '.'))) ++at_;
    return text_.substr(start, at_ - start);
  }

  bool rule_name() {
    const std::size_t start = at_;
    const std::string_view name = take_word(false);
    if (!is_rule_name(name)) return fail(start, fmt::format("\"{}\" is no name of a rule", word_at(start)));
    return put({.kind = Step::Kind::rule, .index = book_.name(name)});
  }

  bool word() {
    const std::size_t start = at_;
    const std::string_view word = take_word(true);
    if (word == "count" && take("(")) {
      if (!looking(true)) return false;
      return take(")") || fail(at_, "a closing bracket is missing");
    }
    if (word == "header" && at_ < text_.size() && text_[at_] == '[') return header();
    if (word.starts_with("auth.")) return authentication(word.substr(5), start);
    if (word.starts_with("finding.")) {
      const std::string_view name = word.substr(8);
      if (!is_rule_name(name)) return fail(start, "the name of a finding is expected behind \"finding.\"");
      return put({.kind = Step::Kind::finding, .index = book_.name(name)});
    }
    if (is_field(word)) {
      at_ = start;
      return looking(false);
    }
    if (const auto fact = find_fact(word)) return put({.kind = Step::Kind::fact, .index = *fact});
    const bool is_name =
        std::ranges::all_of(word, [](char c) { return c == '_' || is_digit(c) || (c >= 'A' && c <= 'Z'); });
    if (is_name && is_rule_name(word)) return put({.kind = Step::Kind::rule, .index = book_.name(word)});
    return fail(start,
                fmt::format("\"{}\" is neither a fact, a field nor a rule", word.substr(0, kShownOctetsMax)));
  }

  static bool is_field(std::string_view word) {
    return word == "subject" || std::ranges::find(kFields, word, &FieldRow::word) != std::end(kFields);
  }

  /// FIELD ~ /…/, with "!~" for "nowhere".
  bool looking(bool counted) {
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view word = take_word(true);
    if (word == "header" && at_ < text_.size() && text_[at_] == '[') {
      auto subject = header_subject();
      return subject && comparison(*std::move(subject), counted);
    }
    if (word == "subject") return comparison({.field = Field::header, .name = "subject"}, counted);
    const auto row = std::ranges::find(kFields, word, &FieldRow::word);
    if (row == std::end(kFields)) return fail(start, fmt::format("\"{}\" is no field", word_at(start)));
    return comparison({.field = row->field}, counted);
  }

  bool authentication(std::string_view method, std::size_t start) {
    if (std::ranges::find(kMethods, method) == std::end(kMethods))
      return fail(start, "auth. is followed by spf, dkim, dmarc, arc or iprev");
    return comparison({.field = Field::authentication, .name = std::string(method)}, false);
  }

  /// header[NAME, NAME].form without what it is compared with; at_ is at the bracket.
  std::optional<Subject> header_subject() {
    const std::size_t close = text_.find(']', at_);
    if (close == std::string_view::npos) {
      fail(at_, "a closing \"]\" is missing");
      return std::nullopt;
    }
    Subject subject{.field = Field::header};
    bool bad = close == at_ + 1;
    for (const char c : text_.substr(at_ + 1, close - at_ - 1)) {
      if (c == ' ') continue;
      bad |= c <= 32 || c >= 127 || c == ':';
      subject.name += c;
    }
    if (bad) {
      fail(at_ + 1, "not the name of a header field");
      return std::nullopt;
    }
    subject.name = to_lower(subject.name);
    at_ = close + 1;
    if (at_ < text_.size() && text_[at_] == '.') {
      const std::size_t start = at_++;
      const std::string_view form = take_word(false);
      if (form == "raw") {
        subject.form = Form::raw;
      } else if (form == "address") {
        subject.form = Form::address;
      } else if (form == "name") {
        subject.form = Form::name;
      } else if (form == "domain") {
        subject.form = Form::domain;
      } else if (form == "count") {
        counting_ = true;
      } else {
        fail(start, "a field's forms are .raw, .address, .name, .domain and .count");
        return std::nullopt;
      }
    }
    return subject;
  }

  bool header() {
    counting_ = false;
    auto subject = header_subject();
    if (!subject) return false;
    if (std::exchange(counting_, false))
      return put({.kind = Step::Kind::count, .index = book_.subject(*std::move(subject))});
    return comparison(*std::move(subject), false);
  }

  bool comparison(Subject subject, bool counted) {
    if (counting_) return fail(at_, ".count is a number already");
    skip_blanks();
    const std::size_t start = at_;
    const bool inverted = take("!~");
    if (!inverted && !take("~")) return fail(start, "\"~\" or \"!~\" and a pattern are expected");
    skip_blanks();
    const std::size_t begin = at_;
    auto read = read_delimited(text_.substr(at_));
    if (!read) return fail(begin, std::move(read.error()));
    at_ += read->used;
    Pattern pattern{.subject = book_.subject(std::move(subject)),
                    .expression = std::string(read->expression),
                    .caseless = read->caseless,
                    .multiline = read->multiline,
                    .dotall = read->dotall,
                    .extended = read->extended,
                    .counted = counted,
                    .inverted = inverted,
                    .default_value = {},
                    .place = place_};
    pattern.place.column += static_cast<unsigned>(begin);
    return put({.kind = Step::Kind::pattern, .index = book_.pattern(std::move(pattern))});
  }

  std::string_view text_;
  const Place& place_;
  Dialect dialect_;
  RuleBook& book_;
  std::size_t at_ = 0;
  unsigned depth_ = 0;
  bool counting_ = false;
  std::optional<Failure> failed_;
  Expression out_;
};

char closing_of(char open) {
  switch (open) {
    case '{':
      return '}';
    case '(':
      return ')';
    case '[':
      return ']';
    case '<':
      return '>';
    default:
      return open;
  }
}

}  // namespace

std::expected<Delimited, std::string> read_delimited(std::string_view text) {
  std::size_t at = 0;
  if (text.starts_with('m') && text.size() > 1 && !is_word(text[1])) at = 1;
  if (at >= text.size() || (at == 0 && text[0] != '/'))
    return std::unexpected("a pattern is expected, as in /…/i");
  const char open = text[at], close = closing_of(open);
  const std::size_t start = ++at;
  unsigned depth = 1;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '\\') {
      at += 2;
      continue;
    }
    if (c == close && --depth == 0) break;
    if (c == open && open != close) ++depth;
    ++at;
  }
  if (at >= text.size()) return std::unexpected(fmt::format("the pattern has no closing \"{}\"", close));
  Delimited out{.expression = text.substr(start, at - start)};
  if (out.expression.empty()) return std::unexpected("the pattern is empty");
  if (out.expression.size() > Pattern::kExpressionOctetsMax)
    return std::unexpected(fmt::format("the pattern has more than {} octets", Pattern::kExpressionOctetsMax));
  for (++at; at < text.size() && is_word(text[at]); ++at) {
    switch (text[at]) {
      case 'i':
        out.caseless = true;
        break;
      case 'm':
        out.multiline = true;
        break;
      case 's':
        out.dotall = true;
        break;
      case 'x':
        out.extended = true;
        break;
      default:
        return std::unexpected(fmt::format("\"{}\" is no flag of a pattern: i, m, s, x", text[at]));
    }
  }
  out.used = at;
  return out;
}

bool is_rule_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameOctetsMax && !is_digit(name.front()) &&
         std::ranges::all_of(name, is_word);
}

std::expected<Expression, Problem> parse_expression(std::string_view text, const Place& place,
                                                    Dialect dialect, RuleBook& book) {
  return Parser(text, place, dialect, book).run();
}

}  // namespace postern::filters::rules
