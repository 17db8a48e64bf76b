#include "storage/message_id.h"

#include <algorithm>
#include <random>

namespace postern::storage {
namespace {

// Crockford's base32: the digits and letters without I, L, O, U. ASCII order is value order.
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::uint8_t kNotADigit = 0xff;

constexpr std::array<std::uint8_t, 256> kDigitOf = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(kNotADigit);
  for (std::size_t value = 0; value < kAlphabet.size(); ++value) {
    const char letter = kAlphabet[value];
    table[static_cast<unsigned char>(letter)] = static_cast<std::uint8_t>(value);
    if (letter >= 'A')
      table[static_cast<unsigned char>(letter - 'A' + 'a')] = static_cast<std::uint8_t>(value);
  }
  return table;
}();

constexpr unsigned kDigitBits = 5;
constexpr unsigned kPaddingBits = 4;  // 20 digits carry 100 bits, the id has 96

}  // namespace

std::string MessageId::text() const {
  std::string result;
  result.reserve(kTextLength);
  std::uint32_t window = 0;
  unsigned bits = 0;
  for (const std::uint8_t octet : octets) {
    window = (window << 8U) | octet;
    bits += 8;
    while (bits >= kDigitBits) {
      bits -= kDigitBits;
      result.push_back(kAlphabet[(window >> bits) & 0x1fU]);
    }
  }
  result.push_back(kAlphabet[(window << kPaddingBits) & 0x1fU]);  // the last bit, padded with zeros
  return result;
}

std::chrono::sys_time<std::chrono::milliseconds> MessageId::made_at() const {
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | octets[i];
  return std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(ms));
}

std::optional<MessageId> MessageId::parse(std::string_view text) {
  if (text.size() != kTextLength) return std::nullopt;
  MessageId id;
  std::uint32_t window = 0;
  unsigned bits = 0;
  std::size_t position = 0;
  for (const char letter : text) {
    const std::uint8_t digit = kDigitOf[static_cast<unsigned char>(letter)];
    if (digit == kNotADigit) return std::nullopt;
    window = (window << kDigitBits) | digit;
    bits += kDigitBits;
    if (bits >= 8) {
      bits -= 8;
      id.octets[position++] = static_cast<std::uint8_t>((window >> bits) & 0xffU);
    }
  }
  // One id has one spelling: padding that is not zero would name the same id twice.
  if ((window & ((1U << kPaddingBits) - 1)) != 0) return std::nullopt;
  return id;
}

MessageIdSource::MessageIdSource(std::uint8_t core) : core_(core) {
  std::random_device random;
  const std::uint32_t value = random();
  for (std::size_t i = 0; i < boot_.size(); ++i) boot_[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

MessageId MessageIdSource::next(std::chrono::sys_time<std::chrono::milliseconds> now) {
  const auto count = now.time_since_epoch().count();
  const std::uint64_t ms = count > 0 ? static_cast<std::uint64_t>(count) : 0;
  if (ms > last_ms_) {
    last_ms_ = ms;
    sequence_ = 0;
  } else if (++sequence_ == 0) {
    ++last_ms_;  // 65,536 ids within one millisecond, or a clock that stepped back: borrow from the future
  }
  MessageId id;
  for (std::size_t i = 0; i < 6; ++i) id.octets[i] = static_cast<std::uint8_t>(last_ms_ >> (8 * (5 - i)));
  id.octets[6] = core_;
  id.octets[7] = static_cast<std::uint8_t>(sequence_ >> 8U);
  id.octets[8] = static_cast<std::uint8_t>(sequence_ & 0xffU);
  std::ranges::copy(boot_, id.octets.begin() + 9);
  return id;
}

}  // namespace postern::storage
