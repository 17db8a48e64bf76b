#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "filters/ip.h"

namespace postern::filters::spf {

/// Where a macro-string stands: c, r and t may be used in explanations only (RFC 7208 §7.2).
enum class MacroUse : unsigned char { domain, explanation };

/// The position of the first octet that breaks the grammar of §7.1, or nothing. An explanation may hold
/// spaces (§6.2).
std::optional<std::size_t> check_macro_string(std::string_view text, MacroUse use);
/// domain-spec = macro-string domain-end.
std::optional<std::size_t> check_domain_spec(std::string_view text);

/// What the letters stand for.
struct MacroValues {
  Ip ip;
  std::string_view sender;  ///< whole address, never without a local part
  std::string_view domain;  ///< of the record under evaluation
  std::string_view helo;
  std::string_view receiver;        ///< %{r}; "unknown" when empty
  std::chrono::sys_seconds now;     ///< %{t}
  std::string_view validated = {};  ///< %{p}; "unknown" when empty
};

/// Whether %{p} occurs: then the reverse name must be known before expand().
bool uses_validated_name(std::string_view text);

/// Expands a checked macro-string. The result is at most kExpandedOctetsMax long, cut there.
std::string expand(std::string_view text, const MacroValues& values);
inline constexpr std::size_t kExpandedOctetsMax = 4096;

/// The same for a target name: too long ones lose labels from the left (§7.3), a final dot goes. Not yet in
/// normal form.
std::string expand_name(std::string_view text, const MacroValues& values);

}  // namespace postern::filters::spf
