#pragma once

#include <cstdint>

namespace postern::filters {

/// Which part of the conversation is judged: after accept, after MAIL, after each RCPT, after the last octet
/// of the data.
enum class Stage : std::uint8_t { connect, mail, rcpt, data };

/// What a check reports. Pending: it noted questions in Facts that must be answered first, and its findings
/// are not all there.
enum class Progress : std::uint8_t { done, pending };

}  // namespace postern::filters
