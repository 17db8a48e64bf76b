#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace postern::reactor {

class TimerWheel;

/// Something to be woken at a time. Intrusive: whoever waits holds it, usually inside the object that waits.
/// It must not die while armed, which its destructor checks.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  bool armed() const { return link_ != nullptr; }

 protected:
  ~Timer();
  /// The time has come; the timer is not armed any more and may be armed again. Must not resume a coroutine.
  virtual void expired() noexcept = 0;

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  ///< what points to this timer; null: not armed
  std::uint64_t tick_ = 0;
  std::uint16_t slot_ = 0;
};

/// A hierarchical timing wheel: four levels of 256 slots, ticks of one millisecond, so that ten thousand
/// five-minute timers cost a list insertion each, and the loop needs a single kernel timeout. Arming and
/// cancelling are O(1); a timer moves down at most three times before it expires. Never early, at most a tick
/// late by itself. One thread.
class TimerWheel {
 public:
  using Clock = std::chrono::steady_clock;

  explicit TimerWheel(Clock::time_point start);
  ~TimerWheel();  ///< checks that no timer is armed
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Re-arms if armed. A deadline that has passed expires with the next expire(). Clock::time_point::max() is
  /// never.
  void arm(Timer& timer, Clock::time_point deadline);
  void cancel(Timer& timer) noexcept;
  /// Calls expired() of everything due at `now`. Timers may be armed and cancelled meanwhile.
  void expire(Clock::time_point now);
  /// When expire() should be called next: no later than the next expiry, possibly earlier (to move timers
  /// down).
  std::optional<Clock::time_point> next() const;
  std::size_t size() const { return size_; }

 private:
  static constexpr unsigned kLevels = 4;
  static constexpr unsigned kSlotBits = 8;
  static constexpr unsigned kSlots = 1U << kSlotBits;
  static constexpr unsigned kDue = kLevels * kSlots;  ///< the list of what is due already
  static constexpr auto kTick = std::chrono::milliseconds(1);
  /// Beyond the last level's reach (49 days) a timer waits in its last slot and is placed again from there.
  static constexpr std::uint64_t kReach = (std::uint64_t{1} << (kLevels * kSlotBits)) - 1;

  void place(Timer& timer);
  void insert(Timer& timer, unsigned slot);
  void unlink(Timer& timer) noexcept;
  void fire(unsigned slot);
  void move_down(unsigned slot);
  std::optional<std::uint64_t> next_tick() const;
  std::optional<unsigned> distance(unsigned level, unsigned from) const;

  Clock::time_point start_;
  std::uint64_t now_ = 0;  ///< in ticks since start_
  std::size_t size_ = 0;
  std::array<Timer*, kDue + 1> first_{};
  std::array<std::array<std::uint64_t, kSlots / 64>, kLevels> occupied_{};
};

}  // namespace postern::reactor
