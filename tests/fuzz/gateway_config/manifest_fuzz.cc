// Any text is either a configuration or a list of problems, each of which says something in one line. A
// configuration survives being dumped and read again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/config/config.h"

namespace {

void check(const std::vector<postern::config::Problem>& problems) {
  for (const auto& problem : problems) {
    if (problem.what.empty() || problem.text().find_first_of("\r\n") != std::string::npos) std::abort();
  }
  if (!std::ranges::is_sorted(problems, {}, &postern::config::Problem::line)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = postern::config::parse(text, "/etc/postern/m.toml");
  check(loaded.problems);
  check(loaded.warnings);
  if (!loaded.problems.empty()) return 0;
  const auto again = postern::config::parse(postern::config::dump(loaded), "/etc/postern/m.toml");
  if (!again.problems.empty() || again.config != loaded.config) std::abort();
  return 0;
}
