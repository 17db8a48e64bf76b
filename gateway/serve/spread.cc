#include "gateway/serve/spread.h"

#include <algorithm>
#include <cmath>

namespace postern::serve {

unsigned Spread::needed(double load, std::size_t sessions, double share) const {
  const double by_load = std::ceil(load / share);
  const double by_sessions = std::ceil(static_cast<double>(sessions) / kSessionsEach);
  return static_cast<unsigned>(std::clamp(std::max(by_load, by_sessions), 1.0, static_cast<double>(cores_)));
}

std::optional<unsigned> Spread::sample(double load, std::size_t sessions) {
  const unsigned before = active_;
  active_ = std::max(active_, needed(load, sessions, kBusy));
  const unsigned enough = needed(load, sessions, kCalm);
  calm_ = enough < active_ ? calm_ + 1 : 0;
  if (calm_ >= kCalmSamples) {
    --active_;
    calm_ = 0;
  }
  if (active_ == before) return std::nullopt;
  return active_;
}

}  // namespace postern::serve
