#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "filters/ip.h"

namespace postern::config {

/// One element of `to`: where mail is handed on. "HOST:PORT", "IP:PORT", "[IP6]:PORT", "mx:DOMAIN" or "mx:" (the
/// recipient's own domain), with "lmtp:" in front, or "lmtp:unix:PATH"; then "priority=N", "weight=N".
struct Target {
  enum class Kind : std::uint8_t { host, address, mx, unix_socket };
  static constexpr std::uint16_t kSmtpPort = 25;  ///< the default but for LMTP, which has none
  static constexpr std::uint32_t kPriorityMax = 65'535, kWeightMax = 65'535;

  Kind kind = Kind::host;
  bool lmtp = false;
  std::string name;  ///< host, or domain of mx (may be empty), in A-labels; path of the socket
  filters::Ip ip;    ///< of kind address
  std::uint16_t port = kSmtpPort;
  std::optional<std::uint32_t> priority;
  std::uint32_t weight = 1;  ///< not 0

  /// The normal form, which parse_target() takes again.
  std::string text() const;
  friend bool operator==(const Target&, const Target&) = default;
};

/// The error is what was expected, to go behind "is not". `base`: of a relative path.
std::expected<Target, std::string> parse_target(std::string_view text,
                                                const std::filesystem::path& base = {});

}  // namespace postern::config
