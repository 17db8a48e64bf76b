#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/oddities.h"

namespace postern::filters {

/// One parameter of Content-Type or Content-Disposition, its pieces (RFC 2231 §3) joined and its percent signs (§4) undone.
struct Parameter {
  std::string name;     ///< lower case, without the asterisks of RFC 2231
  std::string value;    ///< octets, in `charset` where that is set
  std::string charset;  ///< lower case, as RFC 2231 §4 gives it; empty otherwise
  bool quoted = false;
};

/// A field of the form value *(";" name "=" value): RFC 2045 §5.1, RFC 2183 §2.
struct StructuredField {
  static constexpr std::size_t kParametersMax = 200;

  std::string value;  ///< what stands before the parameters, lower case, comments and blanks taken off
  std::vector<Parameter> parameters;
  Oddities oddities;

  const Parameter* find(std::string_view name) const;
};

/// Reads what real mail has: blanks around everything, values with blanks but no quotes, missing semicolons' ends. Linear, never fails.
StructuredField parse_structured_field(std::string_view value);

/// Whether it is type "/" subtype of RFC 2045 §5.1.
bool is_media_type(std::string_view value);

/// Upper case letters of ASCII to lower case; nothing else changes.
std::string to_lower(std::string_view text);
bool same_word(std::string_view a, std::string_view b);

}  // namespace postern::filters
