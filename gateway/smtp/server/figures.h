#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/metrics/metrics.h"
#include "gateway/smtp/grammar.h"

namespace postern::smtp {

/// The driver's metrics of one listener on one core. Labels come from closed sets: verbs, reply codes,
/// stages, the subjects of RFC 3463 and the causes named in the code, never from what a client sent. A
/// counter is registered when its labels are first seen, which takes the registry's lock; later it is found
/// here. Its core's thread only.
class Figures {
 public:
  Figures(metrics::Registry& registry, std::string listener);

  void opened() { connections_.add(1); }
  /// `result` is a cause of end as in the session's log line, a closed set.
  void ended(std::string_view result);
  /// A reply to a command, wire form.
  void replied(Verb verb, std::string_view reply);
  /// A refusal that is no reply to a command: at connect. `reason` is a name of ours.
  void rejected(std::string_view stage, std::string_view reason, int code);

 private:
  static constexpr std::size_t kVerbs = static_cast<std::size_t>(Verb::turn) + 1;
  using ByCode = std::vector<std::pair<int, metrics::Counter*>>;
  struct Reject {
    std::string_view stage, reason;  ///< literals
    int code;
    metrics::Counter* counter;
  };

  metrics::Registry& registry_;
  std::string listener_;
  metrics::Gauge& connections_;
  std::array<ByCode, kVerbs> commands_;
  std::vector<Reject> rejects_;
  std::vector<std::pair<std::string, metrics::Counter*>> sessions_;
};

/// The three digits at the start of a reply; 0 when there are none.
int reply_code(std::string_view reply);
/// The subject of the enhanced status code a text begins with (RFC 3463 §3.1): "policy", "address" …; "other"
/// when there is none.
std::string_view subject_of(std::string_view enhanced);

}  // namespace postern::smtp
