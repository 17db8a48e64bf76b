#include "filters/message/address_list.h"

#include <utility>

namespace postern::filters {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// One token at a time: the walk keeps what it has seen since the last separator, and decides at the separator what it was.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}

  AddressList run() {
    while (at_ < text_.size()) step();
    end_mailbox();
    if (in_group_ || in_angle_) list_.broken = true;
    return std::move(list_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (is_blank(c)) {
      blank_ = true;
      ++at_;
    } else if (c == '(') {
      comment();
    } else if (c == '"') {
      quoted();
    } else if (c == '[' && after_at()) {
      literal();
    } else if (c == '<') {
      open_angle();
    } else if (c == '>') {
      close_angle();
    } else if (c == ',' || c == ';') {
      separator(c);
    } else if (c == ':' && !in_angle_) {
      // The name of a group ends here; its members follow.
      if (in_group_ || has_at_) list_.broken = true;
      in_group_ = true;
      drop();
      ++at_;
    } else if (c == ':' && in_angle_) {
      drop_words();  // §4.4: what stood before was a route
      ++at_;
    } else {
      word_octet(c);
    }
  }

  /// A comment is a blank. Nesting is counted, not followed.
  void comment() {
    unsigned depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\') {
        ++at_;
      } else if (c == '(') {
        ++depth;
      } else if (c == ')' && --depth == 0) {
        ++at_;
        blank_ = true;
        return;
      }
    }
    list_.broken = true;
  }

  void quoted() {
    std::string text;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        add_word(text);
        return;
      }
      if (c == '\\' && at_ + 1 < text_.size()) {
        text += text_[++at_];
      } else if (c != '\r' && c != '\n') {
        text += c;
      }
    }
    list_.broken = true;
    add_word(text);
  }

  void literal() {
    std::string text;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (!is_blank(c)) text += c;
      if (c == ']') {
        ++at_;
        domain_ += text;
        blank_ = false;
        return;
      }
    }
    list_.broken = true;
    domain_ += text;
  }

  bool after_at() const { return has_at_ && domain_.empty(); }

  void word_octet(char c) {
    if (c == '@') {
      if (has_at_) {
        // "a@b@c": everything up to the last is what a reader may take for the local part.
        list_.broken = true;
        local_ += '@' + domain_;
        domain_.clear();
      } else {
        has_at_ = true;
        local_ = std::exchange(last_word_, {});
        cut_last_word_from_phrase();
      }
      blank_ = false;
      ++at_;
      return;
    }
    const std::size_t begin = at_;
    while (at_ < text_.size() && !is_blank(text_[at_]) &&
           std::string_view("()<>[]:;@\\,\"").find(text_[at_]) == std::string_view::npos)
      ++at_;
    if (at_ == begin) ++at_;  // a special that has no place here
    if (at_ == begin + 1 && std::string_view("[]\\)").find(text_[begin]) != std::string_view::npos)
      list_.broken = true;
    add_word(text_.substr(begin, at_ - begin));
  }

  void add_word(std::string_view word) {
    if (has_at_) {
      // Blanks around the dots of a domain are obsolete but legal; a word after a blank otherwise is text behind the address.
      if (!domain_.empty() && blank_ && !domain_.ends_with('.') && !word.starts_with('.')) {
        list_.broken = true;
        trailing_ = true;
      }
      if (!trailing_) domain_ += word;
      blank_ = false;
      return;
    }
    const bool joined = !phrase_.empty() && (!blank_ || last_word_.ends_with('.') || word.starts_with('.'));
    if (!phrase_.empty() && blank_) phrase_ += ' ';
    if (joined) {
      last_word_ += word;
    } else {
      last_word_ = word;
      last_word_at_ = phrase_.size();
    }
    phrase_ += word;
    ++words_;
    blank_ = false;
  }

  void cut_last_word_from_phrase() {
    phrase_.resize(std::min(last_word_at_, phrase_.size()));
    while (phrase_.ends_with(' ')) phrase_.pop_back();
    if (!phrase_.empty() && !in_angle_) list_.broken = true;  // words before a bare address
  }

  void open_angle() {
    if (in_angle_) list_.broken = true;
    if (has_at_) {
      // "a@b <c@d>": a display name that looks like an address, unquoted. What is in angle brackets counts.
      list_.broken = true;
      name_ = local_ + '@' + domain_;
      forget_address();
    } else {
      name_ = std::exchange(phrase_, {});
    }
    drop_words();
    in_angle_ = true;
    ++at_;
  }

  void close_angle() {
    if (!in_angle_) list_.broken = true;
    in_angle_ = false;
    closed_ = true;
    if (!has_at_ && !phrase_.empty()) {
      local_ = std::exchange(phrase_, {});
      list_.broken = true;  // no domain
    }
    ++at_;
  }

  void separator(char c) {
    if (c == ';') {
      if (!in_group_) list_.broken = true;
      in_group_ = false;
    }
    if (in_angle_ && c == ',' && !has_at_ && !phrase_.empty()) list_.broken = true;
    if (in_angle_ && c == ',' && has_at_) {  // a route of several hosts: <@a,@b:c@d>
      forget_address();
      drop_words();
      ++at_;
      return;
    }
    end_mailbox();
    ++at_;
  }

  void end_mailbox() {
    if (!has_at_ && !closed_ && !phrase_.empty()) {
      local_ = std::exchange(phrase_, {});
      list_.broken = true;  // text where an address should be
    }
    if (has_at_ && domain_.empty()) list_.broken = true;
    if (has_at_ || !local_.empty()) {
      if (list_.mailboxes.size() < AddressList::kMailboxesMax) {
        list_.mailboxes.push_back(
            {.name = std::move(name_), .local = std::move(local_), .domain = std::move(domain_)});
      } else {
        list_.truncated = true;
      }
    }
    drop();
    in_angle_ = false;
  }

  void forget_address() {
    has_at_ = false;
    trailing_ = false;
    local_.clear();
    domain_.clear();
  }
  void drop_words() {
    phrase_.clear();
    last_word_.clear();
    last_word_at_ = 0;
    words_ = 0;
    blank_ = false;
    if (in_angle_) forget_address();
  }
  void drop() {
    forget_address();
    drop_words();
    name_.clear();
    closed_ = false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  AddressList list_;
  std::string name_, local_, domain_;
  std::string phrase_;     // the words since the last separator
  std::string last_word_;  // the last of them, dots joined
  std::size_t last_word_at_ = 0, words_ = 0;
  bool blank_ = false, has_at_ = false, in_angle_ = false, in_group_ = false, closed_ = false,
       trailing_ = false;
};

}  // namespace

AddressList parse_addresses(std::string_view value) {
  return Walk(value).run();
}

}  // namespace postern::filters
