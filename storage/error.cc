#include "storage/error.h"

namespace postern::storage {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::not_found:
      return "not found";
    case Code::corrupt:
      return "corrupt";
    case Code::newer_format:
      return "newer format";
    case Code::locked:
      return "locked";
    case Code::no_space:
      return "no space";
    case Code::stalled:
      return "stalled";
    case Code::stopping:
      return "stopping";
    case Code::io:
      return "input/output";
    case Code::invalid:
      return "invalid";
  }
  return "unknown";
}

}  // namespace postern::storage
