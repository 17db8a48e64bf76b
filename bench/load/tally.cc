#include "bench/load/tally.h"

#include <algorithm>
#include <system_error>

namespace postern::load {
namespace {

std::string kind_of(const reactor::Error& error) {
  switch (error.code) {
    case reactor::Errc::system:
      return std::generic_category().message(error.system_error);
    case reactor::Errc::tls:
      return "TLS: " + error.context;
    case reactor::Errc::invalid:
      return "not an SMTP reply";
    default:
      return std::string(reactor::to_string(error.code));
  }
}

}  // namespace

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::connect:
      return "connect";
    case Stage::tls:
      return "TLS";
    case Stage::envelope:
      return "MAIL...RCPT";
    case Stage::data:
      return "data to reply";
    case Stage::message:
      return "message";
  }
  return "";
}

std::string_view to_string(Misbehaviour kind) {
  switch (kind) {
    case Misbehaviour::slow:
      return "slow";
    case Misbehaviour::vanishes:
      return "vanishes";
    case Misbehaviour::garbage:
      return "garbage";
    case Misbehaviour::early:
      return "early";
  }
  return "";
}

void Incidents::error(std::string_view phase, const reactor::Error& error) {
  std::string kind = std::string(phase) + ": " + kind_of(error);
  if (errors_.size() >= kKindsMax && !errors_.contains(kind)) kind = "others";
  ++errors_[kind];
}

void Incidents::merge(const Incidents& other) {
  for (const auto& [code, count] : other.replies_) replies_[code] += count;
  for (const auto& [kind, count] : other.errors_) errors_[kind] += count;
}

void Tally::note_accepted(std::size_t octets, std::chrono::nanoseconds latency,
                          std::chrono::nanoseconds since_start) {
  accepted.add();
  accepted_octets += octets;
  stage(Stage::message).record(latency);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_start).count();
  const auto index = std::min(static_cast<std::size_t>(std::max<std::int64_t>(seconds, 0)), kSecondsMax - 1);
  if (timeline.size() <= index) timeline.resize(index + 1);
  Second& second = timeline[index];
  ++second.accepted;
  second.octets += octets;
  second.sum += latency;
  second.worst = std::max(second.worst, latency);
}

void Tally::merge(const Tally& other) {
  for (std::size_t i = 0; i < stages.size(); ++i) stages[i].merge(other.stages[i]);
  for (const auto member : {&Tally::taken, &Tally::accepted, &Tally::refused, &Tally::failed,
                            &Tally::unfinished, &Tally::misbehaved, &Tally::open_now})
    (this->*member).add((other.*member).get());
  for (const auto member :
       {&Tally::accepted_octets, &Tally::recipients_accepted, &Tally::recipients_refused, &Tally::connections,
        &Tally::connect_failures, &Tally::handshakes, &Tally::resumptions, &Tally::idle_held,
        &Tally::idle_lost, &Tally::not_started, &Tally::misbehaving_accepted})
    this->*member += other.*member;
  incidents.merge(other.incidents);
  misbehaving_incidents.merge(other.misbehaving_incidents);
  for (std::size_t i = 0; i < misbehaviours.size(); ++i) misbehaviours[i] += other.misbehaviours[i];
  timeline.resize(std::max(timeline.size(), other.timeline.size()));
  for (std::size_t i = 0; i < other.timeline.size(); ++i) {
    timeline[i].accepted += other.timeline[i].accepted;
    timeline[i].octets += other.timeline[i].octets;
    timeline[i].sum += other.timeline[i].sum;
    timeline[i].worst = std::max(timeline[i].worst, other.timeline[i].worst);
  }
}

}  // namespace postern::load
