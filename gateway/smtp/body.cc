#include "gateway/smtp/body.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

namespace postern::smtp {
namespace {

/// The first block: an ordinary small message fits, and it is a whole page.
constexpr std::size_t kFirstOctets = 4096;
/// Up to here capacity doubles; beyond it grows by half, so that a large message wastes at most a third.
constexpr std::size_t kDoublingOctetsMax = 1 << 20;

std::size_t next_capacity(std::size_t capacity, std::size_t needed) {
  const std::size_t step = capacity <= kDoublingOctetsMax ? capacity : capacity / 2;
  const std::size_t room = std::numeric_limits<std::size_t>::max() - capacity;
  return std::max({kFirstOctets, needed, capacity + std::min(step, room)});
}

}  // namespace

bool BodyBudget::take(std::size_t octets) noexcept {
  std::size_t used = used_.load(std::memory_order_relaxed);
  do {
    if (octets > octets_max_ || used > octets_max_ - octets) return false;
  } while (!used_.compare_exchange_weak(used, used + octets, std::memory_order_relaxed));
  return true;
}

Body::~Body() {
  clear();
}

Body::Body(Body&& other) noexcept
    : budget_(other.budget_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Body& Body::operator=(Body&& other) noexcept {
  if (this == &other) return *this;
  clear();
  budget_ = other.budget_;
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  return *this;
}

bool Body::append(std::string_view octets) {
  if (octets.empty()) return true;
  if (octets.size() > std::numeric_limits<std::size_t>::max() - size_) return false;
  const std::size_t needed = size_ + octets.size();
  if (needed > capacity_ && !grow(next_capacity(capacity_, needed)) && !grow(needed)) return false;
  std::memcpy(data_ + size_, octets.data(), octets.size());
  size_ = needed;
  return true;
}

bool Body::grow(std::size_t capacity) {
  const std::size_t more = capacity - capacity_;
  if (budget_ != nullptr && !budget_->take(more)) return false;
  auto* const grown = static_cast<char*>(std::realloc(data_, capacity));
  if (grown == nullptr) {
    if (budget_ != nullptr) budget_->give_back(more);
    return false;
  }
  data_ = grown;
  capacity_ = capacity;
  return true;
}

void Body::clear() {
  std::free(data_);
  if (budget_ != nullptr) budget_->give_back(capacity_);
  data_ = nullptr;
  size_ = capacity_ = 0;
}

}  // namespace postern::smtp
