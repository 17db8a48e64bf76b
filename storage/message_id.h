#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::storage {

/// The name of an accepted transaction: quoted in the 250 reply, in Received, in logs, and the key of the
/// stored body. 12 octets, ordered by time: 6 octets of milliseconds since 1970, 1 of core, 2 of sequence, 3
/// of randomness drawn at process start, so that ids differ across cores, within a millisecond and across
/// restarts. Text: 20 characters of Crockford's base32 (no I, L, O, U), upper case; order of text is order of
/// octets.
struct MessageId {
  std::array<std::uint8_t, 12> octets{};

  static constexpr std::size_t kTextLength = 20;
  std::string text() const;
  std::chrono::sys_time<std::chrono::milliseconds> made_at() const;
  static std::optional<MessageId> parse(std::string_view text);  ///< either case
  friend auto operator<=>(const MessageId&, const MessageId&) = default;
};

/// Makes ids for one core. Not thread-safe: one per core.
class MessageIdSource {
 public:
  explicit MessageIdSource(std::uint8_t core);
  /// Never repeats, even when the clock stands still or steps back: the sequence carries into the time.
  MessageId next(std::chrono::sys_time<std::chrono::milliseconds> now);

 private:
  std::uint8_t core_;
  std::array<std::uint8_t, 3> boot_{};
  std::uint64_t last_ms_ = 0;
  std::uint16_t sequence_ = 0;
};

}  // namespace postern::storage
