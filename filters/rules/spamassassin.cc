#include "filters/rules/spamassassin.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "filters/message/content_field.h"
#include "filters/rules/expression.h"
#include "filters/rules/expression_match.h"
#include "filters/rules/language.h"

namespace postern::filters::rules {
namespace {

constexpr double kScoreByDefault = 1.0;        // of a rule without a score, there as here
constexpr double kScoreOfTests = 0.01;         // "T_…"
constexpr std::string_view kVersion = "4.00";  // what "if (version >= …)" is compared with
constexpr std::size_t kConditionsMax = 100;    // nested

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) text.remove_suffix(1);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

/// A comment starts with "#" unless a backslash stands before it.
std::string_view without_comment(std::string_view line) {
  for (std::size_t at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1))
    if (at == 0 || line[at - 1] != '\\') return line.substr(0, at);
  return line;
}

/// A pattern of somebody else's must not spoil the whole set.
std::optional<std::string> pattern_problem(const Pattern& pattern) {
  const auto matcher = Matcher::compile(pattern);
  if (matcher) return std::nullopt;
  return "the pattern: " + matcher.error().what;
}

class Importer {
 public:
  Importer(std::string_view text, std::string_view file, RuleBook& book)
      : text_(text), file_(file), book_(book) {}

  std::vector<Problem> run() {
    std::size_t at = 0;
    while (at < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', at), text_.size());
      ++number_;
      line_ = trimmed(without_comment(text_.substr(at, end - at)));
      at_ = 0;
      if (!line_.empty()) line();
      at = end + 1;
    }
    settle();
    return std::move(skipped_);
  }

 private:
  struct Later {
    std::optional<double> score;
    std::string description;
    bool multiple = false;
    unsigned line = 0;
  };

  void skip(std::string what) {
    if (skipped_.size() >= kSkippedMax) return;
    skipped_.push_back(
        {.place = {.file = std::string(file_), .line = number_, .column = static_cast<unsigned>(at_) + 1},
         .what = std::move(what)});
  }

  std::string_view take_word() {
    while (at_ < line_.size() && is_blank(line_[at_])) ++at_;
    const std::size_t start = at_;
    while (at_ < line_.size() && !is_blank(line_[at_])) ++at_;
    return line_.substr(start, at_ - start);
  }
  std::string_view rest() {
    while (at_ < line_.size() && is_blank(line_[at_])) ++at_;
    return line_.substr(at_);
  }
  bool taken() const { return std::ranges::find(conditions_, false) == conditions_.end(); }

  void line() {
    const std::string_view word = take_word();
    if (word == "ifplugin" || word == "if") return open_condition(word == "if" && holds(rest()));
    if (word == "else") {
      if (!conditions_.empty()) conditions_.back() = !conditions_.back();
      return;
    }
    if (word == "endif") {
      if (!conditions_.empty()) conditions_.pop_back();
      return;
    }
    if (word == "lang") return;  // what is said in another language
    const bool of_rules = word == "header" || word == "body" || word == "rawbody" || word == "uri" ||
                          word == "full" || word == "meta" || word == "score" || word == "describe" ||
                          word == "tflags";
    if (!of_rules) {
      if (taken()) skip(fmt::format("\"{}\" is no rule of a kind that is read here", word.substr(0, 40)));
      return;
    }
    const std::string_view name = take_word();
    if (!taken()) {
      if (word != "score" && word != "describe" && word != "tflags")
        skip(fmt::format("{}: its condition (ifplugin, if) does not hold here", name.substr(0, 40)));
      return;
    }
    if (!is_rule_name(name)) return skip(fmt::format("\"{}\" is no name of a rule", name.substr(0, 40)));
    if (word == "score") return score(name);
    if (word == "describe") {
      later_[std::string(name)].description = std::string(rest());
    } else if (word == "tflags") {
      tflags(name);
    } else {
      rule(word, name);
    }
  }

  void open_condition(bool value) {
    if (conditions_.size() >= kConditionsMax) return skip("conditions are nested too deeply");
    conditions_.push_back(value);
  }

