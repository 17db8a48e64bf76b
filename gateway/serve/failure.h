#pragma once

#include <string>

#include "gateway/control/exit_codes.h"

namespace postern::serve {

/// Why the server does not start: a sentence for standard error and the code to end with.
struct Failure {
  int exit_code = control::kInternal;
  std::string sentence;
};

/// The store will not open. The folder's rights are looked at, because RocksDB tells "not with these rights" from other
/// trouble in words only.
Failure store_failure(const storage::Error& error, const std::string& path);
Failure bind_failure(const reactor::Error& error);

}  // namespace postern::serve
