#include "bench/load/replies.h"

#include <algorithm>
#include <utility>

namespace postern::load {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

bool Reply::announces(std::string_view keyword) const {
  std::string_view rest = text;
  const std::size_t first = rest.find('\n');
  rest = first == std::string_view::npos ? std::string_view() : rest.substr(first + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (same_word(line.substr(0, std::min(line.find(' '), line.size())), keyword)) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

std::expected<std::optional<Reply>, ReplyError> ReplyReader::next() {
  for (;;) {
    const std::size_t end = input_.find('\n', std::max(at_, searched_));
    if (end == std::string::npos) {
      searched_ = input_.size();
      if (input_.size() - at_ > kLineOctetsMax)
        return std::unexpected(error("line too long", kLineOctetsMax));
      // What is used goes before more is fed, so that the buffer never holds more than one partial line and
      // one receive.
      consumed_ += at_;
      input_.erase(0, at_);
      searched_ -= at_;
      at_ = 0;
      return std::nullopt;
    }
    std::string_view line = std::string_view(input_).substr(at_, end - at_);
    if (line.size() > kLineOctetsMax) return std::unexpected(error("line too long", kLineOctetsMax));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto last = take_line(line);
    if (!last) return std::unexpected(last.error());
    at_ = end + 1;
    if (!*last) continue;
    has_line_ = false;
    return std::exchange(partial_, {});
  }
}

std::expected<bool, ReplyError> ReplyReader::take_line(std::string_view line) {
  // Reply-line, RFC 5321 §4.2: three digits, then "-" when more lines follow; the text may be missing.
  if (line.size() < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]) || line[0] < '2' ||
      line[0] > '5')
    return std::unexpected(error("three digits", 0));
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-')
    return std::unexpected(error("space or hyphen", 3));
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (has_line_ && code != partial_.code) return std::unexpected(error("the same code on every line", 0));
  const std::string_view text = line.size() > 4 ? line.substr(4) : std::string_view();
  if (partial_.text.size() + text.size() + 1 > kTextOctetsMax)
    return std::unexpected(error("reply too long", 0));
  if (has_line_) partial_.text += '\n';
  partial_.text += text;
  partial_.code = code;
  has_line_ = true;
  return line.size() == 3 || line[3] == ' ';
}

void ReplyReader::clear() {
  consumed_ += input_.size();
  input_.clear();
  at_ = searched_ = 0;
  partial_ = {};
  has_line_ = false;
}

}  // namespace postern::load
