#include "filters/message/header_text.h"

#include <algorithm>
#include <optional>

#include "filters/message/analysis.h"
#include "filters/message/charset.h"
#include "filters/message/decode.h"

namespace postern::filters {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;
constexpr std::size_t kCharsetOctetsMax = 64;  // longer than any name there is

struct Word {
  std::string_view charset;
  char encoding = 'q';
  std::string_view text;
  std::size_t end = 0;  // behind "?="
};

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/// RFC 2047 §4.2: the blank is written "_".
std::string decode_q(std::string_view text) {
  std::string octets;
  octets.reserve(text.size());
  const auto hex = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '=' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      octets += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      octets += text[i] == '_' ? ' ' : text[i];
    }
  }
  return octets;
}

/// Raw octets above 127 as RFC 6532 has them, or as some sender without UTF-8 wrote them.
std::string raw_text(std::string_view text, Oddities& oddities) {
  if (is_ascii(text)) return std::string(text);
  oddities.add(Oddity::eight_bit_text);
  if (is_utf8(text)) return std::string(text);
  Oddities guess;
  return to_utf8(text, "windows-1252", guess);
}

class Decoder {
 public:
  Decoder(std::string_view text, Oddities& oddities) : text_(text), oddities_(oddities) {}

  std::string run() {
    std::size_t at = 0;
    while (at < text_.size()) {
      const std::size_t start = text_.find("=?", at);
      if (start == kNowhere) break;
      const auto word = word_at(start);
      if (!word) {
        oddities_.add(Oddity::encoded_word_broken);
        plain(text_.substr(at, start + 2 - at));
        at = start + 2;
        continue;
      }
      const std::string_view between = text_.substr(at, start - at);
      if (!in_words_ || !std::ranges::all_of(between, is_blank)) plain(between);
      add(*word);
      at = word->end;
    }
    if (at < text_.size()) plain(text_.substr(at));
    flush();
    return std::move(result_);
  }

 private:
  std::optional<Word> word_at(std::size_t start) {
    const std::string_view head = text_.substr(start + 2, kCharsetOctetsMax + 3);
    const std::size_t charset_end = head.find('?');
    if (charset_end == kNowhere || charset_end == 0 || charset_end + 2 >= head.size() ||
        head[charset_end + 2] != '?')
      return std::nullopt;
    Word word;
    word.charset = head.substr(0, std::min(charset_end, head.find('*')));  // RFC 2231 §5: "*" and a language
    if (std::ranges::any_of(word.charset, is_blank)) return std::nullopt;
    word.encoding = static_cast<char>(head[charset_end + 1] | 0x20);
    if (word.encoding != 'q' && word.encoding != 'b') return std::nullopt;
    const std::size_t text = start + 2 + charset_end + 3;
    const std::size_t end = next_end(text);
    if (end == kNowhere) return std::nullopt;
    word.text = text_.substr(text, end - text);
    word.end = end + 2;
    return word;
  }

  /// The first "?=" from there on. Asked with growing positions, and so looks at each octet once.
  std::size_t next_end(std::size_t from) {
    if (known_end_ != kNowhere && known_end_ < from) known_end_ = text_.find("?=", from);
    return known_end_;
  }

  void add(const Word& word) {
    Oddities decoding;
    std::string octets = word.encoding == 'b' ? decode_base64(word.text, decoding) : decode_q(word.text);
    if (!in_words_ || !same_word(charset_, word.charset)) {
      flush();
      charset_ = word.charset;
    }
    in_words_ = true;
    pending_ += octets;
  }

  void plain(std::string_view text) {
    flush();
    result_ += raw_text(text, oddities_);
  }

  void flush() {
    if (in_words_) result_ += to_utf8(pending_, charset_, oddities_);
    pending_.clear();
    in_words_ = false;
  }

  std::string_view text_;
  Oddities& oddities_;
  std::string result_;
  std::string pending_;  // octets of the encoded words in a row
  std::string_view charset_;
  bool in_words_ = false;
  std::size_t known_end_ = 0;
};

std::string decoded(std::string text, Oddities& oddities) {
  if (text.find("=?") == std::string::npos) return raw_text(text, oddities);
  return Decoder(text, oddities).run();
}

}  // namespace

std::string decode_header_text(std::string_view value, Oddities& oddities) {
  return decoded(Analysis::unfolded(value), oddities);
}

AddressList decode_addresses(std::string_view value, Oddities& oddities) {
  AddressList list = parse_addresses(value);
  for (MailboxName& mailbox : list.mailboxes) {
    mailbox.name = decoded(std::move(mailbox.name), oddities);
    // Whole addresses come encoded too; without a domain there is nothing else it could be.
    if (mailbox.domain.empty()) mailbox.local = decoded(std::move(mailbox.local), oddities);
  }
  return list;
}

std::string decode_parameter(const Parameter& parameter, Oddities& oddities) {
  if (!parameter.charset.empty()) return to_utf8(parameter.value, parameter.charset, oddities);
  std::string text = decoded(parameter.value, oddities);
  if (text != parameter.value && is_ascii(parameter.value)) oddities.add(Oddity::encoded_word_misplaced);
  return text;
}

}  // namespace postern::filters
