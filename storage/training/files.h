#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/error.h"
#include "storage/lock_file.h"
#include "storage/training/posix.h"

namespace postern::storage::training {

/// A folder with what training has brought about. It knows nothing of what the records say.
///
///   secret          32 octets, drawn when the folder is made
///   snapshot        "PMODEL1\n", u64 generation, payload, u64 octets of the payload, u32 CRC-32C of all before
///   journal.N       records that came after the snapshot of generation N: u32 octets, u32 CRC-32C of the octets, octets.
///                   Those before the last are history, and go when there are more than kJournalsKept
///   *.damaged       what could not be read, set aside for a person to look at
///
/// Numbers are little-endian. A snapshot is written beside the old one, synced and renamed; then the next journal begins. One
/// process has the folder (LockFile); one thread uses the object, except where it says otherwise.
///
/// What is damaged is never used and never in the way: a journal is read as far as its first damaged record, what follows is set
/// aside; a damaged snapshot is set aside, and the journals that are left are read in its place.
class Files {
 public:
  static constexpr std::size_t kRecordOctetsMax = 1U << 20;
  static constexpr std::uint64_t kJournalsKept = 4;
  using Secret = std::array<std::uint64_t, 4>;
  using Sink = std::function<void(std::string_view)>;

  /// Makes the folder if need be. Warnings, one sentence each, are appended.
  static std::expected<std::unique_ptr<Files>, Error> open(const std::filesystem::path& folder,
                                                           std::vector<std::string>& warnings);

  const Secret& secret() const { return secret_; }
  /// The payload of the snapshot, checked; none when there is none. Once, before replay(): it is given away.
  std::optional<std::string> take_snapshot() { return std::exchange(snapshot_, std::nullopt); }
  /// The payload means nothing to the caller. Then replay() reads all the journals there are.
  void set_snapshot_aside(std::vector<std::string>& warnings);
  /// Hands over the records since the snapshot. `take` says false to what it does not understand: from there on the journal is damaged.
  std::expected<void, Error> replay(const std::function<bool(std::string_view)>& take,
                                    std::vector<std::string>& warnings);
  /// All records that are kept, oldest first, as long as `take` says true. Any thread that keeps append() away.
  void for_each_kept(const std::function<bool(std::string_view)>& take) const;

  /// Hands a record to the system; it outlives this process. What a failed write has begun is cut off again.
  std::expected<void, Error> append(std::string_view record);
  /// Makes what was appended outlive the machine.
  std::expected<void, Error> sync();
  /// `write` gives the payload in pieces.
  std::expected<void, Error> replace_snapshot(const std::function<void(const Sink&)>& write);
  /// Of the journal that is written now.
  std::uint64_t journal_octets() const { return journal_octets_; }

 private:
  explicit Files(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::expected<void, Error> load_secret();
  std::expected<void, Error> load_snapshot(std::vector<std::string>& warnings);
  std::expected<void, Error> open_journal();
  std::filesystem::path journal(std::uint64_t generation) const;
  void set_aside(const std::filesystem::path& path, std::string_view why,
                 std::vector<std::string>& warnings) const;
  std::vector<std::uint64_t> journals() const;
  std::expected<void, Error> read_journal(std::uint64_t generation,
                                          const std::function<bool(std::string_view)>& take,
                                          std::vector<std::string>& warnings);

  std::filesystem::path folder_;
  LockFile lock_;
  Secret secret_{};
  std::optional<std::string> snapshot_;
  std::uint64_t generation_ = 0;
  bool rebuild_ = false;  // the snapshot was lost
  File journal_;
  std::uint64_t journal_octets_ = 0;
};

}  // namespace postern::storage::training
