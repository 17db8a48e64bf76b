#pragma once

#include <filesystem>

namespace postern::serve {

/// `postern serve`: starts in the order of gateway/serve/README.md, serves until SIGTERM or SIGINT, and returns the exit code.
/// What keeps it from starting is a sentence on standard error. Call once, on the main thread, before other threads exist.
int serve(const std::filesystem::path& manifest);

}  // namespace postern::serve
