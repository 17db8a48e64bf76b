#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filters/authentication/dmarc/record.h"
#include "filters/facts.h"

namespace postern::filters::dmarc {

/// RFC 8601 §2.7.5 (registry), spelled as printed there.
enum class Result : std::uint8_t { none, pass, fail, temperror, permerror };
std::string_view to_string(Result result);

/// RFC 9989 §4.10: queries of one tree walk.
inline constexpr std::size_t kWalkQueriesMax = 8;

/// What SPF and DKIM authenticated. Domains in any case; U-labels are taken.
struct Identifiers {
  std::string_view spf;                    ///< the domain SPF passed for; "" when it did not
  std::span<const std::string_view> dkim;  ///< d= of every signature that passed
};

struct Outcome {
  Result result = Result::none;
  std::string author_domain;          ///< normal form
  std::string organizational_domain;  ///< of the author domain; "" when no record was found
  std::string record_domain;          ///< where the record stands that applies; "" when none
  std::optional<Record> record;
  std::optional<Policy> policy;  ///< the published p, sp or np that applies
  Policy disposition =
      Policy::none;  ///< what the owner asks for this message: policy after fail, one step milder under t=y
  bool spf_aligned = false, dkim_aligned = false;
  std::string reason;  ///< why there is no pass
};

/// DMARC for one author domain (RFC 9989 §5.3). Nothing: answers are missing; all that can be named is asked for at once.
std::optional<Outcome> evaluate(std::string_view author_domain, const Identifiers& identifiers, Facts& facts);

}  // namespace postern::filters::dmarc
