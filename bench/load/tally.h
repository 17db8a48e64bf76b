#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/histogram.h"
#include "gateway/reactor/error.h"

namespace postern::load {

/// What is timed.
enum class Stage : std::uint8_t {
  connect,   ///< from the first SYN to the end of the banner
  tls,       ///< the handshake
  envelope,  ///< from MAIL to the last RCPT's reply
  data,      ///< from the first octet of the message to the reply to its final dot
  message,   ///< from the intended start to the reply to the final dot, with connecting if it came to that
};
inline constexpr std::array kStages = {Stage::connect, Stage::tls, Stage::envelope, Stage::data,
                                       Stage::message};
std::string_view to_string(Stage stage);

/// How a connection that was chosen to misbehave does it.
enum class Misbehaviour : std::uint8_t {
  slow,      ///< sends its message in small pieces with pauses, properly
  vanishes,  ///< disconnects in the middle of its message
  garbage,   ///< talks nonsense
  early,     ///< talks before the banner
};
inline constexpr std::array kMisbehaviours = {Misbehaviour::slow, Misbehaviour::vanishes,
                                              Misbehaviour::garbage, Misbehaviour::early};
std::string_view to_string(Misbehaviour kind);

/// Written by one thread, read by another while the run goes on.
class Count {
 public:
  void add(std::uint64_t more = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t less) {
    value_.store(value_.load(std::memory_order_relaxed) - less, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

/// What servers said and what went wrong on the way.
class Incidents {
 public:
  /// Kinds beyond this many are counted together: some texts come from the other side.
  static constexpr std::size_t kKindsMax = 200;

  void reply(int code) { ++replies_[code]; }
  /// Kind "phase: what", e.g. "connect: Connection refused".
  void error(std::string_view phase, const reactor::Error& error);
  void merge(const Incidents& other);
  const std::map<int, std::uint64_t>& replies() const { return replies_; }
  const std::map<std::string, std::uint64_t>& errors() const { return errors_; }

 private:
  std::map<int, std::uint64_t> replies_;
  std::map<std::string, std::uint64_t> errors_;
};

/// One second of the run, by when the message ended.
struct Second {
  std::uint64_t accepted = 0;
  std::uint64_t octets = 0;
  std::chrono::nanoseconds sum{}, worst{};  ///< of the stage message
};

/// Everything one core counts; those of several cores are merged after the run. Every ticket taken ends in exactly
/// one of accepted, refused, failed, unfinished and misbehaved.
struct Tally {
  static constexpr std::size_t kSecondsMax =
      24 * 3600;  ///< the timeline's length; what comes later counts in its last

  std::array<Histogram, kStages.size()> stages;
  Histogram& stage(Stage which) { return stages[static_cast<std::size_t>(which)]; }
  const Histogram& stage(Stage which) const { return stages[static_cast<std::size_t>(which)]; }

  Count taken, accepted, refused, failed, unfinished, misbehaved;
  Count open_now;                     ///< connections
  std::uint64_t accepted_octets = 0;  ///< as sent, with doubled dots and the final one
  std::uint64_t recipients_accepted = 0, recipients_refused = 0;
  std::uint64_t connections = 0, connect_failures = 0, handshakes = 0, resumptions = 0;
  std::uint64_t idle_held = 0, idle_lost = 0;
  std::uint64_t not_started = 0;
  Incidents incidents;

  std::array<std::uint64_t, kMisbehaviours.size()> misbehaviours{};
  std::uint64_t misbehaving_accepted = 0;  ///< of misbehaved: the server took the message all the same
  Incidents misbehaving_incidents;

  std::vector<Second> timeline;

  /// A message was accepted, `since_start` of the run.
  void note_accepted(std::size_t octets, std::chrono::nanoseconds latency,
                     std::chrono::nanoseconds since_start);
  void merge(const Tally& other);
};

}  // namespace postern::load
