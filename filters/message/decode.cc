#include "filters/message/decode.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace postern::filters {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t kForeign = 0x8000'0000U;  // survives the OR of four digits

/// The digit of each octet, shifted to its place in a group of four.
template <unsigned kShift>
constexpr std::array<std::uint32_t, 256> digits() {
  std::array<std::uint32_t, 256> table{};
  table.fill(kForeign);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint32_t>(i << kShift);
  return table;
}
constexpr auto kDigits18 = digits<18>();
constexpr auto kDigits12 = digits<12>();
constexpr auto kDigits6 = digits<6>();
constexpr auto kDigits0 = digits<0>();

bool is_white(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

constexpr std::array<signed char, 256> hex_digits() {
  std::array<signed char, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 10; ++i) table[static_cast<std::size_t>('0' + i)] = static_cast<signed char>(i);
  for (int i = 0; i < 6; ++i)
    table[static_cast<std::size_t>('A' + i)] = table[static_cast<std::size_t>('a' + i)] =
        static_cast<signed char>(10 + i);
  return table;
}
constexpr auto kHex = hex_digits();

int hex(char c) {
  return kHex[static_cast<unsigned char>(c)];
}

}  // namespace

std::string decode_base64(std::string_view text, Oddities& oddities) {
  std::string octets(text.size() / 4 * 3 + 3, '\0');
  auto* out = octets.data();
  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = in + text.size();
  std::uint32_t held = 0;
  unsigned count = 0;  // digits held
  bool padded = false;
  const auto flush = [&] {
    if (count >= 2) *out++ = static_cast<char>(held >> (count == 2 ? 4 : 10));
    if (count == 3) *out++ = static_cast<char>(held >> 2);
    if (count == 1) oddities.add(Oddity::base64_incomplete);
    held = 0;
    count = 0;
  };
  while (in < end) {
    if (count == 0) {
      while (end - in >= 4) {
        const std::uint32_t group = kDigits18[in[0]] | kDigits12[in[1]] | kDigits6[in[2]] | kDigits0[in[3]];
        if ((group & kForeign) != 0) break;
        if (padded) oddities.add(Oddity::base64_data_after_padding);
        out[0] = static_cast<char>(group >> 16);
        out[1] = static_cast<char>(group >> 8);
        out[2] = static_cast<char>(group);
        out += 3;
        in += 4;
      }
      if (in == end) break;
    }
    const unsigned char c = *in++;
    const std::uint32_t digit = kDigits0[c];
    if (digit != kForeign) {
      if (padded) oddities.add(Oddity::base64_data_after_padding);
      held = held << 6 | digit;
      if (++count == 4) {
        out[0] = static_cast<char>(held >> 16);
        out[1] = static_cast<char>(held >> 8);
        out[2] = static_cast<char>(held);
        out += 3;
        held = 0;
        count = 0;
      }
    } else if (c == '=') {
      padded = true;
      flush();
    } else if (!is_white(static_cast<char>(c))) {
      oddities.add(Oddity::base64_foreign_octet);
    }
  }
  if (count != 0) oddities.add(Oddity::base64_incomplete);
  flush();
  octets.resize(static_cast<std::size_t>(out - octets.data()));
  return octets;
}

std::string decode_quoted_printable(std::string_view text, Oddities& oddities) {
  std::string octets;
  octets.reserve(text.size());
  std::size_t keep = 0;  // how much of `octets` an encoded octet ended: blanks before it are real
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t line_feed = text.find('\n', at);
    const std::size_t line_end = line_feed == std::string_view::npos ? text.size() : line_feed;
    bool soft = false;
    while (at < line_end) {
      const auto* found = static_cast<const char*>(std::memchr(text.data() + at, '=', line_end - at));
      const std::size_t equals = found == nullptr ? line_end : static_cast<std::size_t>(found - text.data());
      octets.append(text, at, equals - at);
      at = equals;
      if (at == line_end) break;
      if (line_end - at >= 3 && hex(text[at + 1]) >= 0 && hex(text[at + 2]) >= 0) {
        octets += static_cast<char>(hex(text[at + 1]) * 16 + hex(text[at + 2]));
        at += 3;
        keep = octets.size();
        continue;
      }
      std::size_t next = at + 1;
      while (next < line_end && is_white(text[next])) ++next;
      if (next == line_end) {  // a soft line break, blanks in transit included
        soft = true;
        at = line_end;
        break;
      }
      oddities.add(Oddity::quoted_printable_broken);
      // The blanks just looked at are taken along: they are not looked at again.
      octets.append(text, at, next - at);
      at = next;
    }
    if (line_feed == std::string_view::npos) break;
    if (!soft) {
      const bool carriage_return = octets.size() > keep && octets.back() == '\r';
      if (carriage_return) octets.pop_back();
      while (octets.size() > keep && (octets.back() == ' ' || octets.back() == '\t')) octets.pop_back();
      octets += carriage_return ? "\r\n" : "\n";
    }
    at = line_end + 1;
    keep = octets.size();
  }
  return octets;
}

std::string decode_uuencode(std::string_view text, Oddities& oddities) {
  std::string octets;
  octets.reserve(text.size() / 4 * 3);
  bool begun = false;
  bool ended = false;
  while (!text.empty() && !ended) {
    const std::size_t line_feed = text.find('\n');
    std::string_view line = text.substr(0, line_feed);
    text.remove_prefix(line_feed == std::string_view::npos ? text.size() : line_feed + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!begun) {
      begun = line.starts_with("begin ");
      continue;
    }
    if (line == "end") {
      ended = true;
      continue;
    }
    if (line.empty()) continue;
    // Each octet stands for six bits, counted from the blank; the first is the number of octets in the line.
    const auto digit = [](char c) { return static_cast<std::uint32_t>(c - ' ') & 63U; };
    std::size_t wanted = digit(line.front());
    line.remove_prefix(1);
    if (line.size() < (wanted * 4 + 2) / 3) oddities.add(Oddity::uuencode_broken);
    for (std::size_t i = 0; i + 1 < line.size() && wanted > 0; i += 4) {
      std::uint32_t group = 0;
      for (std::size_t j = 0; j < 4; ++j)
        group = group << 6 | (i + j < line.size() ? digit(line[i + j]) : 0U);
      for (int shift = 16; shift >= 0 && wanted > 0; shift -= 8, --wanted)
        octets += static_cast<char>(group >> shift);
    }
  }
  if (!ended) oddities.add(Oddity::uuencode_broken);
  return octets;
}

bool has_uuencode(std::string_view text) {
  constexpr std::string_view kBegin = "begin ";
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, kBegin.size() + 5);
    if (line.starts_with(kBegin)) {
      std::size_t mode = kBegin.size();
      while (mode < line.size() && line[mode] >= '0' && line[mode] <= '7') ++mode;
      if (mode >= kBegin.size() + 3 && mode < line.size() && line[mode] == ' ') return true;
    }
    const auto* found = static_cast<const char*>(std::memchr(text.data() + at, '\n', text.size() - at));
    if (found == nullptr) return false;
    at = static_cast<std::size_t>(found - text.data()) + 1;
  }
  return false;
}

TransferEncoding transfer_encoding(std::string_view name) {
  if (name == "7bit" || name == "8bit" || name == "binary" || name.empty()) return TransferEncoding::identity;
  if (name == "base64") return TransferEncoding::base64;
  if (name == "quoted-printable") return TransferEncoding::quoted_printable;
  if (name == "x-uuencode" || name == "uuencode" || name == "x-uue" || name == "uue")
    return TransferEncoding::uuencode;
  return TransferEncoding::unknown;
}

}  // namespace postern::filters
