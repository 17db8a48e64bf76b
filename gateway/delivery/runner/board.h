#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/metrics/metrics.h"
#include "storage/queue/entry.h"

namespace postern::delivery {

/// What the runners of all cores let others see: who pauses and why, the last audit of the books, figures.
/// Thread-safe; written when something changes, not for each message.
class Board {
 public:
  struct Pause {
    std::uint64_t until_ms = 0;
    std::string reason;
  };
  struct Audit {
    std::uint64_t at_ms = 0;
    storage::QueueAudit counts;
  };
  static constexpr std::size_t kPausesMax = 100'000;  ///< as many destinations as are in memory

  explicit Board(metrics::Registry& metrics);

  void pause(std::string_view destination, Pause pause);
  void resume(std::string_view destination);
  std::optional<Pause> paused(std::string_view destination) const;
  std::size_t pauses() const;
  void audited(Audit audit);
  std::optional<Audit> audit() const;

  std::atomic<std::int64_t> lanes{0}, octets{0};
  metrics::Counter &relayed, &deferred, &bounced, &expired, &in_doubt, &damaged, &reports,
      &reports_suppressed, &commit_retries;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Pause, std::less<>> pauses_;
  std::optional<Audit> audit_;
};

}  // namespace postern::delivery
