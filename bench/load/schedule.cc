#include "bench/load/schedule.h"

#include <algorithm>

namespace postern::load {

Clock::time_point Schedule::intended(std::uint64_t number) const {
  const std::chrono::duration<double> offset(static_cast<double>(number) / *options_.rate);
  return options_.start + std::chrono::duration_cast<Clock::duration>(offset);
}

std::optional<Ticket> Schedule::next(Clock::time_point now) {
  const std::uint64_t number = next_number();
  if (stopped_ || now >= options_.until) return std::nullopt;
  if (options_.messages && number >= *options_.messages) return std::nullopt;
  const Ticket ticket{.number = number, .intended = options_.rate ? intended(number) : now};
  if (ticket.intended >= options_.until) return std::nullopt;
  ++taken_;
  return ticket;
}

std::uint64_t Schedule::not_started(Clock::time_point end) const {
  if (!options_.rate) return 0;
  const Clock::time_point last = std::min(end, options_.until);
  if (last <= options_.start) return 0;
  // How many numbers of all cores were due before `last`, then how many of them are ours.
  const double seconds = std::chrono::duration<double>(last - options_.start).count();
  auto due = static_cast<std::uint64_t>(seconds * *options_.rate);
  while (due > 0 && intended(due - 1) >= last) --due;  // the product may round either way
  while (intended(due) < last) ++due;
  if (options_.messages) due = std::min(due, *options_.messages);
  const std::uint64_t ours = due <= options_.core ? 0 : (due - options_.core - 1) / options_.cores + 1;
  return ours > taken_ ? ours - taken_ : 0;
}

}  // namespace postern::load
