#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/facts.h"
#include "filters/ip.h"

/// How DNS stands in Facts: one form of names, one form of records, so that a question asked by two filters
/// is one question.
///
/// Names: ASCII lower case, A-labels, no final dot. Records of an Answer, by kind: dns_a and dns_aaaa an
/// address as text; dns_txt the character-strings of one record joined without a separator (RFC 7208 §3.3,
/// RFC 6376 §3.6.2.2), octets as they came; dns_mx "PREFERENCE HOST" with "." for the null MX (RFC 7505);
/// dns_ptr a host name. A CNAME chain has been followed; an answer that ends at an alias without data is
/// no_data or no_such_name of the last name.
namespace postern::filters::dns {

inline constexpr std::size_t kNameOctetsMax = 253;  ///< RFC 1035 §3.1, as text without the final dot
inline constexpr std::size_t kLabelOctetsMax = 63;

/// The form above, or nothing when the text can be no name to ask for: an empty label, a label or name too
/// long, octets that are neither printable ASCII nor valid here. Underscores and other printable ASCII are
/// taken: names in use hold them. U-labels must have been converted before (filters do not know IDN; the
/// grammar of addresses does).
std::optional<std::string> normal_name(std::string_view text);

/// `name` must be in normal form.
Question a(std::string_view name);
Question aaaa(std::string_view name);
Question txt(std::string_view name);
Question mx(std::string_view name);
/// The reverse name of an address: 4.3.2.1.in-addr.arpa, nibbles under ip6.arpa (RFC 3596 §2.5).
std::string reverse_name(const Ip& ip);
/// "4.3.2.1" or the 32 nibbles: what goes in front of a blocklist's zone (RFC 5782 §2.1, §2.4) and of the
/// above.
std::string reversed(const Ip& ip);
Question ptr(const Ip& ip);

/// Records that are no addresses are left out.
std::vector<Ip> addresses(const Answer& answer);

struct Exchange {
  std::uint16_t preference = 0;
  std::string host;  ///< normal form; "" for the null MX
};
/// In the order of the answer; records that are none are left out.
std::vector<Exchange> exchanges(const Answer& answer);

}  // namespace postern::filters::dns
