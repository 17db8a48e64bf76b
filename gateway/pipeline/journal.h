#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "filters/verdict.h"
#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/inquiry.h"
#include "gateway/pipeline/mail.h"
#include "gateway/smtp/reply.h"

namespace postern::pipeline {

/// What one core's pipeline tells the log and the metrics. That core's thread only; the logger and the
/// registry outlive it.
class Journal {
 public:
  /// Names of rules and of degraded stages that become labels; what is beyond is counted under "other".
  static constexpr std::size_t kLabelsMax = 1000;

  Journal(log::Logger& logger, metrics::Registry& metrics);

  enum class Stage : std::uint8_t { connect, mail, rcpt, analysis, judge, store };
  void took(Stage stage, std::chrono::microseconds time);
  /// A stage could not do its work: our own trouble, or an answer that did not come.
  void degraded(std::string_view stage, std::string_view cause);

  /// What one visit has asked.
  void asked(Inquiry::Counts counts);

  /// A client, sender or recipient was refused: event "rejected".
  struct Rejection {
    std::string_view stage;  ///< connect | mail | rcpt
    std::string_view session_id;
    const filters::Envelope& envelope;
    std::string_view recipient;  ///< only at rcpt
    const smtp::Reply& reply;
    std::string_view reason;
    bool addresses = true;  ///< the manifest's log.addresses
  };
  void rejected(const Rejection& rejection);

  /// A message has met its fate: event "message", and the counters. `verdict` is null when it was not judged.
  struct Fate {
    const Mail& mail;
    const filters::Verdict* verdict = nullptr;
    std::size_t octets = 0;
    std::string_view message_id;  ///< the field's value
    const smtp::Reply& reply;
    bool stored = false;
  };
  void message(const Fate& fate);

 private:
  using Known = std::unordered_map<std::string, metrics::Counter*>;
  metrics::Counter& learn(Known& known, std::string key, std::string_view family, std::string_view help,
                          metrics::Labels labels);
  void hit(const std::string& rule);
  void count(const Fate& fate);

  log::Logger& logger_;
  metrics::Registry& metrics_;
  metrics::Counter &received_, &asked_ahead_, &asked_when_needed_;
  std::vector<metrics::Counter*> by_action_;    // by filters::Action
  std::vector<metrics::Histogram*> durations_;  // by Stage
  Known rules_, degraded_;
};

}  // namespace postern::pipeline
