#include "gateway/delivery/runner/board.h"

#include <utility>

namespace postern::delivery {
namespace {

metrics::Counter& attempts(metrics::Registry& metrics, std::string result) {
  return metrics.counter("postern_queue_recipients_total",
                         "Recipients by how an attempt at a next hop ended for them.",
                         {{"result", std::move(result)}});
}

}  // namespace

Board::Board(metrics::Registry& metrics)
    : relayed(attempts(metrics, "relayed")),
      deferred(attempts(metrics, "deferred")),
      bounced(attempts(metrics, "bounced")),
      expired(attempts(metrics, "expired")),
      in_doubt(metrics.counter(
          "postern_queue_in_doubt_total",
          "Recipients whose next hop was lost after the final dot: they may get two copies.")),
      damaged(metrics.counter("postern_queue_damaged_total",
                              "Queue entries set aside because they could not be read.")),
      reports(metrics.counter("postern_queue_reports_total", "Delivery reports written.")),
      reports_suppressed(
          metrics.counter("postern_queue_reports_suppressed_total",
                          "Reports not written, since the sender is not plausible or is nobody.")),
      commit_retries(metrics.counter("postern_queue_commit_retries_total",
                                     "Outcomes that the store did not take at once.")) {
  metrics.callback("postern_queue_connections", "Outbound connections that carry mail.", "gauge", {},
                   [this] { return static_cast<double>(lanes.load(std::memory_order_relaxed)); });
  metrics.callback("postern_queue_memory_octets", "Octets of messages that are being sent.", "gauge", {},
                   [this] { return static_cast<double>(octets.load(std::memory_order_relaxed)); });
  metrics.callback("postern_queue_destinations_paused",
                   "Destinations that failed and wait for their next try.", "gauge", {},
                   [this] { return static_cast<double>(pauses()); });
}

void Board::pause(std::string_view destination, Pause pause) {
  const std::scoped_lock lock(mutex_);
  const auto found = pauses_.find(destination);
  if (found != pauses_.end()) {
    found->second = std::move(pause);
  } else if (pauses_.size() < kPausesMax) {
    pauses_.emplace(destination, std::move(pause));
  }
}

void Board::resume(std::string_view destination) {
  const std::scoped_lock lock(mutex_);
  const auto found = pauses_.find(destination);
  if (found != pauses_.end()) pauses_.erase(found);
}

std::optional<Board::Pause> Board::paused(std::string_view destination) const {
  const std::scoped_lock lock(mutex_);
  const auto found = pauses_.find(destination);
  if (found == pauses_.end()) return std::nullopt;
  return found->second;
}

std::size_t Board::pauses() const {
  const std::scoped_lock lock(mutex_);
  return pauses_.size();
}

void Board::audited(Audit audit) {
  const std::scoped_lock lock(mutex_);
  audit_ = std::move(audit);
}

std::optional<Board::Audit> Board::audit() const {
  const std::scoped_lock lock(mutex_);
  return audit_;
}

}  // namespace postern::delivery
