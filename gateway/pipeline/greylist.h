#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "filters/facts.h"
#include "storage/store.h"

namespace postern::pipeline {

/// Who was asked to come again, and who did. Answers QuestionKind::greylist from memory; what changes is kept for the store, where
/// keep() puts it from time to time: a crash forgets the last seconds, and somebody comes once more in vain. All cores' and the
/// keeper's; any thread.
///
/// A triplet (filters/greylist/check.h) that comes again after `delay` and within `window` has shown that it has a queue: from then on
/// its origin with its sender is learned, and is not asked to wait for any recipient until it has been away for `lifetime`. Beyond
/// `entries_max` nobody new is asked to wait: a full table must not keep mail out.
class Greylist {
 public:
  using Time = std::chrono::sys_time<std::chrono::milliseconds>;
  struct Rules {
    std::chrono::seconds delay{300}, window{std::chrono::days(1)}, lifetime{std::chrono::days(36)};
    std::size_t entries_max = 1'000'000;
  };
  struct Counts {
    std::uint64_t entries = 0, waiting = 0, passed = 0, learned = 0, overflowed = 0;
  };

  /// `name` as filters::greylist::name_of() makes it. No data: it may come in.
  filters::Answer answer(std::string_view name, const Rules& rules, Time now);

  /// What the store kept; what has expired meanwhile is left out. Before the first answer().
  void load(const std::vector<std::pair<std::string, std::string>>& pairs, const Rules& rules, Time now);
  /// What has changed since the last time, as pairs for the store; an empty value: gone.
  std::vector<std::pair<std::string, std::string>> take_changes();
  /// Gives changes back that could not be stored: they are taken again, unless there are newer ones.
  void give_back(const std::vector<std::pair<std::string, std::string>>& changes);
  /// Forgets what has expired.
  void sweep(const Rules& rules, Time now);
  Counts counts() const;

 private:
  using Key = std::array<char, 16>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    Time first{}, last{};
    bool learned = false;
    bool changed = true;  ///< since the store heard of it
  };
  using Entries = std::unordered_map<Key, Entry, KeyHash>;

  static Key key_of(char kind, std::string_view text);
  static bool is_over(const Entry& entry, const Rules& rules, Time now);
  void touch(const Key& key, Entry& entry);
  void forget(Entries::iterator entry);

  mutable std::mutex mutex_;  // held for a look-up, or a step of a sweep
  Entries entries_;
  std::vector<Key> changed_, gone_;
  Counts counts_;
};

}  // namespace postern::pipeline
