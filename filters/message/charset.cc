#include "filters/message/charset.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "filters/message/content_field.h"

namespace postern::filters {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// What is converted, by the name the C library has for it. Names that mail programs use for a subset mean the larger set: what is
/// declared as ISO-8859-1 has quotation marks of windows-1252 in it, and GB2312 has characters of GB18030.
constexpr const char* kEncodings[] = {
    "CP1252",     "CP1250",     "CP1251",      "CP1253",      "CP1254",      "CP1255",      "CP1256",
    "CP1257",     "CP1258",     "ISO-8859-2",  "ISO-8859-3",  "ISO-8859-4",  "ISO-8859-5",  "ISO-8859-6",
    "ISO-8859-7", "ISO-8859-8", "ISO-8859-10", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16",
    "CP874",      "KOI8-R",     "KOI8-U",      "CP866",       "CP437",       "CP850",       "CP852",
    "MACINTOSH",  "CP932",      "EUC-JP",      "ISO-2022-JP", "ISO-2022-KR", "CP949",       "GB18030",
    "BIG5-HKSCS", "UTF-16",     "UTF-16BE",    "UTF-16LE",    "UTF-32",      "UTF-32BE",    "UTF-32LE",
    "UTF-7",      "HZ",         "EUC-TW",      "JOHAB",       "ISO-8859-9E", "TCVN",
};

struct Alias {
  std::string_view name;
  std::string_view encoding;
};

/// Names that differ from the above by more than case.
constexpr Alias kAliases[] = {
    {"ansi_x3.4-1968", "US-ASCII"},
    {"ascii", "US-ASCII"},
    {"us-ascii", "US-ASCII"},
    {"iso646-us", "US-ASCII"},
    {"7bit", "US-ASCII"},
    {"utf8", "UTF-8"},
    {"utf-8", "UTF-8"},
    {"unicode-1-1-utf-8", "UTF-8"},
    {"cp65001", "UTF-8"},
    {"utf8mb4", "UTF-8"},
    {"utf-8-strict", "UTF-8"},
    {"iso-8859-1", "CP1252"},
    {"iso8859-1", "CP1252"},
    {"iso_8859-1", "CP1252"},
    {"iso88591", "CP1252"},
    {"latin1", "CP1252"},
    {"latin-1", "CP1252"},
    {"l1", "CP1252"},
    {"windows-1252", "CP1252"},
    {"ansi", "CP1252"},
    {"x-ansi", "CP1252"},
    {"windows-1250", "CP1250"},
    {"windows-1251", "CP1251"},
    {"win-1251", "CP1251"},
    {"x-cp1251", "CP1251"},
    {"windows-1253", "CP1253"},
    {"windows-1254", "CP1254"},
    {"iso-8859-9", "CP1254"},
    {"iso8859-9", "CP1254"},
    {"latin5", "CP1254"},
    {"windows-1255", "CP1255"},
    {"windows-1256", "CP1256"},
    {"windows-1257", "CP1257"},
    {"windows-1258", "CP1258"},
    {"iso8859-2", "ISO-8859-2"},
    {"latin2", "ISO-8859-2"},
    {"iso8859-5", "ISO-8859-5"},
    {"iso8859-7", "ISO-8859-7"},
    {"iso-8859-8-i", "ISO-8859-8"},
    {"iso-8859-8-e", "ISO-8859-8"},
    {"iso-8859-6-i", "ISO-8859-6"},
    {"iso8859-15", "ISO-8859-15"},
    {"latin9", "ISO-8859-15"},
    {"iso-8859-11", "CP874"},
    {"tis-620", "CP874"},
    {"windows-874", "CP874"},
    {"koi8r", "KOI8-R"},
    {"koi8", "KOI8-R"},
    {"koi8-ru", "KOI8-U"},
    {"ibm866", "CP866"},
    {"cp-866", "CP866"},
    {"ibm437", "CP437"},
    {"ibm850", "CP850"},
    {"cp-850", "CP850"},
    {"ibm852", "CP852"},
    {"x-mac-roman", "MACINTOSH"},
    {"mac", "MACINTOSH"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"x-sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"ms_kanji", "CP932"},
    {"eucjp", "EUC-JP"},
    {"x-euc-jp", "EUC-JP"},
    {"iso-2022-jp-1", "ISO-2022-JP"},
    {"iso-2022-jp-2", "ISO-2022-JP"},
    {"cp50220", "ISO-2022-JP"},
    {"iso-2022-jp-ms", "ISO-2022-JP"},
    {"euc-kr", "CP949"},
    {"euckr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"ks_c_5601", "CP949"},
    {"ksc5601", "CP949"},
    {"windows-949", "CP949"},
    {"uhc", "CP949"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"x-gbk", "GB18030"},
    {"cp936", "GB18030"},
    {"gb_2312-80", "GB18030"},
    {"euc-cn", "GB18030"},
    {"gb-2312", "GB18030"},
    {"windows-936", "GB18030"},
    {"big5", "BIG5-HKSCS"},
    {"big-5", "BIG5-HKSCS"},
    {"x-x-big5", "BIG5-HKSCS"},
    {"cp950", "BIG5-HKSCS"},
    {"big5hkscs", "BIG5-HKSCS"},
    {"hz-gb-2312", "HZ"},
    {"utf16", "UTF-16"},
    {"unicode", "UTF-16"},
    {"ucs-2", "UTF-16"},
    {"utf7", "UTF-7"},
    {"unicode-1-1-utf-7", "UTF-7"},
    {"unicode-2-0-utf-7", "UTF-7"},
    {"x-unicode-2-0-utf-7", "UTF-7"},
};

/// Where ASCII octets mean something else.
bool is_ascii_superset(std::string_view encoding) {
  return !encoding.starts_with("UTF-16") && !encoding.starts_with("UTF-32") &&
         !encoding.starts_with("UTF-7") && !encoding.starts_with("ISO-2022") && encoding != "HZ";
}

std::string_view encoding_named(std::string_view charset) {
  const auto alias =
      std::ranges::find_if(kAliases, [&](const Alias& a) { return same_word(a.name, charset); });
  if (alias != std::end(kAliases)) return alias->encoding;
  const auto known =
      std::ranges::find_if(kEncodings, [&](const char* name) { return same_word(name, charset); });
  return known == std::end(kEncodings) ? std::string_view() : std::string_view(*known);
}

/// Descriptors of one thread, opened when first used and kept.
class Converters {
 public:
  Converters() { descriptors_.fill(kUnopened); }
  Converters(const Converters&) = delete;
  Converters& operator=(const Converters&) = delete;
  ~Converters() {
    for (const iconv_t descriptor : descriptors_)
      if (descriptor != kUnopened) iconv_close(descriptor);
  }

  /// Reset; nullopt where the C library lacks the charset.
  std::optional<iconv_t> get(std::string_view encoding) {
    const auto found = std::ranges::find(kEncodings, encoding);
    if (found == std::end(kEncodings)) return std::nullopt;
    iconv_t& descriptor = descriptors_[static_cast<std::size_t>(found - std::begin(kEncodings))];
    if (descriptor == kUnopened) descriptor = iconv_open("UTF-8", *found);
    if (descriptor == kUnopened) return std::nullopt;
    iconv(descriptor, nullptr, nullptr, nullptr, nullptr);
    return descriptor;
  }

 private:
  static inline const iconv_t kUnopened = reinterpret_cast<iconv_t>(-1);  // what iconv_open gives on failure
  std::array<iconv_t, std::size(kEncodings)> descriptors_;
};

bool convert(std::string_view octets, std::string_view encoding, std::string& text, Oddities& oddities) {
  thread_local Converters converters;
  const auto descriptor = converters.get(encoding);
  if (!descriptor) return false;
  text.reserve(octets.size() + octets.size() / 2);
  auto* in = const_cast<char*>(octets.data());  // POSIX has the parameter so; nothing is written
  std::size_t left = octets.size();
  std::array<char, 16384> buffer;
  for (;;) {
    char* out = buffer.data();
    std::size_t room = buffer.size();
    const std::size_t before = left;
    const std::size_t result = left > 0 ? iconv(*descriptor, &in, &left, &out, &room)
                                        : iconv(*descriptor, nullptr, nullptr, &out, &room);
    const int error = errno;
    text.append(buffer.data(), buffer.size() - room);
    if (result != static_cast<std::size_t>(-1)) {
      if (before == 0) return true;
      continue;  // once more, for what the descriptor holds back
    }
    if (error == E2BIG) continue;
    if (left == 0) return true;
    // An invalid or incomplete sequence: its first octet is replaced.
    oddities.add(Oddity::charset_invalid_octets);
    text += kReplacement;
    ++in;
    --left;
  }
}

/// Octets of the UTF-8 sequence at the start, 0 where there is none (RFC 3629 §4); `invalid` is then how many to replace at once.
std::size_t sequence(std::string_view text, std::size_t& invalid) {
  const auto octet = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned first = octet(0);
  std::size_t size = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) size = 2;
  if (first >= 0xE0 && first <= 0xEF) size = 3;
  if (first >= 0xF0 && first <= 0xF4) size = 4;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < size; ++i) {
    if (octet(i) < low || octet(i) > high) {
      invalid = i;
      return 0;
    }
    low = 0x80;
    high = 0xBF;
  }
  invalid = 1;
  return size;
}

/// Where the first octet above 127 stands at or after `at`.
std::size_t skip_ascii(std::string_view text, std::size_t at) {
  constexpr std::size_t kStep = 4 * sizeof(std::uint64_t);
  while (text.size() - at >= kStep) {
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), text.data() + at, kStep);
    if (((words[0] | words[1] | words[2] | words[3]) & 0x8080'8080'8080'8080U) != 0) break;
    at += kStep;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

std::string repaired(std::string_view octets, Oddities& oddities) {
  std::string text;
  text.reserve(octets.size());
  for (std::size_t at = 0; at < octets.size();) {
    const std::size_t ascii_end = skip_ascii(octets, at);
    text.append(octets, at, ascii_end - at);
    at = ascii_end;
    if (at == octets.size()) break;
    std::size_t invalid = 1;
    if (const std::size_t size = sequence(octets.substr(at, 4), invalid); size > 0) {
      text.append(octets, at, size);
      at += size;
    } else {
      oddities.add(Oddity::charset_invalid_octets);
      text += kReplacement;
      at += invalid;
    }
  }
  return text;
}

std::string guessed(std::string_view octets, Oddities& oddities) {
  if (is_utf8(octets)) return std::string(octets);
  std::string text;
  if (convert(octets, "CP1252", text, oddities)) return text;
  return repaired(octets, oddities);
}

}  // namespace

bool is_ascii(std::string_view octets) {
  return skip_ascii(octets, 0) == octets.size();
}

bool is_utf8(std::string_view octets) {
  for (std::size_t at = skip_ascii(octets, 0); at < octets.size(); at = skip_ascii(octets, at)) {
    std::size_t invalid = 0;
    const std::size_t size = sequence(octets.substr(at, 4), invalid);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

void append_utf8(std::string& text, unsigned long code) {
  const auto put = [&text](unsigned long octet) { text += static_cast<char>(octet); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if ((code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) {
    text += kReplacement;
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

std::string to_utf8(std::string_view octets, std::string_view charset, Oddities& oddities) {
  const std::string_view encoding = charset.empty() ? std::string_view("US-ASCII") : encoding_named(charset);
  if (encoding.empty()) {
    oddities.add(Oddity::charset_unknown);
    return guessed(octets, oddities);
  }
  if (is_ascii_superset(encoding) && is_ascii(octets)) return std::string(octets);
  if (encoding == "US-ASCII") {
    oddities.add(Oddity::charset_lie);
    return guessed(octets, oddities);
  }
  if (encoding == "UTF-8") {
    if (is_utf8(octets)) return std::string(octets);
    return repaired(octets, oddities);
  }
  std::string text;
  if (convert(octets, encoding, text, oddities)) return text;
  oddities.add(Oddity::charset_unknown);
  return guessed(octets, oddities);
}

}  // namespace postern::filters
