#include "filters/bayes/words.h"

#include <algorithm>
#include <array>
#include <bit>

namespace postern::filters::bayes {
namespace {

enum Class : unsigned char { kOther = 0, kInner = 1, kMark = 2, kBlank = 4, kSeparator = 8 };

constexpr std::array<unsigned char, 256> make_classes() {
  std::array<unsigned char, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 128)
      classes[c] = kInner;
    else if (c <= ' ' || c == 127)
      classes[c] = kBlank;
  }
  for (const char c : std::string_view("$!%#*")) classes[static_cast<unsigned char>(c)] = kInner;
  for (const char c : std::string_view("'-._")) classes[static_cast<unsigned char>(c)] = kMark;
  for (const char c : std::string_view("()<>[]\"',;=")) classes[static_cast<unsigned char>(c)] |= kSeparator;
  return classes;
}
constexpr std::array<unsigned char, 256> kClasses = make_classes();

bool is(char c, unsigned classes) {
  return (kClasses[static_cast<unsigned char>(c)] & classes) != 0;
}

}  // namespace

std::string_view next_word(std::string_view& text) {
  std::size_t begin = 0;
  while (begin < text.size() && !is(text[begin], kInner)) ++begin;
  std::size_t end = begin;
  while (end < text.size() && is(text[end], kInner | kMark)) ++end;
  std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  while (!word.empty() && !is(word.back(), kInner)) word.remove_suffix(1);
  return word;
}

std::string_view next_atom(std::string_view& text) {
  std::size_t begin = 0;
  while (begin < text.size() && is(text[begin], kBlank | kSeparator)) ++begin;
  std::size_t end = begin;
  while (end < text.size() && !is(text[end], kBlank | kSeparator)) ++end;
  const std::string_view atom = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return atom;
}

std::string shape(std::string_view text) {
  constexpr std::size_t kShapeOctetsMax = 40;
  const auto kind_of = [](char c) {
    if (c >= '0' && c <= '9') return '9';
    if (c >= 'a' && c <= 'z') return 'a';
    if (c >= 'A' && c <= 'Z') return 'A';
    return c;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size() && out.size() < kShapeOctetsMax;) {
    const char kind = kind_of(text[i]);
    std::size_t end = i + 1;
    while (end < text.size() && kind_of(text[end]) == kind) ++end;
    out += kind;
    const std::size_t length = end - i;
    if (length > 1) out += length < 8 ? static_cast<char>('0' + length) : length < 16 ? '+' : '*';
    i = end;
  }
  return out;
}

std::string_view lowered(std::string_view text, std::string& out) {
  out.resize(text.size());
  std::ranges::transform(text, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return out;
}

bool is_ipv4(std::string_view text) {
  if (text.size() < 7 || text.size() > 15) return false;
  if (std::ranges::count(text, '.') != 3) return false;
  return std::ranges::all_of(text, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

std::string size_class(std::size_t value) {
  return std::to_string(std::bit_floor(value));
}

}  // namespace postern::filters::bayes
