#pragma once

#include <string>
#include <string_view>

namespace postern::filters {

/// A URL taken apart as a reader's browser would, as far as filters need it. Views into the URL.
struct UrlPieces {
  std::string_view scheme;    ///< as written, without the colon
  std::string_view userinfo;  ///< what stands before "@", without it
  std::string_view host;      ///< as written; a literal keeps its brackets
  std::string_view port;
  std::string_view path;  ///< from the slash on, with query and fragment
  bool has_userinfo = false;
};
UrlPieces split_url(std::string_view url);

/// A host in its normal form: percent signs decoded, lower case, without a final dot, an IPv4 address in any of its spellings (one
/// number, hexadecimal, octal) dotted, A-labels of an internationalised name where IDNA takes it.
std::string normal_host(std::string_view host);

/// The domain somebody registered: the public suffix and one label more, by libpsl's built-in list. An address stands as it is; a host
/// that is a public suffix itself, or has one label only, too. `host` in normal form.
std::string registrable_domain(std::string_view host);

/// Whether a host in normal form is an IPv4 address or a bracketed literal.
bool is_address_host(std::string_view host);

}  // namespace postern::filters
