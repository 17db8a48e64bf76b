#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/delivery/report/write.h"

namespace postern::delivery::report {

/// What somebody else's report says. Everything in it is a stranger's claim.
struct ReadSubject {
  std::string original_recipient, final_recipient;  ///< the address without its type; empty when absent
  std::optional<Action> action;
  std::string status;      ///< "5.1.1"; empty when absent or none
  std::string diagnostic;  ///< Diagnostic-Code unfolded, with its type
  std::string remote_mta;  ///< without its type
};

struct ReadReport {
  std::string reporting_mta, envid;
  std::vector<ReadSubject> subjects;
  /// Message-ID of the message reported about, where its header came along; for matching it with what was sent.
  std::string original_message_id;
};

enum class Kind : std::uint8_t { none, delivery_status, disposition_notification, feedback };

/// Which kind of report a message is (RFC 6522 report-type): to decide that none is sent about it.
Kind kind_of(std::string_view message);

inline constexpr std::size_t kSubjectsMax = 1000;

/// A delivery status notification (RFC 3464, RFC 6533), as servers really write them: groups with several blank lines or none
/// between them, fields in any order, a part in base64. None when the message is no such report. Linear, bounded.
std::optional<ReadReport> read(std::string_view message);

}  // namespace postern::delivery::report
