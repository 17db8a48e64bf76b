#pragma once

#include <cstdio>
#include <cstdlib>

/// A mistake of ours, never something a stranger can send: on in every build, says where, and ends the
/// process. A restart is cheap, corruption is not.
#define POSTERN_CHECK(condition)                                                \
  do {                                                                          \
    if (!(condition)) [[unlikely]]                                              \
      ::postern::reactor::detail::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)

namespace postern::reactor::detail {

[[noreturn, gnu::cold]] inline void check_failed(const char* condition, const char* file, int line) {
  (void)std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace postern::reactor::detail
