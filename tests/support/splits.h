#pragma once

#include <algorithm>
#include <functional>
#include <string_view>
#include <vector>

namespace postern::test {

/// Calls `run` with the text in one piece, octet by octet, and cut in two at every place. From `dense_max` octets on not at every
/// place but at so many, evenly spread, and all of the first and the last 64.
inline void for_each_split(std::string_view text,
                           const std::function<void(const std::vector<std::string_view>&)>& run,
                           std::size_t dense_max = 1024) {
  run({text});
  std::vector<std::string_view> octets;
  for (std::size_t i = 0; i < text.size(); ++i) octets.push_back(text.substr(i, 1));
  run(octets);
  const std::size_t stride = std::max<std::size_t>(1, text.size() / dense_max);
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    const bool edge = cut < 64 || cut + 64 > text.size();
    if (edge || cut % stride == 0) run({text.substr(0, cut), text.substr(cut)});
  }
}

}  // namespace postern::test
