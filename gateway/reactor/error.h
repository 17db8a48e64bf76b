#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace postern::reactor {

enum class Errc : std::uint8_t {
  cancelled,      ///< somebody asked for the wait to end (drain, scope cancelled, socket cancelled)
  timed_out,      ///< the deadline passed
  end_of_stream,  ///< the peer closed its sending side
  reset,          ///< ECONNRESET, EPIPE: the peer is gone
  address_in_use,
  permission,
  unsupported,  ///< the kernel lacks a feature; context names it and the likely cause
  limit,        ///< one of our own bounds
  tls,          ///< handshake or record trouble; context holds OpenSSL's reason
  invalid,      ///< a text that is not what it should be; context names the position and the rule
  system,       ///< any other errno, in system_error
};
std::string_view to_string(Errc code);

/// Why I/O said no. `context` names the operation and the peer or path.
struct Error {
  Errc code = Errc::system;
  int system_error = 0;  ///< errno, 0 when there is none
  std::string context;

  static Error from_errno(int number, std::string_view what);
  Error with(std::string_view where) && {
    context.insert(0, std::string(where) + ": ");
    return std::move(*this);
  }
  /// "bind 127.0.0.1:25: permission denied"
  std::string text() const;
};

}  // namespace postern::reactor
