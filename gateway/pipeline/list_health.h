#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "filters/facts.h"
#include "filters/reputation/test_points.h"

namespace postern::pipeline {

/// What the trials of DNS lists have shown: who is benched, and why. Written by the prober; read by every core for every message,
/// and by `postern status`. Any thread.
class ListHealth {
 public:
  struct State {
    bool benched = false;
    filters::ListTrial last;
    std::chrono::sys_time<std::chrono::milliseconds> tried_at{}, since{};  ///< since: of `benched` as it is
  };
  using States = std::map<std::string, State, std::less<>>;  ///< by zone

  /// Takes a trial in. A list is benched when it is wrong and returns when it is sound or silent; one whose trial found nothing out
  /// stays where it is. True: that has changed.
  bool note(std::string_view zone, const filters::ListTrial& trial,
            std::chrono::sys_time<std::chrono::milliseconds> now);
  /// Forgets lists that are no longer asked.
  template <typename Keep>
  void keep(Keep wanted) {
    change([&](States& states) {
      std::erase_if(states, [&](const auto& entry) { return !wanted(entry.first); });
    });
  }

  std::shared_ptr<const States> all() const { return states_.load(std::memory_order_acquire); }
  /// To QuestionKind::list_health: why the list is benched, or no_data.
  filters::Answer answer(std::string_view zone) const;

 private:
  template <typename Change>
  void change(Change how) {
    const std::lock_guard only(mutex_);
    auto next = std::make_shared<States>(*states_.load(std::memory_order_acquire));
    how(*next);
    states_.store(std::move(next), std::memory_order_release);
  }

  std::mutex mutex_;  // of writers
  std::atomic<std::shared_ptr<const States>> states_ = std::make_shared<const States>();
};

}  // namespace postern::pipeline
