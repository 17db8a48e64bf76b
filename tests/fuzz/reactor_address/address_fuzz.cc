// Whatever a manifest or an option says, it is an address that survives being written and read again, and the
// kernel's form; or an error that is one short line.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/reactor/sockaddr.h"
#include "gateway/reactor/socket.h"

using postern::reactor::Address;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto address = Address::parse(text);
  if (!address) {
    const std::string reason = address.error().text();
    if (reason.size() > 400 || reason.find_first_of("\r\n") != std::string::npos) std::abort();
    return 0;
  }
  if (address->is_unix() != address->ip.empty()) std::abort();  // one or the other
  const auto again = Address::parse(address->text());
  if (!again || *again != *address) std::abort();
  if (postern::reactor::from_kernel(postern::reactor::to_kernel(*address)) != *address) std::abort();
  return 0;
}
