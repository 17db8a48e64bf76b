#pragma once

#include <string>
#include <string_view>

#include "filters/message/oddities.h"

namespace postern::filters {

/// Text to UTF-8. `charset` as declared, in any case; empty means US-ASCII (RFC 2046 §4.1.2). Never fails: octets that are not of the
/// charset become U+FFFD, one for each; a charset not in our list is read as UTF-8 where the octets are valid UTF-8 and as
/// windows-1252 otherwise, and so is text that declares US-ASCII and has octets above 127. Only charsets of a fixed list are handed to
/// the C library, never a name out of a message. Linear; gives at most three octets for each one taken. Any thread: each keeps its own
/// descriptors.
std::string to_utf8(std::string_view octets, std::string_view charset, Oddities& oddities);

bool is_ascii(std::string_view octets);
bool is_utf8(std::string_view octets);
/// Appends a scalar value; what is none becomes U+FFFD.
void append_utf8(std::string& text, unsigned long code);

}  // namespace postern::filters
