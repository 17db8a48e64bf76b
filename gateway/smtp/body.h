#pragma once

#include <atomic>
#include <cstddef>
#include <string_view>
#include <utility>

namespace postern::smtp {

/// How many octets of message bodies all sessions of all cores may hold together. Thread-safe; one per process.
class BodyBudget {
 public:
  explicit BodyBudget(std::size_t octets_max) : octets_max_(octets_max) {}
  /// False: it would go over; nothing was taken.
  [[nodiscard]] bool take(std::size_t octets) noexcept;
  void give_back(std::size_t octets) noexcept { used_.fetch_sub(octets, std::memory_order_relaxed); }
  std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  std::size_t octets_max() const noexcept { return octets_max_; }

 private:
  std::size_t octets_max_;
  std::atomic<std::size_t> used_{0};
};

/// The one buffer a message lands in. Grows by realloc (large blocks move by remapping, not by copying), accounted against the
/// budget for its capacity. Move-only; gives its octets back when it dies, on whatever thread.
class Body {
 public:
  explicit Body(BodyBudget* budget = nullptr) : budget_(budget) {}
  ~Body();
  Body(Body&& other) noexcept;
  Body& operator=(Body&& other) noexcept;

  /// False when the budget or the machine's memory is exhausted: nothing was appended.
  [[nodiscard]] bool append(std::string_view octets);
  std::string_view view() const { return {data_, size_}; }
  std::size_t size() const { return size_; }
  void truncate(std::size_t size) { size_ = size < size_ ? size : size_; }
  void clear();  ///< gives the memory back

 private:
  bool grow(std::size_t capacity);

  BodyBudget* budget_ = nullptr;
  char* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace postern::smtp
