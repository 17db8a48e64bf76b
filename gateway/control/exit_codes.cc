#include "gateway/control/exit_codes.h"

#include <cerrno>

namespace postern::control {

int exit_code(storage::Code code) {
  switch (code) {
    case storage::Code::not_found:
      return kNoInput;
    case storage::Code::newer_format:
      return kBadData;
    case storage::Code::locked:
    case storage::Code::no_space:
    case storage::Code::stalled:
    case storage::Code::stopping:
      return kTemporary;
    case storage::Code::corrupt:
    case storage::Code::io:
      return kIo;
    case storage::Code::invalid:
      return kUsage;
  }
  return kInternal;
}

int exit_code(const reactor::Error& error) {
  switch (error.code) {
    case reactor::Errc::address_in_use:
      return kUnavailable;
    case reactor::Errc::permission:
      return kPermission;
    default:
      break;
  }
  switch (error.system_error) {
    case EACCES:
    case EPERM:
      return kPermission;
    case ENOENT:
    case ENOTDIR:
    case EROFS:
      return kCannotCreate;
    case EADDRNOTAVAIL:
      return kUnavailable;  // the address is not, or not yet, on this machine
    default:
      return kSystem;
  }
}

}  // namespace postern::control
