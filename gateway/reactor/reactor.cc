#include "gateway/reactor/reactor.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gateway/reactor/check.h"
#include "gateway/reactor/loop.h"

namespace postern::reactor {
namespace {

constexpr auto kTurnLong = std::chrono::microseconds(500);
constexpr unsigned kTasksBetweenClockReads = 32;

constinit thread_local Reactor* this_threads_reactor = nullptr;

/// Binds the thread to the core-th of the processors it may use, counted around.
void pin_thread(unsigned core) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  int skip = static_cast<int>(core) % std::max(CPU_COUNT(&allowed), 1);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);  // a matter of speed only
    return;
  }
}

std::uint64_t nanoseconds(Clock::duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

}  // namespace

/// What other threads may read; stored once per turn.
struct Reactor::Impl::Published {
  std::atomic<std::uint64_t> turns{0}, completions{0}, submissions{0}, overflows{0}, busy_ns{0}, idle_ns{0},
      longest_turn_ns{0}, buffers_in_use{0}, buffers_exhausted{0}, task_frames{0}, timers{0},
      operations_in_flight{0}, remote_calls{0}, accept_pauses{0};
};

void Reactor::Impl::WakeUp::arm(Ring& ring, int descriptor) {
  armed = true;
  ring.submit(*this,
              [&](io_uring_sqe* entry) { io_uring_prep_read(entry, descriptor, &value_, sizeof value_, 0); });
}

void Reactor::Impl::WakeUp::completed(int, std::uint32_t) noexcept {
  armed = false;
}

Reactor::Impl::Impl(const ReactorOptions& options)
    : options_(options),
      timers_(Clock::now()),
      turn_start_(Clock::now()),
      turn_end_(turn_start_),
      published_(std::make_unique<Published>()) {}

std::expected<std::unique_ptr<Reactor::Impl>, Error> Reactor::Impl::create(const ReactorOptions& options) {
  auto impl = std::unique_ptr<Impl>(new Impl(options));
  auto ring = Ring::create(options.submission_entries, options.completion_entries);
  if (!ring) return std::unexpected(std::move(ring.error()));
  impl->ring_ = std::move(*ring);
  auto buffers = BufferPool::create(*impl->ring_, options.buffers, options.buffer_octets);
  if (!buffers) return std::unexpected(std::move(buffers.error()));
  impl->buffers_ = std::move(*buffers);
  impl->wake_descriptor_ = ::eventfd(0, EFD_CLOEXEC);
  if (impl->wake_descriptor_ < 0) return std::unexpected(Error::from_errno(errno, "eventfd"));
  if (options.pin) pin_thread(options.core);
  return impl;
}

Reactor::Impl::~Impl() {
  if (wake_descriptor_ >= 0) ::close(wake_descriptor_);
}

void Reactor::Impl::run(Task<void> main) {
  POSTERN_CHECK(ring_->in_flight() == 0);
  turn_start_ = turn_end_ = Clock::now();
  utc_known_ = false;
  wake_up_.arm(*ring_, wake_descriptor_);
  {
    Scope root;
    root.spawn(std::move(main));
    while (root.running() > 0) turn();
  }
  shut();
}

/// What is left must be ours alone: the standing read, and cancellations whose answers nobody awaits.
void Reactor::Impl::shut() {
  if (wake_up_.armed) ring_->cancel(wake_up_);
  while (wake_up_.armed || ring_->cancellations() > 0) {
    ring_->wait(std::nullopt);
    (void)ring_->walk();
  }
  publish();
  POSTERN_CHECK(ring_->in_flight() == 0);
  POSTERN_CHECK(ready_.empty());
  POSTERN_CHECK(next_turn_.empty());
  POSTERN_CHECK(handshakes_.empty());
  POSTERN_CHECK(timers_.size() == 0);
  POSTERN_CHECK(buffers_->in_use() == 0);
}

bool Reactor::Impl::idle() const {
  return ready_.empty() && next_turn_.empty() && handshakes_.empty() && !buffers_->can_serve();
}

void Reactor::Impl::turn() {
  wait();
  turn_start_ = Clock::now();
  utc_known_ = false;
  ++turns_;
  idle_ns_ += nanoseconds(turn_start_ - turn_end_);

  (void)ring_->walk();
  if (!wake_up_.armed) wake_up_.arm(*ring_, wake_descriptor_);
  handshakes_this_turn_ = 0;
  grant_handshakes();
  if (inbox_filled_.load(std::memory_order_acquire)) run_posted_calls();
  while (!next_turn_.empty()) ready_.push(next_turn_.pop());
  run_ready();
  buffers_->serve();

  turn_end_ = Clock::now();
  timers_.expire(turn_end_);
  const std::uint64_t busy = nanoseconds(turn_end_ - turn_start_);
  busy_ns_ += busy;
  longest_turn_ns_ = std::max(longest_turn_ns_, busy);
  publish();
}

/// Sleeps only when there is nothing to do: no ready task, no posted call.
void Reactor::Impl::wait() {
  if (!idle()) {
    ring_->poll();
    return;
  }
  // Either the poster sees asleep_ and writes the eventfd, or we see its call here: both orders are
  // sequentially consistent.
  asleep_.store(true);
  if (inbox_filled_.load()) {
    asleep_.store(false);
    ring_->poll();
    return;
  }
  const std::optional<Clock::time_point> next = timers_.next();
  if (!next) {
    ring_->wait(std::nullopt);
  } else if (*next <= turn_end_) {
    ring_->poll();
  } else {
    ring_->wait(*next - turn_end_);
  }
  asleep_.store(false);
}

