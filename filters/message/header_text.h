#pragma once

#include <string>
#include <string_view>

#include "filters/message/address_list.h"
#include "filters/message/content_field.h"
#include "filters/message/oddities.h"

namespace postern::filters {

/// A header text as its reader sees it, UTF-8: unfolded, encoded words decoded (RFC 2047), also where they do not belong (inside quoted
/// strings and parameters, without blanks around them, with blanks inside). Blanks between two encoded words go (§6.2), and words of
/// the same charset are joined before they are converted, because senders cut characters in two. What is no encoded word stands.
std::string decode_header_text(std::string_view value, Oddities& oddities);

/// The mailboxes of From, To and the like with their names decoded.
AddressList decode_addresses(std::string_view value, Oddities& oddities);

/// The value of a parameter as UTF-8: RFC 2231 where it says so, encoded words otherwise.
std::string decode_parameter(const Parameter& parameter, Oddities& oddities);

}  // namespace postern::filters
