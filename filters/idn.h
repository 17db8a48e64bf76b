#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::filters {

/// A domain as DNS knows it: U-labels turned into A-labels (IDNA 2008 by libidn2, non-transitional), then the normal form of
/// dns::normal_name(). Nothing when it can be no domain. Cheap for ASCII.
std::optional<std::string> ascii_domain(std::string_view domain);

}  // namespace postern::filters
