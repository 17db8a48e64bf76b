#pragma once

#include <cstdint>
#include <span>

#include "filters/facts.h"

namespace postern::dns {

/// DNS types that a question can be about; values of the registry.
std::uint16_t type_of(filters::QuestionKind kind);  ///< 0: not a question for DNS

/// A name in the form of filters/dns.h as RFC 1035 §5.1 text: whatever is no letter, digit, hyphen, underscore or dot becomes \DDD.
std::string presentation(std::string_view name);

inline constexpr std::size_t kRecordsMax = 256;  ///< of one answer; more are left out
inline constexpr std::size_t kTextOctetsMax = 65'535;

/// Reads a raw answer into the records form of filters/dns.h. A packet that cannot be read is servfail. `rcode` is the packet's own.
filters::Answer read_packet(std::span<const unsigned char> packet, filters::QuestionKind kind);

}  // namespace postern::dns
