#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/smtp/address.h"
#include "gateway/smtp/reply.h"

namespace postern::smtp {

enum class BodyType : std::uint8_t { seven_bit, eight_bit_mime, binary_mime };
/// RFC 3461 §4: RET, NOTIFY.
enum class DsnReturn : std::uint8_t { unspecified, full, headers };
enum Notify : std::uint8_t {
  kNotifyUnspecified = 0,
  kNotifyNever = 1,
  kNotifySuccess = 2,
  kNotifyFailure = 4,
  kNotifyDelay = 8
};

/// MAIL FROM with its parameters, checked (RFC 5321 §4.1.1.2, 1870, 6152, 3030, 6531, 3461).
struct MailCommand {
  Path path;
  std::uint64_t size = 0;  ///< SIZE=, 0 when absent
  BodyType body = BodyType::seven_bit;
  bool smtputf8 = false;
  DsnReturn ret = DsnReturn::unspecified;
  std::string envid;  ///< ENVID= decoded from xtext; at most 100 characters encoded (RFC 3461 §4.4)
};

/// RCPT TO with its parameters (RFC 5321 §4.1.1.3, 3461, 6533).
struct RcptCommand {
  Path path;
  std::uint8_t notify = kNotifyUnspecified;
  std::string orcpt;  ///< "rfc822;address" decoded; at most 500 octets encoded (RFC 3461 §4.2)
};

/// XCLIENT (Postfix XCLIENT_README): attributes as sent, decoded from xtext; only those we know.
struct XclientCommand {
  std::vector<std::pair<std::string, std::string>> attributes;
};

}  // namespace postern::smtp
