#include "filters/rules/literals.h"

#include <algorithm>
#include <string>

namespace postern::filters::rules {
namespace {

constexpr unsigned kDepthMax = 60;

/// What is sure of a piece of a pattern.
struct Sure {
  std::size_t longest = 0;  ///< of a run within it
  bool exact = false;       ///< it is nothing but `length` literals
  std::size_t length = 0;
};

class Reader {
 public:
  Reader(std::string_view expression, bool extended) : text_(expression), extended_(extended) {}

  std::size_t run() {
    const Sure all = alternatives();
    return given_up_ ? 0 : all.longest;
  }

 private:
  bool more() const { return at_ < text_.size(); }

  Sure alternatives() {
    if (++depth_ > kDepthMax) {
      given_up_ = true;
      at_ = text_.size();
      return {};
    }
    Sure least = sequence();
    while (more() && text_[at_] == '|') {
      ++at_;
      const Sure other = sequence();
      least.exact = least.exact && other.exact && least.length == other.length;
      least.longest = std::min(least.longest, other.longest);
    }
    --depth_;
    return least;
  }

  Sure sequence() {
    Sure whole{.longest = 0, .exact = true, .length = 0};
    std::size_t run = 0;
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      const std::size_t before = at_;
      bool zero_width = false;
      const Sure piece = atom(zero_width);
      if (at_ == before) {  // cannot happen; never stand still
        ++at_;
        given_up_ = true;
      }
      const auto [least, once] = quantifier();
      if (zero_width && once) continue;
      if (least == 0) {
        whole.exact = false;
        run = 0;
      } else if (piece.exact && once) {
        run += piece.length;
        whole.length += piece.length;
      } else {
        whole.exact = false;
        if (piece.exact) run += piece.length;  // the first of several
        whole.longest = std::max({whole.longest, run, piece.longest});
        run = piece.exact ? piece.length : 0;  // the last of them
      }
      whole.longest = std::max({whole.longest, run, least == 0 ? 0 : piece.longest});
    }
    return whole;
  }

  /// How often at least, and whether exactly once.
  std::pair<std::size_t, bool> quantifier() {
    if (!more()) return {1, true};
    std::size_t least = 1;
    switch (text_[at_]) {
      case '?':
      case '*':
        least = 0;
        ++at_;
        break;
      case '+':
        ++at_;
        break;
      case '{': {
        const std::size_t close = text_.find('}', at_);
        if (close == std::string_view::npos || at_ + 1 >= text_.size() || text_[at_ + 1] < '0' ||
            text_[at_ + 1] > '9')
          return {1, true};  // a literal brace follows
        least = text_[at_ + 1] == '0' && (text_[at_ + 2] == ',' || text_[at_ + 2] == '}') ? 0 : 1;
        at_ = close + 1;
        break;
      }
      default:
        return {1, true};
    }
    if (more() && (text_[at_] == '?' || text_[at_] == '+')) ++at_;
    return {least, false};
  }

  static Sure literal() { return {.longest = 1, .exact = true, .length = 1}; }

  Sure atom(bool& zero_width) {
    const char c = text_[at_];
    switch (c) {
      case '(':
        return group(zero_width);
      case '[':
        return character_class();
      case '.':
        ++at_;
        return {};
      case '^':
      case '$':
        ++at_;
        zero_width = true;
        return {};
      case '\\':
        return escape(zero_width);
      case ' ':
      case '\t':
      case '\n':
        ++at_;
        if (!extended_) return literal();
        zero_width = true;
        return {};
      case '#':
        ++at_;
        if (!extended_) return literal();
        at_ = std::min(text_.find('\n', at_), text_.size());
        zero_width = true;
        return {};
      default:
        ++at_;
        return literal();
    }
  }

  Sure escape(bool& zero_width) {
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    at_ = std::min(at_ + 2, text_.size());
    if (c == 'b' || c == 'B' || c == 'A' || c == 'Z' || c == 'z' || c == 'G') {
      zero_width = true;
      return {};
    }
    if (c == 'x') {
      if (more() && text_[at_] == '{') {
        at_ = std::min(text_.find('}', at_), text_.size() - 1) + 1;
      } else {
        for (int i = 0; i < 2 && more() &&
                        std::string_view("0123456789abcdefABCDEF").find(text_[at_]) != std::string_view::npos;
             ++i)
          ++at_;
      }
      return literal();
    }
    if (std::string_view("nrtfe").find(c) != std::string_view::npos) return literal();
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == 'Q') given_up_ = true;
    return letter || c == '\0' ? Sure{} : literal();
  }

  Sure character_class() {
    std::size_t at = at_ + 1;
    if (at < text_.size() && text_[at] == '^') ++at;
    if (at < text_.size() && text_[at] == ']') ++at;
    while (at < text_.size() && text_[at] != ']') {
      if (text_[at] == '\\') {
        ++at;
      } else if (text_.substr(at).starts_with("[:")) {
        at = std::min(text_.find(":]", at + 2), text_.size() - 2) + 1;
      }
      ++at;
    }
    at_ = std::min(at + 1, text_.size());
    return {};
  }

  Sure group(bool& zero_width) {
    ++at_;
    bool counts = true;
    if (text_.substr(at_).starts_with("?")) {
      const std::string_view rest = text_.substr(at_);
      if (rest.starts_with("?:") || rest.starts_with("?>")) {
        at_ += 2;
      } else if (rest.starts_with("?=") || rest.starts_with("?!")) {
        at_ += 2;
        zero_width = true;
        counts = false;
      } else if (rest.starts_with("?<=") || rest.starts_with("?<!")) {
        at_ += 3;
        zero_width = true;
        counts = false;
      } else if (rest.starts_with("?<") || rest.starts_with("?P<")) {
        at_ = std::min(text_.find('>', at_), text_.size() - 1) + 1;
      } else if (rest.starts_with("?#")) {
        at_ = std::min(text_.find(')', at_), text_.size() - 1) + 1;
        zero_width = true;
        return {};
      } else {
        while (more() && text_[at_] != ')' && text_[at_] != ':') {  // flags
          if (text_[at_] == 'x') extended_ = true;
          ++at_;
        }
        if (more() && text_[at_] == ')') {
          ++at_;
          zero_width = true;
          return {};
        }
        if (more()) ++at_;
      }
    }
    const Sure inside = alternatives();
    if (more()) ++at_;  // the closing bracket
    return counts ? inside : Sure{};
  }

  std::string_view text_;
  bool extended_;
  std::size_t at_ = 0;
  unsigned depth_ = 0;
  bool given_up_ = false;
};

}  // namespace

std::size_t required_literal(std::string_view expression, bool extended) {
  return Reader(expression, extended).run();
}

}  // namespace postern::filters::rules
