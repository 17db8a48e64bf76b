#include <algorithm>

#include "filters/authentication/results/field.h"

namespace postern::filters::results {
namespace {

constexpr std::size_t kLineOctets = 78;

bool is_token(char c) {
  return c > ' ' && c < 0x7f && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

/// A token as it is, everything else as a quoted-string. UTF-8 stays (RFC 8616 §5).
std::string value_text(std::string_view value) {
  if (!value.empty() && std::ranges::all_of(value, is_token)) return std::string(value);
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return out + '"';
}

/// An address or "@domain" stands without quotes where its parts are tokens (pvalue of §2.2).
std::string property_text(std::string_view value) {
  const std::size_t at = value.rfind('@');
  if (at != std::string_view::npos && at + 1 < value.size() &&
      std::ranges::all_of(value.substr(0, at), is_token) &&
      std::ranges::all_of(value.substr(at + 1), is_token)) {
    return std::string(value);
  }
  return value_text(value);
}

std::string comment_text(std::string_view comment) {
  std::string out = "(";
  for (const char c : comment) {
    if (c == '(' || c == ')' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return out + ')';
}

/// Puts words on lines.
class Folder {
 public:
  explicit Folder(std::string text) : text_(std::move(text)), column_(text_.size()) {}
  void word(std::string_view word) {
    if (column_ + 1 + word.size() > kLineOctets) return line(word);
    text_ += ' ';
    text_ += word;
    column_ += 1 + word.size();
  }
  void line(std::string_view word) {
    text_ += "\r\n\t";
    text_ += word;
    column_ = 8 + word.size();
  }
  void append(std::string_view octets) {
    text_ += octets;
    column_ += octets.size();
  }
  std::string take() { return std::move(text_) + "\r\n"; }

 private:
  std::string text_;
  std::size_t column_;
};

}  // namespace

std::string write(const Field& field) {
  Folder folder("Authentication-Results: " + value_text(field.authserv_id));
  if (field.results.empty()) {
    folder.append("; none");
    return folder.take();
  }
  for (const MethodResult& result : field.results) {
    folder.append(";");
    folder.line(result.method + '=' + result.result);
    if (!result.comment.empty()) folder.word(comment_text(result.comment));
    if (!result.reason.empty()) folder.word("reason=" + value_text(result.reason));
    for (const auto& [name, value] : result.properties) folder.word(name + '=' + property_text(value));
  }
  return folder.take();
}

}  // namespace postern::filters::results
