#pragma once

#include <string>
#include <string_view>

#include "filters/policy/policy.h"

namespace postern::filters {

/// The thresholds of the policy itself, as those of whoever has no profile.
Profile thresholds_of(const Policy& policy);

/// The profile that holds for a recipient (normal form); null: the policy's own thresholds do. An entry for the address goes before
/// one for its domain, that before one for all below a domain, the longest of these first. Letters of either case are the same, and
/// so are U-labels and A-labels.
const Profile* profile_of(std::string_view recipient, const Policy& policy);

/// An entry of a profile, or an address, in the form in which Policy::profile_of knows it.
std::string profile_key(std::string_view recipient);

}  // namespace postern::filters
