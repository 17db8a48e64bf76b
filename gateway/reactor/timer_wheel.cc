#include "gateway/reactor/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "gateway/reactor/check.h"

namespace postern::reactor {

Timer::~Timer() {
  POSTERN_CHECK(!armed());
}

TimerWheel::TimerWheel(Clock::time_point start) : start_(start) {}

TimerWheel::~TimerWheel() {
  POSTERN_CHECK(size_ == 0);
}

void TimerWheel::arm(Timer& timer, Clock::time_point deadline) {
  cancel(timer);
  if (deadline == Clock::time_point::max()) return;
  // Rounded up: never early.
  timer.tick_ = deadline <= start_
                    ? 0
                    : static_cast<std::uint64_t>((deadline - start_ + (kTick - Clock::duration(1))) / kTick);
  place(timer);
  ++size_;
}

void TimerWheel::cancel(Timer& timer) noexcept {
  if (!timer.armed()) return;
  unlink(timer);
  --size_;
}

void TimerWheel::expire(Clock::time_point now) {
  fire(kDue);
  const auto target = now <= start_ ? 0 : static_cast<std::uint64_t>((now - start_) / kTick);
  while (now_ < target) {
    const std::optional<std::uint64_t> next = next_tick();
    if (!next || *next > target) {
      now_ = target;
      return;
    }
    now_ = *next;
    // Entering a slot of a higher level spreads its timers over the levels below, the highest first.
    for (unsigned level = kLevels - 1; level > 0; --level) {
      const unsigned shift = level * kSlotBits;
      if ((now_ & ((std::uint64_t{1} << shift) - 1)) != 0) continue;
      move_down(level * kSlots + static_cast<unsigned>((now_ >> shift) % kSlots));
    }
    fire(static_cast<unsigned>(now_ % kSlots));
    fire(kDue);
  }
}

std::optional<TimerWheel::Clock::time_point> TimerWheel::next() const {
  if (first_[kDue] != nullptr) return start_ + kTick * now_;
  const std::optional<std::uint64_t> tick = next_tick();
  if (!tick) return std::nullopt;
  return start_ + kTick * *tick;
}

/// The level by the distance, the slot by the time itself.
void TimerWheel::place(Timer& timer) {
  if (timer.tick_ <= now_) {
    insert(timer, kDue);
    return;
  }
  const std::uint64_t tick = std::min(timer.tick_, now_ + kReach);
  const auto width = static_cast<unsigned>(std::bit_width(tick - now_));
  const unsigned level = (width - 1) / kSlotBits;
  insert(timer, level * kSlots + static_cast<unsigned>((tick >> (level * kSlotBits)) % kSlots));
}

void TimerWheel::insert(Timer& timer, unsigned slot) {
  Timer*& first = first_[slot];
  timer.slot_ = static_cast<std::uint16_t>(slot);
  timer.next_ = first;
  timer.link_ = &first;
  if (first != nullptr) first->link_ = &timer.next_;
  first = &timer;
  if (slot != kDue) occupied_[slot / kSlots][slot % kSlots / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::unlink(Timer& timer) noexcept {
  *timer.link_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->link_ = timer.link_;
  timer.link_ = nullptr;
  timer.next_ = nullptr;
  const unsigned slot = timer.slot_;
  if (slot != kDue && first_[slot] == nullptr)
    occupied_[slot / kSlots][slot % kSlots / 64] &= ~(std::uint64_t{1} << (slot % 64));
}

/// Takes the list away first: a timer armed anew by a callback waits for the next call.
void TimerWheel::fire(unsigned slot) {
  Timer* pending = first_[slot];
  if (pending == nullptr) return;
  first_[slot] = nullptr;
  if (slot != kDue) occupied_[slot / kSlots][slot % kSlots / 64] &= ~(std::uint64_t{1} << (slot % 64));
  pending->link_ = &pending;  // a callback that cancels one of these still finds a sound list
  while (pending != nullptr) {
    Timer& timer = *pending;
    unlink(timer);
    --size_;
    timer.expired();
  }
}

void TimerWheel::move_down(unsigned slot) {
  Timer* pending = first_[slot];
  if (pending == nullptr) return;
  first_[slot] = nullptr;
  occupied_[slot / kSlots][slot % kSlots / 64] &= ~(std::uint64_t{1} << (slot % 64));
  pending->link_ = &pending;
  while (pending != nullptr) {
    Timer& timer = *pending;
    unlink(timer);
    place(timer);
  }
}

/// The next tick at which a slot is due or has to be moved down.
std::optional<std::uint64_t> TimerWheel::next_tick() const {
  if (size_ == 0) return std::nullopt;
  std::optional<std::uint64_t> best;
  for (unsigned level = 0; level < kLevels; ++level) {
    const unsigned shift = level * kSlotBits;
    const std::uint64_t block = now_ >> shift;
    const std::optional<unsigned> steps = distance(level, static_cast<unsigned>(block % kSlots));
    if (!steps) continue;
    const std::uint64_t tick = (block + *steps) << shift;
    if (!best || tick < *best) best = tick;
  }
  return best;
}

/// Steps (1 to 256) from one slot of a level to the next occupied one, around the wheel.
std::optional<unsigned> TimerWheel::distance(unsigned level, unsigned from) const {
  const auto& words = occupied_[level];
  const unsigned begin = from + 1;
  for (unsigned i = 0; i <= words.size(); ++i) {
    const unsigned index = (begin / 64 + i) % static_cast<unsigned>(words.size());
    std::uint64_t word = words[index];
    const unsigned bit = begin % 64;
    if (i == 0) word &= ~std::uint64_t{0} << bit;
    if (i == words.size()) word &= ~(~std::uint64_t{0} << bit);
    if (word == 0) continue;
    const unsigned slot = index * 64 + static_cast<unsigned>(std::countr_zero(word));
    return (slot + kSlots - begin) % kSlots + 1;
  }
  return std::nullopt;
}

}  // namespace postern::reactor
