#include "gateway/reactor/socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <coroutine>
#include <utility>

#include "gateway/reactor/check.h"
#include "gateway/reactor/loop.h"
#include "gateway/reactor/sockaddr.h"

namespace postern::reactor {
namespace {

constexpr int kNone = -1;
/// A socket closed over unread octets resets the connection, and the peer may never see our last reply. What
/// has arrived is thrown away first, up to this.
constexpr std::size_t kDiscardedOctetsMax = 256U << 10;
/// What fits into nearly every send buffer is sent at once, without a round through the ring: the caller then goes on in the same
/// turn, and its next receive reaches the kernel with the turn's other submissions. Replies are such.
constexpr std::size_t kSendAtOnceMax = 4096;
constexpr std::size_t kSendOctetsMax = std::size_t{1} << 30;  // of one operation: the kernel counts in an int

void discard_input(int descriptor) {
  constexpr std::size_t kPiece = 64U << 10;
  for (std::size_t discarded = 0; discarded < kDiscardedOctetsMax;) {
    // MSG_TRUNC on TCP: taken from the queue without being copied anywhere (tcp(7)).
    const ssize_t size = ::recv(descriptor, nullptr, kPiece, MSG_TRUNC | MSG_DONTWAIT);
    if (size <= 0) return;
    discarded += static_cast<std::size_t>(size);
  }
}

/// One direction of a socket: the operation the kernel may hold, its deadline, and the task that waits.
class Direction final : public Operation, public Timer, public BufferWaiter {
 public:
  bool busy() const { return busy_; }
  bool stopped() const { return asked_to_stop_ || timed_out_; }
  int result() const { return result_; }
  std::uint32_t flags() const { return flags_; }

  void begin(Reactor::Impl& loop, Deadline deadline) {
    POSTERN_CHECK(!busy_);  // one receive and one send at a time
    loop_ = &loop;
    busy_ = true;
    asked_to_stop_ = timed_out_ = false;
    loop.timers().arm(*this, deadline);
  }
  void end() {
    loop_->timers().cancel(*this);
    busy_ = false;
  }

  /// Submits what `prepare` fills in and waits for its completion.
  template <typename Prepare>
  auto operation(Prepare prepare) {
    struct Awaiter {
      Direction& self;
      Prepare prepare;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> task) {
        self.task_ = task;
        self.in_flight_ = true;
        self.loop_->ring().submit(self, prepare);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, std::move(prepare)};
  }

