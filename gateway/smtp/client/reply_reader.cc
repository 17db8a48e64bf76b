#include "gateway/smtp/client/reply_reader.h"

#include <algorithm>
#include <utility>

#include "gateway/smtp/utf8.h"

namespace postern::smtp::client {
namespace {

constexpr std::size_t kCodeOctets = 3;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Digits of a number of one to three digits at `place`.
std::size_t digits_at(std::string_view text, std::size_t place) {
  std::size_t count = 0;
  while (count < 3 && place + count < text.size() && is_digit(text[place + count])) ++count;
  return count;
}

/// RFC 5321 §4.2.1: 2yz to 5yz; the first digit is all that a client depends on.
int reply_code(std::string_view line) {
  if (line.size() < kCodeOctets) return 0;
  if (line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2])) return 0;
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

}  // namespace

std::string_view leading_enhanced_code(std::string_view text) {
  if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') return {};
  const std::size_t subject = digits_at(text, 2);
  const std::size_t dot = 2 + subject;
  if (subject == 0 || dot >= text.size() || text[dot] != '.') return {};
  const std::size_t detail = digits_at(text, dot + 1);
  const std::size_t end = dot + 1 + detail;
  if (detail == 0 || (end < text.size() && text[end] != ' ')) return {};
  return text.substr(0, end);
}

std::string printable_line(std::string_view text, std::size_t octets_max) {
  std::string out;
  out.reserve(std::min(text.size(), octets_max));
  while (!text.empty()) {
    const std::size_t sequence = utf8_sequence(text);
    const auto first = static_cast<unsigned char>(text.front());
    // U+0080 to U+009F are controls too.
    const bool control = first < 0x20 || first == 0x7f ||
                         (sequence == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0);
    const std::size_t octets = std::max<std::size_t>(sequence, 1);
    const std::string_view piece = sequence == 0 || control ? std::string_view("?") : text.substr(0, octets);
    if (out.size() + piece.size() > octets_max) break;
    out.append(piece);
    text.remove_prefix(octets);
  }
  return out;
}

std::string ServerReply::evidence() const {
  std::string all;
  for (std::string_view line : lines) {
    const std::string_view enhanced_code = leading_enhanced_code(line);
    line.remove_prefix(enhanced_code.size());
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    if (!all.empty() && !line.empty()) all.push_back(' ');
    all.append(line);
    if (all.size() > kEvidenceOctetsMax) break;
  }
  return printable_line(all, kEvidenceOctetsMax);
}

ReplyReader::Outcome ReplyReader::read(std::string_view& input) {
  while (!input.empty()) {
    const std::size_t lf = input.find('\n');
    const std::string_view part = input.substr(0, lf == std::string_view::npos ? lf : lf + 1);
    input.remove_prefix(part.size());
    octets_ += part.size();
    if (line_.size() + part.size() > kLineOctetsMax) return fail("a reply line of at most 4096 octets");
    if (octets_ > kReplyOctetsMax) return fail("a reply of at most 64 KiB");
    line_.append(part);
    if (lf == std::string_view::npos) return Outcome::need_more;
    const Outcome outcome = take_line();
    if (outcome != Outcome::need_more) return outcome;
  }
  return Outcome::need_more;
}

/// §4.2.1: a hyphen behind the code means that lines follow. A bare LF ends a line here: nothing of ours depends on where a
/// server ends its own lines.
ReplyReader::Outcome ReplyReader::take_line() {
  std::string_view line(line_);
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const int code = reply_code(line);
  if (code == 0) return fail("a reply code of three digits");
  const char separator = line.size() > kCodeOctets ? line[kCodeOctets] : ' ';
  if (separator != ' ' && separator != '-') return fail("a blank or a hyphen behind the reply code");
  if (reply_.lines.size() == kLinesMax) return fail("a reply of at most 256 lines");

  // All lines should have the same code. Where they do not, the last one counts, as with the clients that servers are tested
  // with.
  reply_.code = code;
  std::string_view text = line.substr(std::min(line.size(), kCodeOctets + 1));
  reply_.lines.emplace_back(text);
  line_.clear();
  if (separator == '-') return Outcome::need_more;

  for (const std::string& one : reply_.lines) {
    const std::string_view enhanced = leading_enhanced_code(one);
    if (enhanced.empty() || enhanced.front() - '0' != code / 100) continue;  // RFC 2034 §4: the same class
    reply_.enhanced = enhanced;
    break;
  }
  octets_ = 0;
  return Outcome::reply;
}

ReplyReader::Outcome ReplyReader::fail(std::string_view rule) {
  problem_ = rule;
  line_.clear();
  return Outcome::broken;
}

ServerReply ReplyReader::take() {
  return std::exchange(reply_, {});
}

}  // namespace postern::smtp::client
