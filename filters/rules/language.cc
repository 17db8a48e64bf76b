#include "filters/rules/language.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "filters/rules/expression.h"

namespace postern::filters::rules {
namespace {

constexpr double kScoreMax = 1000;
constexpr std::string_view kPieces[] = {"body", "html", "header", "attach", "envelope", "auth", "message"};

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

/// A hexadecimal digit's value, or -1.
int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Reader {
 public:
  Reader(std::string_view text, std::string_view file, RuleBook& book)
      : text_(text), file_(file), book_(book) {}

  std::vector<Problem> run() {
    std::size_t at = 0;
    while (at < text_.size() && problems_.size() < kProblemsMax) {
      const std::size_t end = std::min(text_.find('\n', at), text_.size());
      ++number_;
      line_ = trimmed(text_.substr(at, end - at));
      at_ = 0;
      line();
      at = end + 1;
    }
    end_rule();
    return std::move(problems_);
  }

 private:
  Place place(std::size_t at) const {
    return {.file = std::string(file_), .line = number_, .column = static_cast<unsigned>(at) + 1};
  }
  void problem(std::size_t at, std::string what) {
    problems_.push_back({.place = place(at), .what = std::move(what)});
    rule_bad_ = true;
  }

  void skip_blanks() {
    while (at_ < line_.size() && is_blank(line_[at_])) ++at_;
  }
  std::string_view take_word() {
    skip_blanks();
    const std::size_t start = at_;
    while (at_ < line_.size() && !is_blank(line_[at_])) ++at_;
    return line_.substr(start, at_ - start);
  }
  bool at_end() {
    skip_blanks();
    return at_ >= line_.size();
  }

  void line() {
    skip_blanks();
    if (at_ >= line_.size() || line_[at_] == '#') return;
    const std::size_t start = at_;
    const std::string_view word = take_word();
    if (word == "rule") return begin_rule();
    if (word == "group" && (!open_ || start == 0)) return group();
    if (!open_) {
      problem(start, fmt::format("\"{}\": a line starts with rule, group or #", word.substr(0, 40)));
      return;
    }
    if (word == "describe") return describe();
    if (word == "score") return score();
    if (word == "group") return join_group();
    if (word == "when") return when();
    if (word == "match" || word == "nomatch") return sample(word == "match", start);
    problem(start, fmt::format("\"{}\" is no part of a rule: describe, score, group, when, match, nomatch",
                               word.substr(0, 40)));
  }

  void begin_rule() {
    end_rule();
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view name = take_word();
    rule_ = {};
    rule_.name = std::string(name);
    rule_.place = place(start);
    open_ = true;
    rule_bad_ = false;
    const bool upper = std::ranges::none_of(name, [](char c) { return c >= 'a' && c <= 'z'; });
    if (!is_rule_name(name) || !upper) {
      problem(start, fmt::format("\"{}\" is no name of a rule: A-Z, 0-9 and _", name.substr(0, 40)));
    } else if (const Rule* known = book_.find(name)) {
      problem(start, fmt::format("{} is already at {}:{}", name, known->place.file, known->place.line));
    } else if (book_.rules.size() >= RuleBook::kRulesMax) {
      problem(start, fmt::format("more than {} rules", RuleBook::kRulesMax));
    } else if (!at_end()) {
      problem(at_, "nothing stands behind a rule's name");
    }
  }

  void end_rule() {
    if (!open_) return;
    open_ = false;
    if (rule_bad_) return;
    if (rule_.when.steps.empty()) {
      problems_.push_back({.place = rule_.place, .what = fmt::format("{} has no \"when\"", rule_.name)});
      return;
    }
    if (!rule_.scored && !rule_.hidden()) {
      problems_.push_back({.place = rule_.place, .what = fmt::format("{} has no score", rule_.name)});
      return;
    }
    book_.add(std::exchange(rule_, {}));
  }

  /// group NAME cap POINTS, at the beginning of a line.
  void group() {
    end_rule();
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view name = take_word();
    const std::string_view cap = take_word();
    const std::size_t points_at = at_;
    double points = 0;
    if (!is_rule_name(name)) return problem(start, "the name of a group is expected");
    if (cap != "cap") return problem(start, "a group is written: group NAME cap POINTS");
    if (!read_score(take_word(), points) || points <= 0 || !at_end())
      return problem(points_at, "points above 0 are expected behind \"cap\"");
    if (std::ranges::find(book_.groups, name, &Group::name) != book_.groups.end())
      return problem(start, fmt::format("the group {} is there already", name));
    book_.groups.push_back({.name = std::string(name), .cap = points});
  }

  void describe() {
    skip_blanks();
    if (at_ >= line_.size()) return problem(at_, "a description is expected");
    rule_.description = std::string(line_.substr(at_));
  }

  /// score POINTS PROFILE=POINTS …
  void score() {
    skip_blanks();
    const std::size_t start = at_;
    if (!read_score(take_word(), rule_.score))
      return problem(start, "a score is a number from -1000 to 1000");
    rule_.scored = true;
    while (!at_end()) {
      const std::size_t here = at_;
      const std::string_view word = take_word();
      const std::size_t equal = word.find('=');
      double points = 0;
      if (equal == std::string_view::npos || !is_rule_name(word.substr(0, equal)) ||
          !read_score(word.substr(equal + 1), points))
        return problem(here, "PROFILE=POINTS is expected");
      rule_.scores.emplace_back(word.substr(0, equal), points);
    }
  }

  void join_group() {
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view name = take_word();
    const auto found = std::ranges::find(book_.groups, name, &Group::name);
    if (found == book_.groups.end())
      return problem(start, fmt::format("there is no group {} above", name.substr(0, 40)));
    rule_.group = static_cast<int>(found - book_.groups.begin());
  }

  /// Several of them must all be true.
  void when() {
    skip_blanks();
    auto read = parse_expression(line_.substr(at_), place(at_), Dialect::postern, book_);
    if (!read) {
      problems_.push_back(std::move(read.error()));
      rule_bad_ = true;
      return;
    }
    std::vector<Step>& steps = rule_.when.steps;
    const bool first = steps.empty();
    steps.insert(steps.end(), read->steps.begin(), read->steps.end());
    if (!first) steps.push_back({.kind = Step::Kind::logical_and});
    if (steps.size() > Expression::kStepsMax)
      problem(at_, fmt::format("the rule has more than {} steps", Expression::kStepsMax));
  }

  /// match "…", match html "…" header "…" …
  void sample(bool match, std::size_t start) {
    Sample sample{.match = match, .pieces = {}, .place = place(start)};
    while (!at_end()) {
      std::string kind = "body";
      const std::size_t here = at_;
      if (line_[at_] != '"') {
        kind = std::string(take_word());
        if (std::ranges::find(kPieces, kind) == std::end(kPieces))
          return problem(here,
                         fmt::format("\"{}\": body, html, header, attach, envelope, auth or message, or a "
                                     "quoted text is expected",
                                     kind.substr(0, 40)));
      }
      auto text = quoted();
      if (!text) return;
      sample.pieces.emplace_back(std::move(kind), *std::move(text));
    }
    if (sample.pieces.empty()) return problem(at_, "a quoted text is expected");
    rule_.samples.push_back(std::move(sample));
  }

  /// "…" with \n (a line end as mail has it), \t, \", \\ and \xHH.
  std::optional<std::string> quoted() {
    skip_blanks();
    const std::size_t start = at_;
    if (at_ >= line_.size() || line_[at_] != '"') {
      problem(at_, "a quoted text is expected");
      return std::nullopt;
    }
    std::string out;
    for (++at_; at_ < line_.size() && line_[at_] != '"'; ++at_) {
      if (line_[at_] != '\\') {
        out += line_[at_];
        continue;
      }
      const char c = at_ + 1 < line_.size() ? line_[++at_] : '\0';
      if (c == 'n') {
        out += "\r\n";
      } else if (c == 't') {
        out += '\t';
      } else if (c == '"' || c == '\\') {
        out += c;
      } else if (c == 'x' && at_ + 2 < line_.size() && hex(line_[at_ + 1]) >= 0 && hex(line_[at_ + 2]) >= 0) {
        out += static_cast<char>(hex(line_[at_ + 1]) * 16 + hex(line_[at_ + 2]));
        at_ += 2;
      } else {
        problem(at_, "behind \\ stands n, t, \", \\ or x and two hexadecimal digits");
        return std::nullopt;
      }
    }
    if (at_ >= line_.size()) {
      problem(start, "the quotation is not closed");
      return std::nullopt;
    }
    ++at_;
    return out;
  }

  std::string_view text_, file_;
  RuleBook& book_;
  std::string_view line_;
  std::size_t at_ = 0;  // in line_
  unsigned number_ = 0;
  Rule rule_;
  bool open_ = false, rule_bad_ = false;
  std::vector<Problem> problems_;
};

}  // namespace

bool read_score(std::string_view text, double& score) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      std::abs(value) > kScoreMax)
    return false;
  score = value;
  return true;
}

std::vector<Problem> read_rules(std::string_view text, std::string_view file, RuleBook& book) {
  return Reader(text, file, book).run();
}

}  // namespace postern::filters::rules
