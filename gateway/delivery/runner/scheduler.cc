#include "gateway/delivery/runner/scheduler.h"

#include <algorithm>
#include <cmath>

namespace postern::delivery {

std::uint64_t Retries::wait_ms(std::uint64_t attempts, double chance) const {
  const double grown = static_cast<double>(first_ms) *
                       std::pow(factor, static_cast<double>(std::min<std::uint64_t>(attempts, 1000)) - 1);
  const double wait = std::min(grown, static_cast<double>(max_ms)) * (1 + jitter * (2 * chance - 1));
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wait));
}

Scheduler::Destination* Scheduler::find(std::string_view name) {
  const auto found = destinations_.find(name);
  return found == destinations_.end() ? nullptr : &found->second;
}

const Scheduler::Destination* Scheduler::find(std::string_view name) const {
  const auto found = destinations_.find(name);
  return found == destinations_.end() ? nullptr : &found->second;
}

bool Scheduler::note(std::string_view name, std::uint8_t priority, std::uint64_t due_ms) {
  Destination* destination = find(name);
  if (destination == nullptr) {
    if (destinations_.size() >= limits_.destinations_max) return false;
    destination = &destinations_[std::string(name)];
    for (Line& line : destination->lines) line.floor_ms = due_ms;
  }
  Line& line = destination->lines[priority];
  line.next_ms = std::min(line.next_ms.value_or(due_ms), due_ms);
  line.floor_ms = std::min(line.floor_ms, due_ms);
  if (line.fetching) line.noted_ms = std::min(line.noted_ms.value_or(due_ms), due_ms);
  refresh(name);
  return true;
}

/// When the destination has something to do, lanes and pauses apart.
std::optional<std::uint64_t> Scheduler::wanted(const Destination& destination) const {
  std::optional<std::uint64_t> first;
  for (const Line& line : destination.lines) {
    if (!line.window.empty()) return destination.pause_ms;
    // While a lane reads the index nobody knows what there is: a second lane would find nothing to do.
    if (line.next_ms && !line.fetching) first = std::min(first.value_or(*line.next_ms), *line.next_ms);
  }
  if (first) first = std::max(*first, destination.pause_ms);
  return first;
}

/// Puts the destination where it belongs now: forgotten, in the order of times, or nowhere while it has the
/// lanes it may have.
void Scheduler::requeue(const std::string& name, Destination& destination) {
  if (destination.queued_at) times_.erase({*destination.queued_at, name});
  destination.queued_at.reset();
  if (destination.in_turn) return;
  const auto allowed = static_cast<std::size_t>(destination.lanes_allowed);
  if (destination.lanes >= std::min(allowed, limits_.lanes_per_destination_max)) return;
  destination.queued_at = wanted(destination);
  if (destination.queued_at) times_.emplace(*destination.queued_at, name);
}

void Scheduler::refresh(std::string_view name) {
  const auto found = destinations_.find(name);
  if (found == destinations_.end()) return;
  Destination& destination = found->second;
  requeue(found->first, destination);
  const bool fetching = destination.lines[0].fetching || destination.lines[1].fetching;
  const bool idle = destination.lanes == 0 && !destination.in_turn && !fetching && !wanted(destination);
  if (idle) destinations_.erase(found);
}

bool Scheduler::may_start(const Destination& destination, std::uint64_t now_ms) const {
  const auto allowed = static_cast<std::size_t>(destination.lanes_allowed);
  const auto want = wanted(destination);
  return want && *want <= now_ms && destination.lanes < std::min(allowed, limits_.lanes_per_destination_max);
}

std::optional<std::string> Scheduler::start(std::uint64_t now_ms) {
  while (!times_.empty() && times_.begin()->first <= now_ms) {
    const std::string name = times_.begin()->second;
    times_.erase(times_.begin());
    Destination& destination = destinations_.find(name)->second;
    destination.queued_at.reset();
    destination.in_turn = true;
    turns_.push_back(name);
  }
  if (lanes_ >= limits_.lanes_max) return std::nullopt;
  // Half of the lanes, at least one, is for destinations that are not known to work.
  const std::size_t probing_max = std::max<std::size_t>(1, limits_.lanes_max / 2);
  for (std::size_t left = turns_.size(); left > 0; --left) {
    const std::string name = std::move(turns_.front());
    turns_.pop_front();
    Destination& destination = destinations_.find(name)->second;
    if (!may_start(destination, now_ms)) {
      destination.in_turn = false;
      refresh(name);
      continue;
    }
    if (!destination.known && probing_ >= probing_max) {
      turns_.push_back(name);
      continue;
    }
    destination.in_turn = false;
    ++destination.lanes;
    ++lanes_;
    if (!destination.known) ++probing_;
    refresh(name);  // it may want another one
    return name;
  }
  return std::nullopt;
}

void Scheduler::lane_ended(std::string_view name) {
  Destination* destination = find(name);
  if (destination == nullptr || destination->lanes == 0) return;
  --destination->lanes;
  --lanes_;
  if (!destination->known) --probing_;
  refresh(name);
}

std::optional<std::uint64_t> Scheduler::next_start() const {
  if (!times_.empty()) return times_.begin()->first;
  return std::nullopt;
}

