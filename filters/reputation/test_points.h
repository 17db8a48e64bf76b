#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "filters/facts.h"
#include "filters/policy/policy.h"

/// Whether a list can be believed: every list has entries to be tried (RFC 5782 §5), one that is always listed and one that never
/// is. A list that has been given up tends to list everybody, or nobody; one that has had enough of us refuses.
namespace postern::filters {

struct ListTrial {
  enum class Outcome : std::uint8_t {
    sound,    ///< what must be listed is, what must not be is not
    silent,   ///< what must be listed is not: perhaps nobody ever is
    wrong,    ///< it lists what must not be listed, or refuses to answer: not to be believed
    unknown,  ///< nothing was found out
  };
  Outcome outcome = Outcome::unknown;
  std::string reason;  ///< one line; "" when it is sound
};
std::string_view to_string(ListTrial::Outcome outcome);

/// Tries a list by its test points: 127.0.0.2 and 127.0.0.1, ::FFFF:7F00:2 and ::FFFF:7F00:1, or TEST and INVALID for one of domains.
/// That a list has no IPv6 entries is no fault. Nothing: answers are missing, the questions are noted.
std::optional<ListTrial> try_list(const Blocklist& list, Facts& facts);

}  // namespace postern::filters
