#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace postern::lists {

using SipKey = std::array<std::uint64_t, 2>;
/// From the system's random numbers.
SipKey random_key();
/// SipHash-2-4 (Aumasson and Bernstein 2012): who does not know the key cannot make two texts collide.
std::uint64_t siphash(const SipKey& key, std::string_view octets);

}  // namespace postern::lists
