#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage/batch.h"
#include "storage/database.h"
#include "storage/directory.h"
#include "storage/health.h"
#include "storage/store.h"

namespace postern::storage {

/// Changes that a caller waits for. Lives on the caller's stack until `result` is set.
struct Command {
  enum class Kind : std::uint8_t { set_flags, expunge, prune, greylist, quarantine };
  Kind kind;
  std::string_view mailbox, folder;
  const std::vector<std::uint32_t>& uids;  ///< one, for set_flags
  std::uint32_t set = 0, clear = 0;
  std::uint64_t before_ms = 0, count = 0;            ///< of prune; before_ms: the time, of quarantine
  const Pairs* pairs = nullptr;                      ///< for greylist
  const std::vector<QuarantineKey>* keys = nullptr;  ///< for quarantine, with `end`
  QuarantineEnd end = QuarantineEnd::deleted;
  std::promise<std::expected<std::uint64_t, Error>> result{};  ///< entries changed
};

/// The only thread that writes. While one synced write is under way the queue gathers the next group; all
/// that is pending then goes into one WriteBatch, one write, one sync, and every member is told. The queue is
/// bounded in transactions and octets, and a batch in octets.
class CommitThread {
 public:
  /// A pause of RocksDB's shorter than this is nobody's business; a longer one makes submit() refuse.
  static constexpr std::chrono::milliseconds kStallNotice{100};
  static constexpr std::chrono::milliseconds kStallBackOffMin{1}, kStallBackOffMax{50};
  /// Looks at the disk, and tries to write again after an error, once in this time.
  static constexpr std::chrono::milliseconds kUpkeepInterval{1000};
  static constexpr std::chrono::milliseconds kStalledUpkeepInterval{100};
  /// Beside what is in memory and goes to tables when the database is opened again.
  static constexpr std::uint64_t kReopenOctetsMin = 4U << 20;
  /// Fewer arrivals than this expected in Options::gather_time are not worth waiting for.
  static constexpr double kGatherMin = 3;
  static constexpr int kUpkeepsPerDiskCount = 10;  ///< counting our own files costs more
  static constexpr int kUpkeepsPerTrim = 10;
  static constexpr int kQuarantineTrimsMax = 20;  ///< at one time, kQuarantineKeysMax each

  /// Opens the database again with nobody using it, loads the directory, gives the newest id. Called on the
  /// commit thread after a write has failed.
  using Reopen = std::function<std::expected<MessageId, Error>()>;

  CommitThread(const Options& options, const Database& database, Directory& directory, MessageId newest,
               std::shared_ptr<Health> health, Reopen reopen);
  ~CommitThread() { stop(); }
  CommitThread(const CommitThread&) = delete;
  CommitThread& operator=(const CommitThread&) = delete;

  bool submit(Transaction&& transaction, Completion& completion);
  void submit(Refusal&& refusal);
  bool would_refuse() const;
  bool update(QueueUpdate&& update, Completion& completion);
  /// Waits for the outcome; not from the commit thread itself.
  std::expected<std::uint64_t, Error> run(Command& command);
  /// Fills in what this thread knows.
  void report(Statistics& statistics) const;
  /// Commits what is queued, then ends the thread. Idempotent.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Item {
    Transaction transaction;
    Completion* completion = nullptr;
    Command* command = nullptr;
    std::unique_ptr<QueueUpdate> update{};
    std::unique_ptr<Refusal> refusal{};  ///< then there is neither of the others
    std::size_t octets = 0;
  };
  struct Counters {
    std::atomic<std::uint64_t> commits{0}, transactions{0}, octets{0}, failed{0}, sync_microseconds{0},
        refused{0};
    std::atomic<std::uint64_t> refusals_kept{0}, refusals_octets{0}, refusals_dropped{0},
        counts_overflowed{0};
    std::atomic<std::uint64_t> disk_octets{0}, free_octets{0};
  };

  static std::size_t octets_of(const Transaction& transaction);
  static std::size_t octets_of(const QueueUpdate& update);
  std::expected<void, Error> add(const Item& item);
  bool full(std::size_t octets) const;
  void enqueue(Item&& item, std::unique_lock<std::mutex>& lock);

  void loop();
  bool take();
  bool worth_gathering() const;
  void note_arrivals(std::size_t count, Clock::time_point now);
  std::size_t commit_from(std::size_t first);
  void execute(Command& command);
  void trim();
  bool write_trimmed();
  std::unexpected<Error> not_tried() const;
  std::expected<void, Error> write();
  rocksdb::Status write_patiently();
  void upkeep(Clock::time_point now);
  void recover();
  bool has_room_to_reopen() const;
  void count_disk();

  const Options options_;
  const Database& database_;
  std::shared_ptr<Health> health_;
  const Reopen reopen_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Item> pending_;
  bool asleep_ = false;  ///< only then does a submit() pay for a wake-up call
  bool stopping_ = false;
  std::atomic<std::size_t> queued_transactions_{0}, queued_octets_{0};  ///< grow under mutex_

  // The thread's own.
  Batch batch_;
  std::vector<Item> taken_;
  double arrivals_per_second_ = 0;  ///< of late
  Clock::time_point taken_at_ = Clock::now();
  bool patience_spent_ = false;
  bool log_suspect_ = false;  ///< a write failed half-way: nothing may follow it in the same log
  int upkeeps_ = 0;
  Clock::time_point next_upkeep_;

  Counters counters_;
  std::once_flag stopped_;
  std::thread thread_;
};

}  // namespace postern::storage
