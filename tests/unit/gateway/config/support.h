#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/config.h"

namespace postern::config {

/// The least that a manifest must say; five lines, so that what a test appends begins on line 6.
inline constexpr std::string_view kLeast =
    "hostname = \"mx.test.example\"\n"
    "[[listener]]\n"
    "address = \"127.0.0.1:2525\"\n"
    "[[domain]]\n"
    "name = \"test.example\"\n";

inline std::string texts(const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& problem : problems) out += problem.text() + "\n";
  return out;
}

inline Loaded parse(const std::string& text) {
  return parse(text, "/etc/postern/m.toml");
}

}  // namespace postern::config
