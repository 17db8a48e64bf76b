#pragma once

#include <string>
#include <string_view>

#include "filters/message/oddities.h"

namespace postern::filters {

/// Octets out of a transfer encoding: RFC 2045 §6. Each decoder is linear, gives at most as many octets as it takes, never fails, and
/// notes what was odd.

/// RFC 2045 §6.8. What is not of the alphabet is skipped, and padding in the middle does not end the data: a reader that goes on must
/// not see more than the filters do.
std::string decode_base64(std::string_view text, Oddities& oddities);

/// RFC 2045 §6.7. Blanks at the end of a line are taken off as rule 3 has it.
std::string decode_quoted_printable(std::string_view text, Oddities& oddities);

/// From the line after "begin" to the line "end".
std::string decode_uuencode(std::string_view text, Oddities& oddities);

/// Whether text holds a line "begin MODE NAME" as uuencode starts.
bool has_uuencode(std::string_view text);

enum class TransferEncoding : unsigned char { identity, base64, quoted_printable, uuencode, unknown };
/// `name` in lower case.
TransferEncoding transfer_encoding(std::string_view name);

}  // namespace postern::filters
