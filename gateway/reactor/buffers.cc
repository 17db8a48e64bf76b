#include "gateway/reactor/buffers.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "gateway/reactor/check.h"

namespace postern::reactor {
namespace {

constexpr unsigned kCountMax = 32768;  // of the kernel, for one buffer ring
constexpr unsigned kOctetsMin = 256;
constexpr unsigned kOfferedAim = 128;  // 2 MiB of 16 KiB buffers: about a second-level cache

void* map(std::size_t octets) {
  void* memory = ::mmap(nullptr, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

BufferWaiter::~BufferWaiter() {
  POSTERN_CHECK(!waits_);
}

BufferPool::BufferPool(Ring& ring, unsigned count, unsigned octets)
    : ring_(ring), count_(count), octets_(octets), offered_aim_(std::min(count, kOfferedAim)) {}

std::expected<std::unique_ptr<BufferPool>, Error> BufferPool::create(Ring& ring, unsigned count,
                                                                     unsigned octets) {
  if (!std::has_single_bit(count) || count > kCountMax || octets < kOctetsMin)
    return std::unexpected(
        Error{.code = Errc::limit,
              .system_error = EINVAL,
              .context = fmt::format(
                  "{} receive buffers of {} octets: the number must be a power of two up to {}, the size "
                  "at least {}",
                  count, octets, kCountMax, kOctetsMin)});
  std::unique_ptr<BufferPool> pool(new BufferPool(ring, count, octets));
  pool->memory_ = static_cast<char*>(map(std::size_t{count} * octets));
  pool->offers_ = static_cast<io_uring_buf_ring*>(map(count * sizeof(io_uring_buf)));
  if (pool->memory_ == nullptr || pool->offers_ == nullptr)
    return std::unexpected(Error::from_errno(ENOMEM, "map the receive buffers"));

  io_uring_buf_ring_init(pool->offers_);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(pool->offers_);
  registration.ring_entries = count;
  registration.bgid = kGroup;
  const int registered = io_uring_register_buf_ring(ring.raw(), &registration, 0);
  if (registered == -EINVAL)
    return std::unexpected(
        Error{.code = Errc::unsupported,
              .system_error = EINVAL,
              .context = "io_uring lacks provided buffer rings: Linux 6.1 or newer is needed"});
  if (registered < 0) return std::unexpected(Error::from_errno(-registered, "register the receive buffers"));
  pool->registered_ = true;

  pool->reserve_.reserve(count);
  for (unsigned id = count; id-- > 0;) pool->reserve_.push_back(static_cast<std::uint16_t>(id));
  pool->serve();
  return pool;
}

BufferPool::~BufferPool() {
  if (registered_) (void)io_uring_unregister_buf_ring(ring_.raw(), kGroup);
  if (offers_ != nullptr) ::munmap(offers_, count_ * sizeof(io_uring_buf));
  if (memory_ != nullptr) ::munmap(memory_, std::size_t{count_} * octets_);
}

void BufferPool::taken(std::uint16_t id) {
  POSTERN_CHECK(id < count_);
  POSTERN_CHECK(offered_ > 0);
  --offered_;
  ++in_use_;
}

void BufferPool::give_back(std::uint16_t id) {
  POSTERN_CHECK(in_use_ > 0);
  --in_use_;
  if (offered_ < offered_aim_) {
    offer(id);
  } else {
    reserve_.push_back(id);
  }
}

std::string_view BufferPool::view(std::uint16_t id, std::size_t octets) const {
  POSTERN_CHECK(octets <= octets_);
  return {memory_ + std::size_t{id} * octets_, octets};
}

void BufferPool::wait(BufferWaiter& waiter) {
  POSTERN_CHECK(!waiter.waits_);
  if (in_use_ == count_) ++exhausted_;
  waiter.waits_ = true;
  waiter.next_ = nullptr;
  waiter.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &waiter;
  last_ = &waiter;
  ++waiting_;
}

void BufferPool::forget(BufferWaiter& waiter) noexcept {
  if (!waiter.waits_) return;
  (waiter.previous_ != nullptr ? waiter.previous_->next_ : first_) = waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->previous_ : last_) = waiter.previous_;
  waiter.waits_ = false;
  --waiting_;
}

void BufferPool::serve() {
  const std::size_t aim = offered_aim_ + waiting_;
  while (offered_ < aim && !reserve_.empty()) {
    offer(reserve_.back());
    reserve_.pop_back();
  }
  // A buffer may go to somebody who did not wait, or be gone already: then the waiter comes back here, a turn
  // later.
  for (std::size_t n = std::min(offered_, waiting_); n > 0; --n) {
    BufferWaiter& waiter = *first_;
    forget(waiter);
    waiter.buffer_available();
  }
}

void BufferPool::offer(std::uint16_t id) {
  io_uring_buf_ring_add(offers_, memory_ + std::size_t{id} * octets_, octets_, id,
                        io_uring_buf_ring_mask(count_), 0);
  io_uring_buf_ring_advance(offers_, 1);
  ++offered_;
}

}  // namespace postern::reactor