void Reactor::Impl::post(std::move_only_function<void()> call) {
  // Woken under the lock: once the loop could take the call, it could also end, and the descriptor with it.
  const std::lock_guard lock(inbox_mutex_);
  inbox_.push_back(std::move(call));
  inbox_filled_.store(true);
  if (!asleep_.exchange(false)) return;
  const std::uint64_t one = 1;
  const ssize_t written = ::write(wake_descriptor_, &one, sizeof one);
  POSTERN_CHECK(written == sizeof one);
}

void Reactor::Impl::run_posted_calls() {
  {
    const std::lock_guard lock(inbox_mutex_);
    calls_.swap(inbox_);
    inbox_filled_.store(false, std::memory_order_relaxed);
  }
  remote_calls_ += calls_.size();
  for (auto& call : calls_) call();
  calls_.clear();
}

/// Until nothing is ready, but not for long without looking at the kernel's queues again.
void Reactor::Impl::run_ready() {
  unsigned count = 0;
  while (!ready_.empty()) {
    ready_.pop().resume();
    if (++count % kTasksBetweenClockReads == 0 && turn_expired()) return;
  }
}

bool Reactor::Impl::take_handshake_slot() {
  if (!handshakes_.empty() || handshakes_this_turn_ >= options_.handshakes_per_turn_max) return false;
  ++handshakes_this_turn_;
  return true;
}

void Reactor::Impl::grant_handshakes() {
  while (!handshakes_.empty() && handshakes_this_turn_ < options_.handshakes_per_turn_max) {
    ++handshakes_this_turn_;
    ready_.push(handshakes_.pop());
  }
}

UtcTime Reactor::Impl::now_utc() const {
  if (!utc_known_) {
    utc_ = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    utc_known_ = true;
  }
  return utc_;
}

bool Reactor::Impl::turn_expired() const {
  return Clock::now() - turn_start_ > kTurnLong;
}

void Reactor::Impl::publish() {
  const auto store = [](std::atomic<std::uint64_t>& to, std::uint64_t value) {
    to.store(value, std::memory_order_relaxed);
  };
  Published& p = *published_;
  store(p.turns, turns_);
  store(p.completions, ring_->completions());
  store(p.submissions, ring_->submissions());
  store(p.overflows, ring_->overflows());
  store(p.busy_ns, busy_ns_);
  store(p.idle_ns, idle_ns_);
  store(p.longest_turn_ns, longest_turn_ns_);
  store(p.buffers_in_use, buffers_->in_use());
  store(p.buffers_exhausted, buffers_->exhausted());
  store(p.task_frames, task_frames_alive());
  store(p.timers, timers_.size());
  store(p.operations_in_flight, ring_->in_flight());
  store(p.remote_calls, remote_calls_);
  store(p.accept_pauses, accept_pauses_);
}

ReactorCounters Reactor::Impl::counters() const {
  const auto load = [](const std::atomic<std::uint64_t>& from) {
    return from.load(std::memory_order_relaxed);
  };
  const Published& p = *published_;
  return ReactorCounters{.turns = load(p.turns),
                         .completions = load(p.completions),
                         .submissions = load(p.submissions),
                         .overflows = load(p.overflows),
                         .busy_ns = load(p.busy_ns),
                         .idle_ns = load(p.idle_ns),
                         .longest_turn_ns = load(p.longest_turn_ns),
                         .buffers_in_use = load(p.buffers_in_use),
                         .buffers_exhausted = load(p.buffers_exhausted),
                         .task_frames = load(p.task_frames),
                         .timers = load(p.timers),
                         .operations_in_flight = load(p.operations_in_flight),
                         .remote_calls = load(p.remote_calls),
                         .accept_pauses = load(p.accept_pauses)};
}

Reactor::Reactor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  POSTERN_CHECK(this_threads_reactor == nullptr);
  this_threads_reactor = this;
}

Reactor::~Reactor() {
  this_threads_reactor = nullptr;
}

std::expected<std::unique_ptr<Reactor>, Error> Reactor::create(const ReactorOptions& options) {
  auto impl = Impl::create(options);
  if (!impl) return std::unexpected(std::move(impl.error()));
  return std::unique_ptr<Reactor>(new Reactor(std::move(*impl)));
}

Reactor& Reactor::current() {
  POSTERN_CHECK(this_threads_reactor != nullptr);
  return *this_threads_reactor;
}

void Reactor::run(Task<void> main) {
  impl_->run(std::move(main));
}
void Reactor::post(std::move_only_function<void()> call) {
  impl_->post(std::move(call));
}
unsigned Reactor::core() const {
  return impl_->options().core;
}
Clock::time_point Reactor::now() const {
  return impl_->now();
}
UtcTime Reactor::now_utc() const {
  return impl_->now_utc();
}
bool Reactor::turn_expired() const {
  return impl_->turn_expired();
}
ReactorCounters Reactor::counters() const {
  return impl_->counters();
}

}  // namespace postern::reactor
