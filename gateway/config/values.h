#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/config/schema.h"

namespace postern::config {

/// Checks a string and brings it into normal form: lower case, absolute paths (from `base`), addresses in
/// their shortest spelling. Returns what is wrong, as in: `"x" is not …`; nothing when all is well.
std::optional<std::string> normalise(Shape shape, std::string& value, const std::filesystem::path& base);
/// The same for what a table's entry says, whose key is of that shape.
std::optional<std::string> normalise_value(Shape shape, std::string& value);
/// A path: absolute, without "." and "..".
std::optional<std::string> normalise_path(std::string& value, const std::filesystem::path& base);

/// The domain in A-labels and lower case, under which U-labels and A-labels of one domain are the same.
/// Nothing when IDNA refuses it.
std::optional<std::string> ascii_domain(std::string_view domain);

/// The text in quotation marks, escaped, cut when long: for problems.
std::string shown(std::string_view text);
/// Valid UTF-8 (RFC 3629)? The position of the first octet that is not; nothing when all is.
std::optional<std::size_t> invalid_utf8(std::string_view text);

}  // namespace postern::config
