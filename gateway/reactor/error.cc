#include "gateway/reactor/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace postern::reactor {
namespace {

Errc code_of(int number) {
  switch (number) {
    case ECANCELED:
      return Errc::cancelled;
    case ETIMEDOUT:
    case ETIME:
      return Errc::timed_out;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
      return Errc::reset;
    case EADDRINUSE:
      return Errc::address_in_use;
    case EACCES:
    case EPERM:
      return Errc::permission;
    case ENOSYS:
    case EOPNOTSUPP:
      return Errc::unsupported;
    default:
      return Errc::system;
  }
}

}  // namespace

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::cancelled:
      return "cancelled";
    case Errc::timed_out:
      return "timed out";
    case Errc::end_of_stream:
      return "end of stream";
    case Errc::reset:
      return "connection reset";
    case Errc::address_in_use:
      return "address in use";
    case Errc::permission:
      return "permission denied";
    case Errc::unsupported:
      return "not supported";
    case Errc::limit:
      return "limit reached";
    case Errc::tls:
      return "TLS failure";
    case Errc::invalid:
      return "not valid";
    case Errc::system:
      return "system error";
  }
  return "unknown";
}

Error Error::from_errno(int number, std::string_view what) {
  return Error{.code = code_of(number), .system_error = number, .context = std::string(what)};
}

std::string Error::text() const {
  if (code == Errc::system && system_error != 0)
    return fmt::format("{}: {}", context, std::generic_category().message(system_error));
  if (context.empty()) return std::string(to_string(code));
  return fmt::format("{}: {}", context, to_string(code));
}

}  // namespace postern::reactor
