#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/queue/entry.h"

namespace postern::delivery {

/// How long to wait after the nth attempt (n from 1), in milliseconds. `chance` from 0 to 1 spreads it.
struct Retries {
  std::uint64_t first_ms = 300'000, max_ms = 14'400'000;
  double factor = 2, jitter = 0.2;
  std::uint64_t wait_ms(std::uint64_t attempts, double chance) const;
};

/// Which destination gets a connection next, and which of its entries; one core's, without clock, disk or
/// network. A lane is one connection and the task that feeds it.
///
/// In memory are destinations, and of each a window of the entries that are due; everything else stays in the
/// store's index. Fair: destinations take turns, one lane at a time. A destination that fails gets one lane
/// and one message after a pause that grows; one that is not known to work shares half of the lanes with its
/// like, so that dead ones never keep a live one waiting.
class Scheduler {
 public:
  struct Limits {
    std::size_t lanes_max = 1000;
    std::size_t lanes_per_destination_max = 20;
    std::size_t destinations_max = 100'000;  ///< more wait in the store until some of these are done
    Retries retries;
  };
  static constexpr std::size_t kFirstLanes = 2;     ///< to a destination that has answered once
  static constexpr std::size_t kWindowMax = 64;     ///< entries read ahead, for each priority
  static constexpr unsigned kTurnsOfFirst = 4;      ///< so many of priority 0, then one of priority 1
  static constexpr std::size_t kTurnMessages = 20;  ///< on a lane that others wait for

  /// What a lane does next.
  struct Take {
    enum class Kind : std::uint8_t { entry, fetch, nothing };
    Kind kind = Kind::nothing;
    storage::QueueDue due{};    ///< of entry: it is the lane's until done()
    std::uint8_t priority = 0;  ///< of entry and fetch
    std::uint64_t from_ms = 0;  ///< of fetch: read `count` from there on, then call fetched()
    std::size_t count = 0;
  };

  explicit Scheduler(Limits limits) : limits_(limits) {}
  void set_limits(Limits limits) { limits_ = limits; }

  /// Something is in the store that is due then. False: there are destinations_max already.
  bool note(std::string_view destination, std::uint8_t priority, std::uint64_t due_ms);

  /// The destination that gets a lane now, which counts from here on until lane_ended().
  std::optional<std::string> start(std::uint64_t now_ms);
  void lane_ended(std::string_view destination);
  /// When start() may have something again; none: not before note() or lane_ended().
  std::optional<std::uint64_t> next_start() const;

  Take take(std::string_view destination, std::uint64_t now_ms);
  /// `read`: what the store gave, in its order; fewer than asked for means that was all.
  void fetched(std::string_view destination, std::uint8_t priority,
               const std::vector<storage::QueueDue>& read, std::uint64_t now_ms);
  /// The reading failed: try again then.
  void fetch_failed(std::string_view destination, std::uint8_t priority, std::uint64_t again_ms);
  /// The lane is through with an entry. `again_ms`: when it is due next; none: it is closed, or held.
  void done(std::string_view destination, std::uint8_t priority, const storage::QueueKey& key,
            std::optional<std::uint64_t> again_ms);

  /// The destination took something, or at least talked.
  void succeeded(std::string_view destination);
  /// Nothing could be handed over: pause. When it is tried next.
  std::uint64_t failed(std::string_view destination, std::uint64_t now_ms, double chance);
  /// It takes mail, but is busy: fewer lanes.
  void slow_down(std::string_view destination);
  /// Whoever pauses is tried at once.
  void kick(std::string_view destination);
  /// Whether a lane that has carried `messages` makes room for others.
  bool should_yield(std::string_view destination, std::size_t messages) const;

  std::size_t lanes() const { return lanes_; }
  std::size_t destinations() const { return destinations_.size(); }
  /// Until when it pauses; none: it does not.
  std::optional<std::uint64_t> paused_until(std::string_view destination) const;

 private:
  struct Line {                            // the entries of one priority
    std::deque<storage::QueueDue> window;  // due, and nobody's
    std::optional<std::uint64_t> next_ms;  // outside of the window something is due then
    std::uint64_t floor_ms = 0;            // before it nothing is left in the index but busy entries
    bool fetching = false;
    std::size_t asked = 0;                  // while fetching
    std::optional<std::uint64_t> noted_ms;  // while fetching
  };
  struct Destination {
    Line lines[storage::kQueuePriorities];
    std::set<storage::QueueKey> busy;
    std::size_t lanes = 0;
    double lanes_allowed = 1;
    bool known = false;     // has answered, and not failed since
    unsigned failures = 0;  // in a row
    std::uint64_t pause_ms = 0;
    unsigned turn = 0;
    std::optional<std::uint64_t> queued_at;  // its place in times_
    bool in_turn = false;                    // it stands in turns_
  };
  using Table = std::map<std::string, Destination, std::less<>>;

  Destination* find(std::string_view name);
  const Destination* find(std::string_view name) const;
  std::optional<std::uint64_t> wanted(const Destination& destination) const;
  void requeue(const std::string& name, Destination& destination);
  void refresh(std::string_view name);
  bool may_start(const Destination& destination, std::uint64_t now_ms) const;

  Limits limits_;
  Table destinations_;
  std::set<std::pair<std::uint64_t, std::string>> times_;  // who may want a lane when
  std::deque<std::string> turns_;                          // who wants one now, in order
  std::size_t lanes_ = 0, probing_ = 0;
};

}  // namespace postern::delivery
