#pragma once

namespace postern::storage::test {

/// Stands between RocksDB and the disk: this program's own fdatasync(2), which the dynamic linker prefers to
/// the C library's. It holds back or fails the syncs of write-ahead logs, and passes on all others.
class SyncGate {
 public:
  /// Syncs wait from now on. The destructor lets them go.
  static void hold();
  /// Returns when a sync waits at the gate; false after a minute.
  static bool wait_until_held();
  static void release();
  /// The next `count` syncs fail with `error` (an errno), nothing written by them is certain.
  static void fail(int error, int count);
};

/// Holds for the length of a scope.
class HeldSyncs {
 public:
  HeldSyncs() { SyncGate::hold(); }
  ~HeldSyncs() { SyncGate::release(); }
  HeldSyncs(const HeldSyncs&) = delete;
  HeldSyncs& operator=(const HeldSyncs&) = delete;
};

}  // namespace postern::storage::test
