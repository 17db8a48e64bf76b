#include "storage/mailbox/maildir_name.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "storage/store.h"

namespace postern::storage {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";  // RFC 3501 §5.1.3: ',' for '/'
constexpr std::size_t kNameOctetsMax = 255;  // of a directory entry, everywhere that matters

/// One character of valid UTF-8; anything else gives U+FFFD and moves by an octet.
char32_t next_character(std::string_view text, std::size_t& at) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = octet(at);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length == 0 || text.size() - at < length) {
    ++at;
    return 0xfffd;
  }
  char32_t character = length == 1 ? lead : lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) character = (character << 6U) | (octet(at + i) & 0x3fU);
  at += length;
  return character;
}

/// The base64 of one shifted run, UTF-16 big-endian without padding.
class ShiftedRun {
 public:
  explicit ShiftedRun(std::string& out) : out_(out) { out_.push_back('&'); }

  void add(char32_t character) {
    if (character >= 0x10000) {
      character -= 0x10000;
      add_unit(0xd800U + static_cast<std::uint32_t>(character >> 10U));
      add_unit(0xdc00U + static_cast<std::uint32_t>(character & 0x3ffU));
    } else {
      add_unit(static_cast<std::uint32_t>(character));
    }
  }

  void end() {
    if (bits_ > 0) out_.push_back(kBase64[(window_ << (6 - bits_)) & 0x3fU]);
    out_.push_back('-');
  }

 private:
  void add_unit(std::uint32_t unit) {
    window_ = (window_ << 16U) | unit;
    bits_ += 16;
    while (bits_ >= 6) {
      bits_ -= 6;
      out_.push_back(kBase64[(window_ >> bits_) & 0x3fU]);
    }
  }

  std::string& out_;
  std::uint32_t window_ = 0;
  unsigned bits_ = 0;
};

/// FNV-1a, to tell two long names apart; nobody gains from a collision but the folder's owner.
std::uint64_t digest(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

}  // namespace

std::string modified_utf7(std::string_view text, bool (*escape)(char32_t)) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t next = at;
    char32_t character = next_character(text, next);
    if (character == '&') {
      result += "&-";
      at = next;
      continue;
    }
    const auto is_plain = [&](char32_t c) { return c >= 0x20 && c <= 0x7e && !escape(c); };
    if (is_plain(character)) {
      result.push_back(static_cast<char>(character));
      at = next;
      continue;
    }
    ShiftedRun run(result);
    while (!is_plain(character) && character != '&') {
      run.add(character);
      at = next;
      if (at == text.size()) break;
      character = next_character(text, next);
    }
    run.end();
  }
  return result;
}

std::string maildir_folder_name(std::string_view folder) {
  std::string name = "." + modified_utf7(folder, [](char32_t c) { return c == '/'; });
  // "..", "..x" or "a..b": empty levels of hierarchy, and the first is another directory altogether.
  const bool empty_level = name.find("..") != std::string::npos || name.back() == '.';
  if (empty_level) name = "." + modified_utf7(folder, [](char32_t c) { return c == '/' || c == '.'; });
  if (name.size() > kNameOctetsMax) {
    const std::string end = fmt::format("~{:016x}", digest(folder));
    name.resize(kNameOctetsMax - end.size());
    name += end;
  }
  return name;
}

std::string maildir_flags(std::uint32_t flags) {
  constexpr std::array<std::pair<std::uint32_t, char>, 5> kLetters = {
      {{kDraft, 'D'}, {kFlagged, 'F'}, {kAnswered, 'R'}, {kSeen, 'S'}, {kDeleted, 'T'}}};
  std::string result;
  for (const auto& [flag, letter] : kLetters)
    if ((flags & flag) != 0) result.push_back(letter);
  return result;
}

}  // namespace postern::storage
