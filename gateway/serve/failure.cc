#include "gateway/serve/failure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace postern::serve {

Failure store_failure(const storage::Error& error, const std::string& path) {
  Failure failure{.exit_code = control::exit_code(error.code), .sentence = "store: " + error.text()};
  if (error.code == storage::Code::io && ::access(path.c_str(), R_OK | W_OK | X_OK) != 0 && errno == EACCES)
    failure = {
        .exit_code = control::kPermission,
        .sentence = fmt::format("store: {}: this user may not read and write it ({})", path, error.text())};
  return failure;
}

Failure bind_failure(const reactor::Error& error) {
  return {.exit_code = control::exit_code(error), .sentence = "cannot listen: " + error.text()};
}

}  // namespace postern::serve
