#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "filters/ip.h"

namespace postern::pipeline {

/// Counts in windows of time: wrong passwords by client network and by account, recipients by account. One for all cores, because a
/// client's connections are spread over them; locked for a few instructions. Bounded: beyond kEntriesMax the oldest windows are
/// forgotten, which favours the client.
class LoginGuard {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kEntriesMax = 100'000;
  static constexpr std::chrono::minutes kFailureWindow{15};
  static constexpr std::chrono::hours kRecipientWindow{1};
  /// Passwords compared at the same time: each takes 16 MiB and a worker.
  static constexpr unsigned kChecksMax = 8;

  /// Whether the client, or the account, has failed too often lately.
  bool is_throttled(const filters::Ip& client, std::string_view account, std::uint32_t failures_max,
                    Time now);
  void failed(const filters::Ip& client, std::string_view account, Time now);
  void succeeded(std::string_view account);  ///< forgets the account's failures, not the network's

  /// Counts one more recipient, unless that would be too many.
  bool take_recipient(std::string_view account, std::uint32_t per_hour_max, Time now);

  /// False: enough are under way. Each true is answered by end_check().
  bool begin_check();
  void end_check();

 private:
  struct Window {
    Time begin;
    std::uint32_t count = 0;
  };
  using Table = std::unordered_map<std::string, Window>;
  static std::uint32_t count(const Table& table, const std::string& key, std::chrono::seconds length,
                             Time now);
  static void add(Table& table, const std::string& key, std::chrono::seconds length, Time now);

  std::mutex mutex_;
  Table failures_, recipients_;
  unsigned checks_ = 0;
};

}  // namespace postern::pipeline
