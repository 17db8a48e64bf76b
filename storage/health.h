#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

namespace postern::storage {

/// Reasons to take nothing new. Several may hold at once; each is set and cleared on its own.
enum class Trouble : unsigned {
  stalled = 1,    ///< RocksDB has asked for patience for longer than a moment
  no_space = 2,   ///< a write failed for want of space
  low_space = 4,  ///< less free than Options::free_octets_min
  failed = 8,     ///< RocksDB stopped writing after another error
  stopping = 16,
  read_only = 32,
};

/// What the commit thread and RocksDB's own threads know about whether writing works. Shared with the event
/// listener, which RocksDB may call as long as the database is open; hence held by shared_ptr. Any thread.
class Health {
 public:
  void set(Trouble trouble, std::string why);
  void clear(Trouble trouble);
  bool has(Trouble trouble) const { return (bits_.load(std::memory_order_relaxed) & bit(trouble)) != 0; }
  bool well() const { return bits_.load(std::memory_order_relaxed) == 0; }
  std::string text() const;

  /// Waits until RocksDB's stall conditions change, or for `time`.
  void wait_for_change(std::chrono::milliseconds time);
  void conditions_changed();

 private:
  static unsigned bit(Trouble trouble) { return static_cast<unsigned>(trouble); }

  std::atomic<unsigned> bits_{0};
  mutable std::mutex mutex_;
  std::map<Trouble, std::string> reasons_;
  std::condition_variable changed_;
  unsigned changes_ = 0;
};

}  // namespace postern::storage
