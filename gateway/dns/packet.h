#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "filters/facts.h"

namespace postern::dns {

/// The question's DNS type, by the registry's number.
std::uint16_t type_of(filters::QuestionKind kind);  ///< 0: not a question for DNS

/// A name in the form of filters/dns.h as RFC 1035 §5.1 text: whatever is no letter, digit, hyphen, underscore
/// or dot becomes \DDD.
std::string presentation(std::string_view name);

inline constexpr std::size_t kRecordsMax = 256;  ///< of one answer; more are left out

/// Reads a raw answer into the records form of filters/dns.h: aliases followed, records of the kind asked for
/// only. Those that cannot be said in that form (a host name with a dot inside a label, an address of five
/// octets) are left out. A packet that cannot be read to its end is servfail. `ttl` is the least of the
/// answer's records, for a negative answer that of RFC 2308 §5. Linear in the packet's size.
filters::Answer read_packet(std::span<const unsigned char> packet, filters::QuestionKind kind);

}  // namespace postern::dns