  /// "(version >= 3.004)", "!plugin(…)"; nobody has plugins here, and "can(…)" asks for what they bring.
  static bool holds(std::string_view condition) {
    std::string text;
    for (const char c : condition)
      if (!is_blank(c) && c != '(' && c != ')') text += c;
    if (text.starts_with("!plugin") || text.starts_with("!can")) return text.find("&&") == std::string::npos;
    if (!text.starts_with("version")) return false;
    const std::string_view wanted = std::string_view(text).substr(7);
    for (const std::string_view sign : {">=", "<=", ">", "<", "=="}) {
      if (!wanted.starts_with(sign)) continue;
      const int order = kVersion.compare(wanted.substr(sign.size()));
      if (sign == ">=") return order >= 0;
      if (sign == "<=") return order <= 0;
      if (sign == ">") return order > 0;
      return sign == "<" ? order < 0 : order == 0;
    }
    return false;
  }

  /// One number, or four: without and with network tests and training. The second is the one for a gateway without its classifier.
  void score(std::string_view name) {
    double points[4] = {};
    std::size_t count = 0;
    for (std::string_view word = take_word(); !word.empty(); word = take_word()) {
      if (count == 4 || !read_score(word, points[count]))
        return skip(fmt::format("{}: the score cannot be read", name));
      ++count;
    }
    if (count == 0) return skip(fmt::format("{}: the score is missing", name));
    Later& later = later_[std::string(name)];
    later.score = points[count > 1 ? 1 : 0];
    later.line = number_;
  }

  void tflags(std::string_view name) {
    for (std::string_view word = take_word(); !word.empty(); word = take_word())
      if (word == "multiple") later_[std::string(name)].multiple = true;
  }

  void rule(std::string_view kind, std::string_view name) {
    const Place place{.file = std::string(file_), .line = number_, .column = 1};
    Rule* known = book_.find(name);
    if (known != nullptr && !known->imported)
      return skip(fmt::format("{} is a rule of {}:{} already", name, known->place.file, known->place.line));
    if (known == nullptr && book_.rules.size() >= RuleBook::kRulesMax) return skip("too many rules");
    auto expression = kind == "meta" ? meta(name) : kind == "header" ? header(name) : text_rule(kind, name);
    if (!expression) return;
    if (known == nullptr) {
      Rule made;
      made.name = std::string(name);
      made.imported = true;
      made.score = name.starts_with("T_") ? kScoreOfTests : kScoreByDefault;
      known = &book_.add(std::move(made));
    }
    known->when = *std::move(expression);
    known->place = place;
  }

  std::optional<Expression> meta(std::string_view name) {
    const std::string_view text = rest();
    if (text.find("rules_matching(") != std::string_view::npos) {
      skip(fmt::format("{}: rules_matching() is not known here", name));
      return std::nullopt;
    }
    const Place place{.file = std::string(file_), .line = number_, .column = static_cast<unsigned>(at_) + 1};
    auto read = parse_expression(text, place, Dialect::spamassassin, book_);
    if (read) return *std::move(read);
    if (skipped_.size() < kSkippedMax) skipped_.push_back(std::move(read.error()));
    return std::nullopt;
  }

  std::optional<Expression> text_rule(std::string_view kind, std::string_view name) {
    Pattern pattern;
    Field field = Field::message;
    if (kind == "body") field = Field::body;
    if (kind == "rawbody") field = Field::rawbody;
    if (kind == "uri") field = Field::url;
    if (!read_pattern(name, pattern)) return std::nullopt;
    // There each paragraph is a text of its own, here a line.
    if (field == Field::body && !pattern.dotall) pattern.multiline = true;
    return looking({.field = field}, std::move(pattern));
  }

  std::optional<Expression> header(std::string_view name) {
    const std::string_view field = take_word();
    if (field.starts_with("exists:")) {
      Expression expression;
      expression.steps.push_back(
          {.kind = Step::Kind::count,
           .index = book_.subject({.field = Field::header, .name = to_lower(field.substr(7))})});
      return expression;
    }
    auto subject = header_subject(field);
    if (!subject) {
      skip(fmt::format("{}: \"{}\" needs a plugin", name, field.substr(0, 40)));
      return std::nullopt;
    }
    const std::string_view sign = take_word();
    if (sign != "=~" && sign != "!~") {
      skip(fmt::format("{}: =~ or !~ is expected", name));
      return std::nullopt;
    }
    Pattern pattern;
    if (!read_pattern(name, pattern)) return std::nullopt;
    pattern.inverted = sign == "!~";
    if (subject->field == Field::header_block) pattern.multiline = true;
    return looking(*std::move(subject), std::move(pattern));
  }

