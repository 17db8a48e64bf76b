#include "filters/rules/text_shape.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace postern::filters::rules {
namespace {

enum class Octet : std::uint8_t { plain, blank, line_end, wide };

constexpr std::array<Octet, 256> make_classes() {
  std::array<Octet, 256> classes{};
  for (std::size_t i = 0; i < 256; ++i)
    classes[i] = i >= 0x80               ? Octet::wide
                 : i == '\n'             ? Octet::line_end
                 : i <= ' ' || i == 0x7F ? Octet::blank
                                         : Octet::plain;
  return classes;
}
constexpr std::array<Octet, 256> kClasses = make_classes();

Octet class_of(char c) {
  return kClasses[static_cast<unsigned char>(c)];
}
bool is_letter(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z';
}

/// One character; octets that are no UTF-8 are one each, as themselves.
struct Character {
  std::uint32_t code;
  std::size_t octets;
};

Character character_at(std::string_view text) {
  const auto at = [text](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const auto follows = [&](std::size_t count) {
    if (text.size() <= count) return false;
    for (std::size_t i = 1; i <= count; ++i)
      if ((at(i) & 0xC0) != 0x80) return false;
    return true;
  };
  const std::uint32_t first = at(0);
  if (first >= 0xC2 && first < 0xE0 && follows(1)) return {(first & 0x1F) << 6 | (at(1) & 0x3F), 2};
  if (first >= 0xE0 && first < 0xF0 && follows(2))
    return {(first & 0x0F) << 12 | (at(1) & 0x3F) << 6 | (at(2) & 0x3F), 3};
  if (first >= 0xF0 && first < 0xF5 && follows(3))
    return {(first & 0x07) << 18 | (at(1) & 0x3F) << 12 | (at(2) & 0x3F) << 6 | (at(3) & 0x3F), 4};
  return {first, 1};
}

bool is_invisible(std::uint32_t code) {
  return code == 0xAD || code == 0x34F || code == 0x61C || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2060 && code <= 0x2064) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF || (code >= 0xE0000 && code <= 0xE007F);
}

bool is_wide_blank(std::uint32_t code) {
  return code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

bool is_cyrillic_or_greek(std::uint32_t code) {
  return (code >= 0x370 && code <= 0x3FF) || (code >= 0x400 && code <= 0x52F);
}

/// Letters that look like a Latin one, in the order of their code points.
struct Lookalike {
  std::uint32_t code;
  char letter;
};
constexpr Lookalike kLookalikes[] = {
    {0x391, 'a'}, {0x392, 'b'}, {0x395, 'e'}, {0x396, 'z'}, {0x397, 'h'}, {0x399, 'i'}, {0x39A, 'k'},
    {0x39C, 'm'}, {0x39D, 'n'}, {0x39F, 'o'}, {0x3A1, 'p'}, {0x3A4, 't'}, {0x3A5, 'y'}, {0x3A7, 'x'},
    {0x3B1, 'a'}, {0x3B9, 'i'}, {0x3BD, 'v'}, {0x3BF, 'o'}, {0x3C1, 'p'}, {0x3C5, 'u'}, {0x3C7, 'x'},
    {0x405, 's'}, {0x406, 'i'}, {0x408, 'j'}, {0x410, 'a'}, {0x412, 'b'}, {0x415, 'e'}, {0x41A, 'k'},
    {0x41C, 'm'}, {0x41D, 'h'}, {0x41E, 'o'}, {0x420, 'p'}, {0x421, 'c'}, {0x422, 't'}, {0x423, 'y'},
    {0x425, 'x'}, {0x430, 'a'}, {0x435, 'e'}, {0x43E, 'o'}, {0x440, 'p'}, {0x441, 'c'}, {0x443, 'y'},
    {0x445, 'x'}, {0x455, 's'}, {0x456, 'i'}, {0x458, 'j'}, {0x4BB, 'h'}, {0x501, 'd'}, {0x51B, 'q'},
    {0x51D, 'w'},
};

/// The mathematical alphabets: 13 runs of 26 capitals and 26 small letters each (Unicode block 1D400), with the digits behind.
char mathematical(std::uint32_t code) {
  constexpr std::uint32_t kLetters = 0x1D400, kLettersEnd = 0x1D6A4, kDigits = 0x1D7CE, kDigitsEnd = 0x1D800;
  if (code >= kLetters && code < kLettersEnd) return static_cast<char>('a' + (code - kLetters) % 26);
  if (code >= kDigits && code < kDigitsEnd) return static_cast<char>('0' + (code - kDigits) % 10);
  return '\0';
}

char ascii_of(std::uint32_t code) {
  if (code >= 0xFF21 && code <= 0xFF3A) return static_cast<char>('a' + (code - 0xFF21));
  if (code >= 0xFF41 && code <= 0xFF5A) return static_cast<char>('a' + (code - 0xFF41));
  if (code >= 0xFF10 && code <= 0xFF19) return static_cast<char>('0' + (code - 0xFF10));
  if (const char c = mathematical(code)) return c;
  const auto found = std::ranges::lower_bound(kLookalikes, code, {}, &Lookalike::code);
  return found != std::end(kLookalikes) && found->code == code ? found->letter : '\0';
}

void count_letters(std::string_view text, TextShape& shape) {
  std::size_t upper = 0, letters = 0;
  for (const char c : text) {
    upper += c >= 'A' && c <= 'Z' ? 1U : 0U;
    letters += is_letter(c) ? 1U : 0U;
  }
  shape.upper += upper;
  shape.letters += letters;
}

class Folder {
 public:
  Folder(std::string_view text, std::string& out, TextShape& shape) : text_(text), out_(out), shape_(shape) {}

  void run() {
    out_.reserve(out_.size() + text_.size());
    while (at_ < text_.size()) {
      const std::size_t start = at_;
      while (at_ < text_.size() && class_of(text_[at_]) == Octet::plain) ++at_;
      if (at_ > start) put(text_.substr(start, at_ - start));
      if (at_ == text_.size()) break;
      switch (class_of(text_[at_])) {
        case Octet::line_end:
          ++lines_;
          blank_ = true;
          ++at_;
          break;
        case Octet::blank:
          blank_ = true;
          ++at_;
          break;
        default:
          wide();
      }
    }
    if (lines_ > 1 && !out_.empty() && out_.back() != '\n') out_ += '\n';
  }

 private:
  void put(std::string_view run) {
    if (blank_ && !out_.empty() && out_.back() != '\n') out_ += lines_ > 1 ? '\n' : ' ';
    blank_ = false;
    lines_ = 0;
    out_ += run;
  }

  void wide() {
    const Character character = character_at(text_.substr(at_));
    const std::string_view octets = text_.substr(at_, character.octets);
    at_ += character.octets;
    if (is_invisible(character.code)) {
      ++shape_.invisible;
    } else if (is_wide_blank(character.code)) {
      blank_ = true;
    } else {
      if (is_cyrillic_or_greek(character.code)) {
        const bool before = !blank_ && !out_.empty() && is_letter(out_.back());
        const bool behind = at_ < text_.size() && is_letter(text_[at_]);
        if (before || behind) ++shape_.mixed;
      }
      put(octets);
    }
  }

  std::string_view text_;
  std::string& out_;
  TextShape& shape_;
  std::size_t at_ = 0;
  unsigned lines_ = 0;  // line ends since the last character
  bool blank_ = false;
};

}  // namespace

double TextShape::upper_percent() const {
  return letters == 0 ? 0 : 100.0 * static_cast<double>(upper) / static_cast<double>(letters);
}

void fold_text(std::string_view text, std::string& out, TextShape& shape) {
  count_letters(text, shape);
  Folder(text, out, shape).run();
}

TextShape shape_of(std::string_view text) {
  TextShape shape;
  std::string ignored;
  fold_text(text, ignored, shape);
  return shape;
}

std::string skeleton(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character character = character_at(text);
    if (character.code < 0x80) {
      const char c = text.front();
      if (is_letter(c)) out += static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') out += c;
    } else if (const char c = ascii_of(character.code)) {
      out += c;
    } else if (!is_invisible(character.code) && !is_wide_blank(character.code) && character.code >= 0xC0 &&
               character.octets > 1) {
      out += text.substr(0, character.octets);
    }
    text.remove_prefix(character.octets);
  }
  return out;
}

}  // namespace postern::filters::rules
