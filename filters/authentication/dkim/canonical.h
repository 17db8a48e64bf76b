#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/analysis.h"

namespace postern::filters::dkim {

/// RFC 6376 §3.4.
enum class Canonical : std::uint8_t { simple, relaxed };
std::string_view to_string(Canonical canonical);

/// Appends a header field in canonical form, with its line end (§3.4.1, §3.4.2). A bare LF counts as a line end.
void append_field(std::string& out, const HeaderField& field, Canonical canonical);

/// Appends a signature field with the value of b= taken out and without its line end (§3.7).
void append_signature_field(std::string& out, const HeaderField& field, Canonical canonical);

/// The fields that h= selects, in its order: each name takes the lowest instance not taken yet; a name that has none left adds
/// nothing (§5.4.2). Linear in fields and names.
std::vector<const HeaderField*> select_fields(const std::vector<HeaderField>& fields,
                                              const std::vector<std::string_view>& names);

}  // namespace postern::filters::dkim
