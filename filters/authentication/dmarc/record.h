#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::filters::dmarc {

/// RFC 9989 §4.7; ordered by strictness.
enum class Policy : std::uint8_t { none, quarantine, reject };
std::string_view to_string(Policy policy);

enum class Alignment : std::uint8_t { relaxed, strict };
/// psd=
enum class Suffix : std::uint8_t { unknown, yes, no };

/// A DMARC policy record. Unknown tags, and known ones with a broken value, are ignored (§4.8), with the exception of §4.10.1.
struct Record {
  std::optional<Policy> policy;       ///< p=; none when absent or broken
  std::optional<Policy> subdomains;   ///< sp=
  std::optional<Policy> nonexistent;  ///< np=
  bool broken_policy = false;         ///< p missing or broken, or sp or np broken (§4.10.1)
  Alignment dkim = Alignment::relaxed, spf = Alignment::relaxed;
  Suffix suffix = Suffix::unknown;
  bool testing = false;  ///< t=y
  std::vector<std::string> aggregate_to,
      failure_to;                     ///< rua, ruf: URIs as written, without the obsolete size
  std::string failure_options = "0";  ///< fo
};

/// Nothing: the text is no DMARC record, because "v=DMARC1" does not stand first (§4.7). The value is case-sensitive, tag names
/// are not.
std::optional<Record> parse_record(std::string_view text);

}  // namespace postern::filters::dmarc
