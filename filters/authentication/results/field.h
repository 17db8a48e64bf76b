#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::filters::results {

/// One method's outcome: resinfo of RFC 8601 §2.2.
struct MethodResult {
  std::string method;    ///< lower case: spf, dkim, dmarc, arc, iprev, auth …
  unsigned version = 1;  ///< of the method; 0: none was written
  std::string result;    ///< lower case
  std::string reason;    ///< "" when none
  std::string comment;   ///< written behind the result in parentheses; not read
  std::vector<std::pair<std::string, std::string>> properties;  ///< "smtp.mailfrom" → "example.net", in order
};

/// A whole field.
struct Field {
  std::string authserv_id;
  unsigned version = 1;
  std::vector<MethodResult> results;  ///< empty: "none"
};

struct ParseError {
  std::size_t position = 0;
  std::string rule;  ///< what was expected
};

struct ParseOptions {
  /// Take what large senders write although the standard does not allow it: a semicolon at the end, no authserv-id, "action=",
  /// results no registry knows, values that should be in quotes.
  bool relaxed = false;
  bool internationalized = false;  ///< UTF-8 in values (RFC 8616 §5)
};

inline constexpr std::size_t kResultsMax = 200;
inline constexpr unsigned kCommentDepthMax = 50;

/// Reads the value of an Authentication-Results field (RFC 8601 §2.2). Linear.
std::expected<Field, ParseError> parse(std::string_view value, const ParseOptions& options = {});

/// Whom the field claims to be from, as well as it can be made out even in a broken one, lower case: a field on arrival that
/// claims our own name is removed (§5), and must not escape that by being odd.
std::string claimed_authserv_id(std::string_view value);

/// The field with its name, folded, with line end. Values are quoted where they must be; controls and line ends in them become
/// spaces, so that nothing a stranger said can begin another field.
std::string write(const Field& field);

}  // namespace postern::filters::results
