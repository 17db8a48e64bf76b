#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/delivery/runner/board.h"
#include "gateway/pipeline/snapshot.h"
#include "storage/message_id.h"
#include "storage/store.h"

namespace postern::delivery {

/// Which entries are meant; empty members mean any.
struct QueueFilter {
  std::string destination, sender, recipient;  ///< recipient: an address, or "@domain"; compared without case
  std::string state;                           ///< waiting, held, damaged
  std::string reply;                           ///< stands in the last reply
  std::uint64_t older_ms = 0;                  ///< accepted at least so long ago
  /// Everything but `reply`, which the desk knows.
  bool matches(const storage::QueueRow& row, std::uint64_t now_ms) const;
};

/// The queue by hand: what the control socket and the command line do with it. Blocking: a worker, or the command
/// line. Thread-safe.
class QueueDesk {
 public:
  static constexpr std::size_t kScannedPerPage = 20'000;  ///< entries looked at for one page

  struct Page {
    std::vector<storage::QueueRow> rows;
    std::optional<storage::QueueKey> next;  ///< go on after this one; none: that was all
  };
  enum class Verb : std::uint8_t { hold, release, retry, bounce, drop };
  static std::optional<Verb> verb_of(std::string_view name);
  enum class Done : std::uint8_t { done, gone, damaged, failed };

  /// What the running server adds; empty members where none runs.
  struct Server {
    Board* board = nullptr;
    pipeline::SnapshotHolder* snapshots = nullptr;  ///< bounce needs it
    std::function<void(const std::string& destination)> kick;
  };
  QueueDesk(storage::Store& store, Server server) : store_(store), server_(std::move(server)) {}

  std::expected<Page, storage::Error> list(const QueueFilter& filter,
                                           const std::optional<storage::QueueKey>& after,
                                           std::size_t count) const;
  /// Open and closed entries of one message.
  std::expected<std::vector<storage::QueueRow>, storage::Error> show(const storage::MessageId& id) const;
  Done act(Verb verb, const storage::QueueKey& key, std::string* problem);
  /// When the entry is tried next, its destination's pause included; none: it is held, damaged or closed.
  std::optional<std::uint64_t> next_try_ms(const storage::QueueEntry& entry) const;
  /// Why it waits: the last reply, or what is wrong with its destination.
  std::string last_reply(const storage::QueueEntry& entry) const;

 private:
  std::expected<storage::QueueUpdate, std::string> bounce(const storage::QueueKey& key,
                                                          const storage::QueueEntry& entry);

  storage::Store& store_;
  Server server_;
  std::mutex mutex_;  ///< of ids_
  storage::MessageIdSource ids_{255};
};

}  // namespace postern::delivery
