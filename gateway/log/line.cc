// Building one log line: timestamp, escaping, cutting. Nothing here waits or locks.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <utility>

#include "gateway/log/log.h"

namespace postern::log {
namespace {

constexpr std::size_t kLineOctetsExpected = 640;   // one allocation for an ordinary line
constexpr std::size_t kListOctetsMax = 16U << 10;  // a list of recipients must not become a megabyte of log
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";     // U+2026
constexpr char kHex[] = "0123456789abcdef";

/// What escaping does with an octet: 0 copies it, 'u' writes \u00XX, 'm' starts a multi-octet character, else
/// the letter after "\".
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> table{};
  for (std::size_t c = 0; c < 0x20; ++c) table[c] = 'u';
  table['\b'] = 'b';
  table['\t'] = 't';
  table['\n'] = 'n';
  table['\f'] = 'f';
  table['\r'] = 'r';
  table['"'] = '"';
  table['\\'] = '\\';
  table[0x7f] = 'u';  // JSON lets DEL stand, terminals do not
  for (std::size_t c = 0x80; c < 0x100; ++c) table[c] = 'm';
  return table;
}();

unsigned octet(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

bool is_continuation(std::string_view text, std::size_t at) {
  return at < text.size() && (octet(text, at) & 0xC0U) == 0x80U;
}

/// Length of the well-formed character (RFC 3629 §4) that starts at `at`, 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const unsigned first = octet(text, at);
  if (first >= 0xC2 && first <= 0xDF) return is_continuation(text, at + 1) ? 2 : 0;
  if (first < 0xE0 || first > 0xF4 || !is_continuation(text, at + 1)) return 0;
  const unsigned second = octet(text, at + 1);
  if (first == 0xE0 && second < 0xA0) return 0;  // overlong
  if (first == 0xED && second > 0x9F) return 0;  // surrogates
  if (first == 0xF0 && second < 0x90) return 0;  // overlong
  if (first == 0xF4 && second > 0x8F) return 0;  // above U+10FFFF
  const std::size_t length = first < 0xF0 ? 3 : 4;
  for (std::size_t i = 2; i < length; ++i) {
    if (!is_continuation(text, at + i)) return 0;
  }
  return length;
}

void append_unicode_escape(std::string& out, unsigned value) {
  const char escape[] = {'\\', 'u', '0', '0', kHex[(value >> 4) & 15U], kHex[value & 15U]};
  out.append(escape, sizeof escape);
}

/// A character outside ASCII; returns how many octets of `text` it used.
std::size_t append_multi_octet(std::string& out, std::string_view text, std::size_t at) {
  const std::size_t length = utf8_length(text, at);
  if (length == 0) {
    out.append(kReplacement);
    return 1;
  }
  if (octet(text, at) == 0xC2 && octet(text, at + 1) < 0xA0) {
    append_unicode_escape(out, octet(text, at + 1));  // C1 controls steer terminals as well
  } else {
    out.append(text.substr(at, length));
  }
  return length;
}

void append_escaped(std::string& out, std::string_view text) {
  std::size_t done = 0;  // everything before it is in `out`
  std::size_t at = 0;
  while (at < text.size()) {
    const char escape = kEscapes[octet(text, at)];
    if (escape == 0) {
      ++at;
      continue;
    }
    out.append(text.data() + done, at - done);
    if (escape == 'm') {
      at += append_multi_octet(out, text, at);
    } else if (escape == 'u') {
      append_unicode_escape(out, octet(text, at++));
    } else {
      out.push_back('\\');
      out.push_back(escape);
      ++at;
    }
    done = at;
  }
  out.append(text.data() + done, at - done);
}

/// Where to cut so that no character is torn: at most `limit`, at most three octets less.
std::size_t cut_position(std::string_view text, std::size_t limit) {
  std::size_t at = limit;
  for (int back = 0; back < 3 && at > 0 && is_continuation(text, at); ++back) --at;
  return is_continuation(text, at) ? limit : at;  // a long run of continuation octets is no character at all
}

void append_value(std::string& out, std::string_view text) {
  out.push_back('"');
  if (text.size() <= Line::kValueOctetsMax) {
    append_escaped(out, text);
  } else {
    append_escaped(out, text.substr(0, cut_position(text, Line::kValueOctetsMax)));
    out.append(kEllipsis);
  }
  out.push_back('"');
}

void put_digits(char* at, int width, int value) {
  for (int i = width - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

/// RFC 3339 UTC with milliseconds. The calendar is worked out once a second and thread.
void append_timestamp(std::string& out) {
  struct Cached {
    std::time_t second = -1;
    char text[24] = {};
  };
  thread_local Cached cached;
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);  // cannot fail for this clock
  if (now.tv_sec != cached.second) {
    std::tm parts{};
    (void)gmtime_r(&now.tv_sec, &parts);
    char* text = cached.text;
    put_digits(text, 4, parts.tm_year + 1900);
    text[4] = text[7] = '-';
    put_digits(text + 5, 2, parts.tm_mon + 1);
    put_digits(text + 8, 2, parts.tm_mday);
    text[10] = 'T';
    put_digits(text + 11, 2, parts.tm_hour);
    text[13] = text[16] = ':';
    put_digits(text + 14, 2, parts.tm_min);
    put_digits(text + 17, 2, parts.tm_sec);
    text[19] = '.';
    text[23] = 'Z';
    cached.second = now.tv_sec;
  }
  put_digits(cached.text + 20, 3, static_cast<int>(now.tv_nsec / 1'000'000));
  out.append(cached.text, sizeof cached.text);
}

template <typename Integer>
void append_integer(std::string& out, Integer value) {
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, result.ptr);
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "error";
}

std::string quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  out.push_back('"');
  append_escaped(out, text);
  out.push_back('"');
  return out;
}

