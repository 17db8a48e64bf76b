#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace postern::serve {

/// Over how many cores new connections are spread: as few as the load needs. A core that has little to do is woken for every packet
/// of its few sessions, and on small machines that costs more than the work itself. The rule alone; no clock, no socket. One thread.
class Spread {
 public:
  /// How often to ask.
  static constexpr std::chrono::milliseconds kInterval{100};
  /// Sessions for which one core is enough, as long as they ask for little of it: more of them, and a burst of work should find
  /// them on all cores, for a session never changes its core.
  static constexpr std::size_t kSessionsEach = 32;
  /// Of a core's time: above, one more takes part; one takes its leave when the rest would stay below the lower.
  static constexpr double kBusy = 0.7, kCalm = 0.5;
  /// So many calm samples in a row before one leaves (10 s): growing is quick and shrinking slow.
  static constexpr unsigned kCalmSamples = 100;

  explicit Spread(unsigned cores) : cores_(cores) {}

  /// `load`: processor time the cores took since the last sample, in cores (0.5: half of one); `sessions`: open now. The number
  /// of cores that new connections are to go to, 1 … cores, when it changed or at the first sample.
  std::optional<unsigned> sample(double load, std::size_t sessions);
  /// 0 before the first sample.
  unsigned active() const { return active_; }

 private:
  unsigned needed(double load, std::size_t sessions, double share) const;

  unsigned cores_;
  unsigned active_ = 0;
  unsigned calm_ = 0;
};

}  // namespace postern::serve
