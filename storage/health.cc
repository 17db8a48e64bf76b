#include "storage/health.h"

#include <utility>

namespace postern::storage {

void Health::set(Trouble trouble, std::string why) {
  const std::scoped_lock lock(mutex_);
  reasons_[trouble] = std::move(why);
  bits_.fetch_or(bit(trouble), std::memory_order_relaxed);
}

void Health::clear(Trouble trouble) {
  if (!has(trouble)) return;
  const std::scoped_lock lock(mutex_);
  reasons_.erase(trouble);
  bits_.fetch_and(~bit(trouble), std::memory_order_relaxed);
}

std::string Health::text() const {
  const std::scoped_lock lock(mutex_);
  std::string result;
  for (const auto& [trouble, why] : reasons_) {
    if (!result.empty()) result += "; ";
    result += why;
  }
  return result;
}

void Health::wait_for_change(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  const unsigned before = changes_;
  changed_.wait_for(lock, time, [&] { return changes_ != before; });
}

void Health::conditions_changed() {
  {
    const std::scoped_lock lock(mutex_);
    ++changes_;
  }
  changed_.notify_all();
}

}  // namespace postern::storage