Scheduler::Take Scheduler::take(std::string_view name, std::uint64_t now_ms) {
  Destination* destination = find(name);
  if (destination == nullptr || destination->pause_ms > now_ms) return {};
  const bool second_first = destination->turn % (kTurnsOfFirst + 1) == kTurnsOfFirst;
  for (unsigned i = 0; i < storage::kQueuePriorities; ++i) {
    const auto priority = static_cast<std::uint8_t>(second_first ? storage::kQueuePriorities - 1 - i : i);
    Line& line = destination->lines[priority];
    if (!line.window.empty()) {
      Take take{.kind = Take::Kind::entry, .due = line.window.front(), .priority = priority};
      line.window.pop_front();
      destination->busy.insert(take.due.key);
      ++destination->turn;
      return take;
    }
    if (line.next_ms && *line.next_ms <= now_ms && !line.fetching) {
      line.fetching = true;
      line.noted_ms.reset();
      line.asked = kWindowMax + destination->busy.size();
      return {.kind = Take::Kind::fetch, .priority = priority, .from_ms = line.floor_ms, .count = line.asked};
    }
  }
  return {};
}

void Scheduler::fetched(std::string_view name, std::uint8_t priority,
                        const std::vector<storage::QueueDue>& read, std::uint64_t now_ms) {
  Destination* destination = find(name);
  if (destination == nullptr) return;
  Line& line = destination->lines[priority];
  line.fetching = false;
  line.next_ms.reset();
  for (const storage::QueueDue& due : read) {
    if (destination->busy.contains(due.key)) continue;
    if (due.due_ms > now_ms) {
      line.next_ms = due.due_ms;
      break;
    }
    line.window.push_back(due);
  }
  if (!read.empty()) line.floor_ms = line.next_ms.value_or(read.back().due_ms);
  // There may be more behind what was read.
  if (!line.next_ms && read.size() >= line.asked) line.next_ms = read.back().due_ms;
  if (line.noted_ms) {
    line.next_ms = std::min(line.next_ms.value_or(*line.noted_ms), *line.noted_ms);
    line.floor_ms = std::min(line.floor_ms, *line.noted_ms);
    line.noted_ms.reset();
  }
  refresh(name);
}

void Scheduler::fetch_failed(std::string_view name, std::uint8_t priority, std::uint64_t again_ms) {
  Destination* destination = find(name);
  if (destination == nullptr) return;
  Line& line = destination->lines[priority];
  line.fetching = false;
  line.noted_ms.reset();
  line.next_ms = again_ms;
  refresh(name);
}

void Scheduler::done(std::string_view name, std::uint8_t priority, const storage::QueueKey& key,
                     std::optional<std::uint64_t> again_ms) {
  Destination* destination = find(name);
  if (destination == nullptr) return;
  destination->busy.erase(key);
  if (again_ms) {
    (void)note(name, priority, *again_ms);
  } else {
    refresh(name);
  }
}

void Scheduler::succeeded(std::string_view name) {
  Destination* destination = find(name);
  if (destination == nullptr) return;
  if (!destination->known) {
    destination->known = true;
    destination->failures = 0;
    destination->pause_ms = 0;
    probing_ -= destination->lanes;
    destination->lanes_allowed = static_cast<double>(kFirstLanes);
  } else {
    // One more for each round of successes of those there are.
    destination->lanes_allowed = std::min(destination->lanes_allowed + 1 / destination->lanes_allowed,
                                          static_cast<double>(limits_.lanes_per_destination_max));
  }
  refresh(name);
}

std::uint64_t Scheduler::failed(std::string_view name, std::uint64_t now_ms, double chance) {
  Destination* destination = find(name);
  if (destination == nullptr) return now_ms;
  if (destination->known) probing_ += destination->lanes;
  destination->known = false;
  destination->lanes_allowed = 1;
  // Several lanes that fail together are one failure.
  if (destination->pause_ms <= now_ms) {
    ++destination->failures;
    destination->pause_ms = now_ms + limits_.retries.wait_ms(destination->failures, chance);
  }
  refresh(name);
  return destination->pause_ms;
}

void Scheduler::slow_down(std::string_view name) {
  if (Destination* destination = find(name))
    destination->lanes_allowed = std::max(1.0, destination->lanes_allowed / 2);
}

void Scheduler::kick(std::string_view name) {
  Destination* destination = find(name);
  if (destination == nullptr) return;
  destination->pause_ms = 0;
  refresh(name);
}

bool Scheduler::should_yield(std::string_view name, std::size_t messages) const {
  const Destination* destination = find(name);
  if (destination == nullptr) return true;
  if (destination->lanes > std::max<std::size_t>(1, static_cast<std::size_t>(destination->lanes_allowed)))
    return true;
  return messages >= kTurnMessages && lanes_ >= limits_.lanes_max && !turns_.empty();
}

std::optional<std::uint64_t> Scheduler::paused_until(std::string_view name) const {
  const Destination* destination = find(name);
  if (destination == nullptr || destination->pause_ms == 0) return std::nullopt;
  return destination->pause_ms;
}

}  // namespace postern::delivery
