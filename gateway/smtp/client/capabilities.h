#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/smtp/client/reply_reader.h"

namespace postern::smtp::client {

/// What a server offered in its reply to EHLO or LHLO (RFC 5321 §4.1.1.1); everything is off after HELO.
struct Capabilities {
  bool pipelining = false;                        ///< RFC 2920
  bool eight_bit_mime = false;                    ///< RFC 6152
  bool binary_mime = false;                       ///< RFC 3030 §3; without CHUNKING it means nothing
  bool chunking = false;                          ///< RFC 3030 §2
  bool smtputf8 = false;                          ///< RFC 6531
  bool dsn = false;                               ///< RFC 3461
  bool starttls = false;                          ///< RFC 3207
  bool enhanced_codes = false;                    ///< RFC 2034
  bool size = false;                              ///< RFC 1870: MAIL may say it
  bool auth_plain = false, auth_login = false;    ///< RFC 4954; "AUTH=" of old servers too
  std::optional<std::uint64_t> octets_max;        ///< RFC 1870; 0, no fixed maximum, is none
  std::optional<std::uint64_t> recipients_max;    ///< RFC 9422 RCPTMAX
  std::optional<std::uint64_t> transactions_max;  ///< RFC 9422 MAILMAX

  /// The first line is the greeting and is skipped. A line that is none of ours is ignored; where one is repeated, the last one
  /// counts.
  static Capabilities of(const ServerReply& reply);
};

}  // namespace postern::smtp::client
