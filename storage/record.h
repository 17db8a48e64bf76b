#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "storage/codec.h"

/// The parts that every record is made of, for the files that define records. Private to storage/.
namespace postern::storage::record {

inline constexpr std::uint64_t kUint32Max = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::uint64_t kTimeMax =
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

inline constexpr std::string_view kEndsEarly = "the record ends early";
inline constexpr std::string_view kOctetsLeft = "octets after the end of the record";
inline constexpr std::string_view kWrongVersion = "a record version this program does not know";
inline constexpr std::string_view kNotShortest = "a number that is not in its shortest form";
inline constexpr std::string_view kTooLarge = "a number beyond its bound";
inline constexpr std::string_view kZero = "a number that may not be zero";

inline void put_varint(std::uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80U));
    value >>= 7U;
  }
  out.push_back(static_cast<char>(value));
}

inline void put_text(std::string_view text, std::string& out) {
  put_varint(text.size(), out);
  out.append(text);
}

inline void begin(std::string& out) {
  out.assign(1, static_cast<char>(kRecordVersion));
}

/// Walks one record. The first failure sticks: later reads give zero and change nothing, so a decoder reads
/// all its fields in a row and asks once at the end.
class Reader {
 public:
  /// `newest`: the highest layout version that the record may have.
  explicit Reader(std::string_view in, std::uint8_t newest = kRecordVersion) : in_(in) {
    if (in_.empty()) {
      fail(kEndsEarly);
    } else if (version() < kRecordVersion || version() > newest) {
      fail(kWrongVersion);
    } else {
      position_ = 1;
    }
  }

  std::uint8_t version() const { return in_.empty() ? 0 : static_cast<std::uint8_t>(in_[0]); }

  std::uint64_t varint(std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
    if (failure_) return 0;
    const std::size_t start = position_;
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (position_ == in_.size()) return fail_number(kEndsEarly, position_);
      const auto octet = static_cast<unsigned char>(in_[position_++]);
      if (shift == 63 && octet > 1) return fail_number(kTooLarge, start);  // the tenth octet carries one bit
      value |= static_cast<std::uint64_t>(octet & 0x7fU) << shift;
      if (octet < 0x80) {
        if (octet == 0 && shift > 0) return fail_number(kNotShortest, start);
        break;
      }
    }
    if (value > max) return fail_number(kTooLarge, start);
    return value;
  }

  std::uint32_t varint32() { return static_cast<std::uint32_t>(varint(kUint32Max)); }

  std::uint32_t nonzero32() {
    const std::size_t start = position_;
    const std::uint32_t value = varint32();
    if (!failure_ && value == 0) return static_cast<std::uint32_t>(fail_number(kZero, start));
    return value;
  }

  std::string_view octets(std::uint64_t count) {
    if (failure_) return {};
    if (count > in_.size() - position_) {
      position_ = in_.size();
      fail(kEndsEarly);
      return {};
    }
    const std::string_view result = in_.substr(position_, static_cast<std::size_t>(count));
    position_ += result.size();
    return result;
  }

  std::string text() { return std::string(octets(varint())); }

  std::string_view rest() { return octets(in_.size() - position_); }

  template <std::size_t N>
  void copy(std::array<std::uint8_t, N>& out) {
    const std::string_view from = octets(N);
    if (from.size() == N)
      std::ranges::transform(from, out.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  }

  bool well() const { return !failure_.has_value(); }
  void require(bool holds, std::string_view rule) {
    if (!failure_ && !holds) fail(rule);
  }

  template <class T>
  Decoded<T> finish(T value) {
    if (!failure_ && position_ != in_.size()) fail(kOctetsLeft);
    if (failure_) return std::unexpected(*failure_);
    return value;
  }

 private:
  void fail(std::string_view rule) { failure_ = DecodeError{.position = position_, .rule = rule}; }
  std::uint64_t fail_number(std::string_view rule, std::size_t at) {
    failure_ = DecodeError{.position = at, .rule = rule};
    return 0;
  }

  std::string_view in_;
  std::size_t position_ = 0;
  std::optional<DecodeError> failure_;
};

}  // namespace postern::storage::record
