#include "filters/bayes/table.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace postern::filters::bayes {

Table::Table(unsigned bits) : bits_(std::clamp(bits, kBitsMin, kBitsMax)) {
  // Zeroed pages come from the system as they are touched: an untrained table costs nothing.
  words_.reset(static_cast<std::uint64_t*>(std::calloc(size(), kSlotOctets)));
  if (!words_) throw std::bad_alloc();
  // A message looks at two thousand places all over it: with pages of 4 KiB nearly each would miss the TLB. A hint, no more.
  constexpr std::uintptr_t kHugePage = 2U << 20;
  const std::uintptr_t begin =
      (reinterpret_cast<std::uintptr_t>(words_.get()) + kHugePage - 1) & ~(kHugePage - 1);
  const std::uintptr_t end =
      (reinterpret_cast<std::uintptr_t>(words_.get()) + size() * kSlotOctets) & ~(kHugePage - 1);
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

Slot Table::get(std::size_t place) const {
  const std::uint64_t weight = weight_word(place), count = count_word(place);
  return {.gradients = gradients_of(weight),
          .squares = squares_of(weight),
          .ham = ham_of(count),
          .spam = spam_of(count),
          .day = static_cast<std::uint16_t>(count >> 48)};
}

void Table::set(std::size_t place, const Slot& slot) {
  store(place * 2, std::uint64_t{slot.squares} << 32 | static_cast<std::uint32_t>(slot.gradients));
  store(place * 2 + 1, std::uint64_t{slot.day} << 48 | std::uint64_t{slot.spam} << 24 | slot.ham);
}

}  // namespace postern::filters::bayes
