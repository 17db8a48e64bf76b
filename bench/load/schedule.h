#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace postern::load {

using Clock = std::chrono::steady_clock;

/// Leave to send one message.
struct Ticket {
  std::uint64_t number = 0;    ///< from 0, unique over all cores: chooses the message, sender and recipients
  Clock::time_point intended;  ///< when it was to start; what its latency is counted from
};

struct ScheduleOptions {
  Clock::time_point start;
  Clock::time_point until = Clock::time_point::max();  ///< nothing starts at or after this
  std::optional<double> rate;             ///< of all cores together, messages per second: open loop
  std::optional<std::uint64_t> messages;  ///< of all cores together
  unsigned core = 0, cores = 1;           ///< this core takes every cores-th ticket
};

/// When messages start. Closed loop: whenever a connection is free. Open loop: at start + number / rate, whether
/// or not anybody is free then; whoever takes a ticket late has its latency counted from the intended start all the
/// same, so that a stall of the server is charged to every message that should have been sent during it ("coordinated
/// omission" is leaving those out). Pure: the time is an argument. One thread.
class Schedule {
 public:
  explicit Schedule(const ScheduleOptions& options) : options_(options) {}

  /// The next message, possibly with an intended start still to come; nothing when the run is over.
  std::optional<Ticket> next(Clock::time_point now);
  /// Nothing more starts, for instance because somebody pressed ^C.
  void stop() { stopped_ = true; }
  /// Open loop: messages whose intended start came before `end` (the end of the run, or of the schedule if that is
  /// earlier) and for which no connection was free. A number above zero says that the server, or this program, was
  /// slower than the rate.
  std::uint64_t not_started(Clock::time_point end) const;

 private:
  std::uint64_t next_number() const { return taken_ * options_.cores + options_.core; }
  Clock::time_point intended(std::uint64_t number) const;

  ScheduleOptions options_;
  std::uint64_t taken_ = 0;
  bool stopped_ = false;
};

}  // namespace postern::load