  /// Waits until the core has a buffer again, or somebody asks us to stop.
  auto buffer() {
    struct Awaiter {
      Direction& self;
      bool await_ready() const noexcept { return self.stopped(); }
      void await_suspend(std::coroutine_handle<> task) {
        self.task_ = task;
        self.loop_->buffers().wait(self);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

  void stop() noexcept {
    if (!busy_ || asked_to_stop_) return;
    asked_to_stop_ = true;
    interrupt();
  }

  bool in_flight() const { return in_flight_; }
  bool timed_out() const { return timed_out_; }

 private:
  void completed(int result, std::uint32_t flags) noexcept override {
    in_flight_ = false;
    result_ = result;
    flags_ = flags;
    loop_->make_ready(std::exchange(task_, {}));
  }
  void expired() noexcept override {
    timed_out_ = true;
    interrupt();
  }
  void buffer_available() noexcept override { loop_->make_ready(std::exchange(task_, {})); }

  /// The task goes on when the kernel has answered; one that stands in the queue for a buffer, at once.
  void interrupt() noexcept {
    if (in_flight_) loop_->ring().cancel(*this);
    if (waits()) {
      loop_->buffers().forget(*this);
      loop_->make_ready(std::exchange(task_, {}));
    }
  }

  Reactor::Impl* loop_ = nullptr;
  std::coroutine_handle<> task_;
  int result_ = 0;
  std::uint32_t flags_ = 0;
  bool busy_ = false;
  bool in_flight_ = false;
  bool asked_to_stop_ = false;
  bool timed_out_ = false;
};

}  // namespace

class Socket::Impl {
 public:
  ~Impl() {
    POSTERN_CHECK(!incoming.busy());
    POSTERN_CHECK(!outgoing.busy());
    POSTERN_CHECK(!closer);
    release_input();
    if (descriptor != kNone) ::close(descriptor);
  }

  void release_input() noexcept {
    if (buffer == kNone) return;
    loop->buffers().give_back(static_cast<std::uint16_t>(std::exchange(buffer, kNone)));
  }
  bool unusable() const { return cancelled || closing || descriptor == kNone; }
  Error error(Errc code, int number, std::string_view what) const {
    return Error{.code = code, .system_error = number, .context = fmt::format("{} {}", what, peer.text())};
  }
  Error error(int number, std::string_view what) const {
    return Error::from_errno(number, fmt::format("{} {}", what, peer.text()));
  }
  /// Why an operation that was stopped did not succeed.
  Error stopped(const Direction& direction, std::string_view what) const {
    return direction.timed_out() && !cancelled && !closing ? error(Errc::timed_out, 0, what)
                                                           : error(Errc::cancelled, 0, what);
  }
  void finish(Direction& direction) {
    direction.end();
    if (closer && !incoming.busy() && !outgoing.busy()) loop->make_ready(std::exchange(closer, {}));
  }
  void stop_all() noexcept {
    incoming.stop();
    outgoing.stop();
  }
  /// Waits until neither direction has a task inside.
  auto quiet() {
    struct Awaiter {
      Impl& self;
      bool await_ready() const noexcept { return !self.incoming.busy() && !self.outgoing.busy(); }
      void await_suspend(std::coroutine_handle<> task) const noexcept { self.closer = task; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

  Reactor::Impl* loop = nullptr;
  int descriptor = kNone;
  int buffer = kNone;  ///< the provided buffer the caller looks at
  bool cancelled = false;
  bool closing = false;
  bool more_input = false;  ///< the kernel said that octets were left behind by the last receive
  std::coroutine_handle<> closer;
  Direction incoming, outgoing;
  Address local, peer;
};

Socket::Socket() : impl_(std::make_unique<Impl>()) {
  // Of the 16 KiB an idle session may cost in all; its buffer is held only while octets are looked at.
  static_assert(sizeof(Impl) <= 512);
}
Socket::~Socket() = default;

void Socket::adopt(int descriptor, Address local, Address peer) {
  Impl& self = *impl_;
  POSTERN_CHECK(self.descriptor == kNone);
  POSTERN_CHECK(descriptor >= 0);
  // The ring answers EAGAIN for a non-blocking descriptor instead of waiting.
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0) (void)::fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
  self.loop = &Reactor::current().impl();
  self.descriptor = descriptor;
  self.more_input = false;
  self.local = std::move(local);
  self.peer = std::move(peer);
}

Task<std::expected<void, Error>> Socket::connect(Address to, Deadline deadline, Address from) {
  Impl& self = *impl_;
  POSTERN_CHECK(self.descriptor == kNone);
  self.loop = &Reactor::current().impl();
  self.peer = to;
  self.local = {};
  self.more_input = false;
  if (self.cancelled) co_return std::unexpected(self.error(Errc::cancelled, 0, "connect"));

  KernelAddress address = to_kernel(to);
  const int descriptor = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) co_return std::unexpected(self.error(errno, "socket"));
  self.descriptor = descriptor;
  const int on = 1;
  if (!to.is_unix()) (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!from.ip.empty()) {
    // The port is chosen when the peer is known, so that one source address serves many peers.
    if (from.port == 0) (void)::setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const KernelAddress source = to_kernel(from);
    if (::bind(descriptor, source.get(), source.length) != 0) {
      const int number = errno;
      ::close(std::exchange(self.descriptor, kNone));
      co_return std::unexpected(Error::from_errno(number, fmt::format("bind {}", from.text())));
    }
  }

  self.outgoing.begin(*self.loop, deadline);
  co_await self.outgoing.operation(
      [&](io_uring_sqe* entry) { io_uring_prep_connect(entry, descriptor, address.get(), address.length); });
  const int result = self.outgoing.result();
  std::expected<void, Error> outcome;
  if (self.outgoing.stopped() || self.unusable()) {
    outcome = std::unexpected(self.stopped(self.outgoing, "connect"));
  } else if (result < 0) {
    outcome = std::unexpected(self.error(-result, "connect"));
  } else if (auto local = local_address(descriptor)) {
    self.local = std::move(*local);
  }
  if (!outcome) ::close(std::exchange(self.descriptor, kNone));
  self.finish(self.outgoing);
  co_return outcome;
}

Task<std::expected<std::string_view, Error>> Socket::receive(Deadline deadline) {
  Impl& self = *impl_;
  release_input();
  if (self.unusable()) co_return std::unexpected(self.error(Errc::cancelled, 0, "receive"));

  Direction& incoming = self.incoming;
  incoming.begin(*self.loop, deadline);
  for (;;) {
    // Most receives wait for a peer that has yet to answer: then the first attempt, which would fail, is left
    // out.
    const std::uint16_t hint = self.more_input ? 0 : IORING_RECVSEND_POLL_FIRST;
    const int descriptor = self.descriptor;
    co_await incoming.operation([descriptor, hint](io_uring_sqe* entry) {
      io_uring_prep_recv(entry, descriptor, nullptr, 0, 0);
      entry->flags |= IOSQE_BUFFER_SELECT;
      entry->buf_group = BufferPool::kGroup;
      entry->ioprio = hint;
    });
    const int answer = incoming.result();
    if (incoming.stopped() || (answer != -ENOBUFS && answer != -EINTR)) break;
    if (answer == -ENOBUFS) co_await incoming.buffer();
    if (incoming.stopped()) break;
  }
  const int result = incoming.result();
  const std::uint32_t flags = incoming.flags();
  if (result >= 0 && (flags & IORING_CQE_F_BUFFER) != 0) {
    const auto id = static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
    self.loop->buffers().taken(id);
    self.buffer = id;
  }
  self.more_input = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  const bool stopped = incoming.stopped();
  self.finish(incoming);

  // Octets that arrived before the stop are never lost, unless nobody wants any more.
  if (result > 0 && !self.unusable())
    co_return self.loop->buffers().view(static_cast<std::uint16_t>(self.buffer),
                                        static_cast<std::size_t>(result));
  release_input();
  if (self.unusable() || (stopped && result < 0))
    co_return std::unexpected(self.stopped(incoming, "receive"));
  if (result == 0) co_return std::unexpected(self.error(Errc::end_of_stream, 0, "receive"));
  co_return std::unexpected(self.error(-result, "receive"));
}

void Socket::release_input() noexcept {
  impl_->release_input();
}

bool Socket::input_waiting() const {
  if (impl_->descriptor == kNone) return false;
  char octet = 0;
  const ssize_t peeked = ::recv(impl_->descriptor, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
  return peeked >= 0 || (errno != EAGAIN && errno != EINTR);
}

Task<std::expected<void, Error>> Socket::send(std::string_view octets, Deadline deadline, bool last) {
  Impl& self = *impl_;
  if (self.unusable()) co_return std::unexpected(self.error(Errc::cancelled, 0, "send"));
  if (octets.empty()) co_return std::expected<void, Error>();

  const int flags = MSG_NOSIGNAL | (last ? MSG_MORE : 0);
  if (octets.size() <= kSendAtOnceMax) {
    const ssize_t sent = ::send(self.descriptor, octets.data(), octets.size(), flags | MSG_DONTWAIT);
    if (sent > 0) octets.remove_prefix(static_cast<std::size_t>(sent));
    if (octets.empty()) co_return std::expected<void, Error>();
  }

  Direction& outgoing = self.outgoing;
  outgoing.begin(*self.loop, deadline);
  int result = 0;
  do {
    const int descriptor = self.descriptor;
    const std::string_view part = octets.substr(0, kSendOctetsMax);
    co_await outgoing.operation([descriptor, part, flags](io_uring_sqe* entry) {
      io_uring_prep_send(entry, descriptor, part.data(), part.size(), flags | MSG_WAITALL);
    });
    result = outgoing.result();
    if (result > 0) octets.remove_prefix(std::min(static_cast<std::size_t>(result), octets.size()));
  } while (!octets.empty() && !outgoing.stopped() && (result > 0 || result == -EINTR));
  self.finish(outgoing);

  if (octets.empty() && !self.unusable()) co_return std::expected<void, Error>();
  if (self.unusable() || (outgoing.stopped() && (result >= 0 || result == -ECANCELED || result == -EINTR)))
    co_return std::unexpected(self.stopped(outgoing, "send"));
  if (result == 0) co_return std::unexpected(self.error(Errc::reset, 0, "send"));
  co_return std::unexpected(self.error(-result, "send"));
}

void Socket::cancel_receive() noexcept {
  impl_->incoming.stop();
}

void Socket::cancel() noexcept {
  impl_->cancelled = true;
  impl_->stop_all();
}

Task<void> Socket::close(bool reset) {
  Impl& self = *impl_;
  if (self.descriptor == kNone) co_return;
  if (self.closing) {
    // Somebody else closes already; that ends within a few turns, because everything in flight has been
    // cancelled.
    Reactor& reactor = Reactor::current();
    while (self.closing) co_await reactor.yield();
    co_return;
  }
  self.closing = true;
  self.stop_all();
  co_await self.quiet();
  self.release_input();
  if (self.descriptor != kNone) {  // a connect that was under way has closed it
    if (reset) {
      const linger now{.l_onoff = 1, .l_linger = 0};
      (void)::setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else if (!self.peer.ip.empty()) {
      discard_input(self.descriptor);
    }
    ::close(std::exchange(self.descriptor, kNone));
  }
  self.closing = false;
}

bool Socket::is_open() const {
  return impl_->descriptor != kNone;
}
const Address& Socket::local() const {
  return impl_->local;
}
const Address& Socket::peer() const {
  return impl_->peer;
}

}  // namespace postern::reactor
