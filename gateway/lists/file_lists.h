#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/facts.h"
#include "filters/reputation/local_lists.h"
#include "gateway/config/config.h"
#include "gateway/lists/fingerprint_set.h"
#include "gateway/lists/network_set.h"

namespace postern::lists {

/// Entries of all files together. Ten million take 40 MB as IPv4 networks and 85 MB as names; as much again while they are made.
inline constexpr std::size_t kEntriesMax = 20'000'000;
inline constexpr std::size_t kLineOctetsMax = 1024;  ///< an address, and a remark behind it

/// What is in a line: an address, "@domain", "@.domain" or "<>" as in the manifest; a bare domain stands for itself and all below it.
/// The spelling in which two writings of it are one.
std::string key_of(std::string_view entry);

/// How specific an entry is, to be compared with others of its kind: a longer prefix, an address than a domain, a domain than
/// what lies above it.
unsigned rank_of(std::string_view entry);

/// The files of [filter.allow] and [filter.block], read: one entry a line, "#" begins a remark. Immutable; any thread. Looking up
/// takes a few hundred nanoseconds whatever the number of entries.
class FileLists {
 public:
  struct Match {
    filters::ListKind kind = filters::ListKind::block;
    std::string entry;
  };

  /// Reads them all. Blocking, and long for millions of entries: start-up or a worker. A line that is no entry is passed over and
  /// counted; a file that cannot be read, or one entry too many, is an error.
  static std::expected<std::shared_ptr<const FileLists>, std::string> read(const config::LocalList& allow,
                                                                           const config::LocalList& block);

  /// The most specific entry, the allowing one of two equals. Only for the three kinds of local lists.
  std::optional<Match> find(const filters::Question& question) const;

  std::size_t entries() const;
  std::size_t octets() const;
  std::uint64_t bad_lines() const { return bad_lines_; }
  const std::string& first_bad_line() const {
    return first_bad_line_;
  }  ///< "FILE:LINE: why"; "" when there is none

 private:
  struct One {
    NetworkSet clients;
    FingerprintSet senders, recipients;
  };
  class Reading;

  std::array<One, 2> lists_;  ///< by ListKind
  std::uint64_t bad_lines_ = 0;
  std::string first_bad_line_;
};

/// When a file was last changed, as far as can be seen without reading it.
struct FileStamp {
  std::int64_t seconds = 0, nanoseconds = 0;
  std::uint64_t octets = 0, inode = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
/// Of every file that the two lists name, in their order; a file that is not there has a stamp of zeros. Blocking.
std::vector<FileStamp> stamps(const config::LocalList& allow, const config::LocalList& block);

/// The lists in force; one snapshot's. Any thread.
class FileListsHolder {
 public:
  std::shared_ptr<const FileLists> get() const { return current_.load(std::memory_order_acquire); }
  void set(std::shared_ptr<const FileLists> next) {
    current_.store(std::move(next), std::memory_order_release);
  }

 private:
  std::atomic<std::shared_ptr<const FileLists>> current_ = std::make_shared<const FileLists>();
};

}  // namespace postern::lists