Line::Line(Level level, std::string_view event) : level_(level) {
  text_.reserve(kLineOctetsExpected);
  text_.append("{\"ts\":\"");
  append_timestamp(text_);
  text_.append("\",\"level\":\"");
  text_.append(to_string(level));
  text_.append("\",\"event\":");
  append_value(text_, event);
}

void Line::key(std::string_view name) {
  text_.append(",\"");
  append_escaped(text_, name);
  text_.append("\":");
}

Line&& Line::field(std::string_view name, std::string_view value) && {
  key(name);
  append_value(text_, value);
  return std::move(*this);
}

Line&& Line::field(std::string_view name, std::int64_t value) && {
  key(name);
  append_integer(text_, value);
  return std::move(*this);
}

Line&& Line::field(std::string_view name, std::uint64_t value) && {
  key(name);
  append_integer(text_, value);
  return std::move(*this);
}

Line&& Line::field(std::string_view name, double value) && {
  key(name);
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(text_), "{}", value);
  } else {
    text_.append("null");  // JSON has no word for it
  }
  return std::move(*this);
}

Line&& Line::field(std::string_view name, bool value) && {
  key(name);
  text_.append(value ? "true" : "false");
  return std::move(*this);
}

Line&& Line::field(std::string_view name, const std::vector<std::string>& values) && {
  key(name);
  text_.push_back('[');
  const std::size_t start = text_.size();
  std::size_t written = 0;
  for (const std::string& value : values) {
    if (written > 0) text_.push_back(',');
    if (text_.size() - start > kListOctetsMax) {
      append_value(text_, fmt::format("{} {} more", kEllipsis, values.size() - written));
      break;
    }
    append_value(text_, value);
    ++written;
  }
  text_.push_back(']');
  return std::move(*this);
}

Line&& Line::raw(std::string_view name, std::string_view json) && {
  key(name);
  const std::size_t start = text_.size();
  text_.append(json);
  // Between JSON's tokens a line break is white space like any other, but here it would end the line.
  for (std::size_t at = text_.find_first_of("\r\n", start); at != std::string::npos;
       at = text_.find_first_of("\r\n", at + 1)) {
    text_[at] = ' ';
  }
  return std::move(*this);
}

}  // namespace postern::log
