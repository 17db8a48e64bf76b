#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "filters/ip.h"

namespace postern::filters::spf {

/// RFC 7208 §4.6.2; spelled as the signs stand for.
enum class Qualifier : std::uint8_t { pass, fail, softfail, neutral };

enum class MechanismKind : std::uint8_t { all, include, a, mx, ptr, ip4, ip6, exists };
std::string_view to_string(MechanismKind kind);

/// One directive (§4.6.1): qualifier, mechanism and its arguments. Views into the record's text.
struct Directive {
  Qualifier qualifier = Qualifier::pass;
  MechanismKind kind = MechanismKind::all;
  std::string_view text;    ///< as written, qualifier included
  std::string_view target;  ///< domain-spec with macros; empty: the current domain
  Network network;          ///< of ip4 and ip6
  std::uint8_t v4_bits = 32, v6_bits = 128;
};

struct SyntaxError {
  std::size_t position = 0;  ///< octets from the start of the record
  std::string rule;          ///< "toplabel (§7.1)"
};

/// An SPF record, checked whole: §4.6 wants a syntax error anywhere to be found before anything is evaluated.
struct Record {
  std::vector<Directive> directives;
  std::string_view redirect;  ///< domain-spec; empty: none (an empty one is a syntax error)
  std::string_view exp;       ///< likewise
  bool has_all = false;
};

/// Whether a TXT record is an SPF record at all: "v=spf1", then a space or nothing (§4.5).
bool is_spf(std::string_view text);

/// Parses a record that is_spf(). Linear. The views point into `text`.
std::expected<Record, SyntaxError> parse_record(std::string_view text);

}  // namespace postern::filters::spf
