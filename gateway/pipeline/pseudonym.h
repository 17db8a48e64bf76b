#pragma once

#include <string>
#include <string_view>

namespace postern::pipeline {

/// What the log shows of an address when it must not show it: the same 16 hexadecimal digits for the same
/// address while the process lives, and nothing that leads back (SipHash-2-4 under a key drawn at start). ""
/// stays "".
std::string pseudonym(std::string_view address);

}  // namespace postern::pipeline
