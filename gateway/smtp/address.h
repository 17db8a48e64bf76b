#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "filters/ip.h"

namespace postern::smtp {

/// RFC 5321 §4.5.3.1.1, §4.5.3.1.2, §4.5.3.1.3 and §4.1.2.
inline constexpr std::size_t kLocalPartOctetsMax = 64;
inline constexpr std::size_t kDomainOctetsMax = 255;
inline constexpr std::size_t kPathOctetsMax = 256;

struct SyntaxError {
  std::size_t position = 0;  ///< octets from the start of the text given
  std::string rule;          ///< what was expected there, in ASCII since replies quote it: "an at sign"
};

/// Mailbox of RFC 5321 §4.1.2 with RFC 6531 §3.3 when UTF-8 is allowed. Every label of a domain is one that the DNS can
/// hold: 63 octets, and for a U-label an A-label exists.
struct Mailbox {
  std::string local;  ///< unquoted and unescaped: the characters meant
  /// As written, lower case for ASCII; A-labels stay A-labels, U-labels stay U-labels. An address literal keeps its brackets,
  /// its tag is "IPv6:".
  std::string domain;
  bool quoted = false;     ///< was a quoted-string
  bool literal = false;    ///< domain is an address literal
  filters::Ip literal_ip;  ///< of an IPv4 or IPv6 literal
  bool utf8 = false;       ///< holds octets over 127

  /// local@domain, the local part quoted again only where it must be. The key of accounts and of the store.
  std::string normal_form() const;
};

/// A Reverse-path or Forward-path: <>, <a@b>, <@r1,@r2:a@b>, and for RCPT <Postmaster> without a domain (§4.1.1.3).
struct Path {
  Mailbox mailbox;                 ///< empty local and domain for <>
  std::vector<std::string> route;  ///< source route, to be ignored (RFC 5321 appendix C)
  bool null = false;
  bool postmaster = false;  ///< <Postmaster>, no domain

  std::string normal_form() const;  ///< "" for <>, "postmaster" for <Postmaster>
};

enum class PathKind : std::uint8_t { reverse, forward };

/// A Mailbox and nothing else: no angle brackets, no route. `text` as received.
std::expected<Mailbox, SyntaxError> parse_mailbox(std::string_view text, bool utf8);
/// A path at the start of `text`; `consumed` (may be null) tells where it ended, parameters follow.
std::expected<Path, SyntaxError> parse_path(std::string_view text, PathKind kind, bool utf8,
                                            std::size_t* consumed);

}  // namespace postern::smtp