  static std::optional<Subject> header_subject(std::string_view field) {
    if (field.starts_with("eval:") || field.starts_with("X-Spam-Relays") || field.empty())
      return std::nullopt;
    const std::size_t colon = std::min(field.find(':'), field.size());
    const std::string name = to_lower(field.substr(0, colon));
    const std::string_view form = field.substr(std::min(colon + 1, field.size()));
    if (name == "all") return Subject{.field = Field::header_block};
    if (name == "envelopefrom") return Subject{.field = Field::envelope_from};
    Subject subject{.field = Field::header, .name = name};
    if (name == "tocc") subject.name = "to,cc";
    if (name == "messageid") subject.name = "message-id,x-message-id,resent-message-id";
    if (form == "raw") subject.form = Form::raw;
    if (form == "addr") subject.form = Form::address;
    if (form == "name") subject.form = Form::name;
    if (!form.empty() && subject.form == Form::decoded) return std::nullopt;
    return subject;
  }

  /// /…/flags and perhaps "[if-unset: …]".
  bool read_pattern(std::string_view name, Pattern& pattern) {
    const std::string_view text = rest();
    if (text.starts_with("eval:")) {
      skip(fmt::format("{}: \"eval:\" needs a plugin", name));
      return false;
    }
    auto read = read_delimited(text);
    if (!read) {
      skip(fmt::format("{}: {}", name, read.error()));
      return false;
    }
    pattern.expression = std::string(read->expression);
    pattern.caseless = read->caseless;
    pattern.multiline = read->multiline;
    pattern.dotall = read->dotall;
    pattern.extended = read->extended;
    pattern.place = {.file = std::string(file_), .line = number_, .column = static_cast<unsigned>(at_) + 1};
    at_ += read->used;
    const std::string_view behind = rest();
    constexpr std::string_view kUnset = "[if-unset:";
    if (behind.starts_with(kUnset) && behind.ends_with(']')) {
      pattern.has_default = true;
      pattern.default_value =
          std::string(trimmed(behind.substr(kUnset.size(), behind.size() - kUnset.size() - 1)));
    } else if (!behind.empty()) {
      skip(fmt::format("{}: \"{}\" behind the pattern is not understood", name, behind.substr(0, 40)));
      return false;
    }
    if (const auto wrong = pattern_problem(pattern)) {
      skip(fmt::format("{}: {}", name, *wrong));
      return false;
    }
    return true;
  }

  Expression looking(Subject subject, Pattern pattern) {
    pattern.subject = book_.subject(std::move(subject));
    Expression expression;
    expression.steps.push_back({.kind = Step::Kind::pattern, .index = book_.pattern(std::move(pattern))});
    return expression;
  }

  /// What was said about rules, wherever in the file.
  void settle() {
    for (auto& [name, later] : later_) {
      Rule* const rule = book_.find(name);
      if (rule == nullptr) {
        if (!later.score) continue;
        number_ = later.line;
        at_ = 0;
        skip(fmt::format("score of {}, which is no rule", name));
        continue;
      }
      if (later.score) {
        rule->score = *later.score;
        rule->scores.clear();
        rule->scored = true;
        rule->off = rule->score == 0;
      }
      if (!later.description.empty() && rule->imported) rule->description = std::move(later.description);
      if (!later.multiple) continue;
      for (const Step& step : rule->when.steps)
        if (step.kind == Step::Kind::pattern) book_.patterns[step.index].counted = true;
    }
  }

  std::string_view text_, file_;
  RuleBook& book_;
  std::string_view line_;
  std::size_t at_ = 0;
  unsigned number_ = 0;
  std::vector<bool> conditions_;
  std::map<std::string, Later> later_;
  std::vector<Problem> skipped_;
};

}  // namespace

std::vector<Problem> import_spamassassin(std::string_view text, std::string_view file, RuleBook& book) {
  return Importer(text, file, book).run();
}

}  // namespace postern::filters::rules
