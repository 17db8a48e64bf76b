#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <coroutine>
#include <utility>
#include <vector>

#include "gateway/reactor/check.h"
#include "gateway/reactor/loop.h"
#include "gateway/reactor/sockaddr.h"
#include "gateway/reactor/unix_path.h"

namespace postern::reactor {
namespace {

constexpr int kNone = -1;
/// Clients accepted and not yet fetched by accept(). At the bound the kernel's own queue takes over, until
/// half are gone.
constexpr std::size_t kPendingMax = 256;
/// Out of descriptors or memory: the client stays in the kernel's queue, and we look again after this.
constexpr auto kPause = std::chrono::milliseconds(100);

bool is_shortage(int number) {
  return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

/// One client was lost before we had it, which says nothing about the next (accept(2), "Error handling").
bool is_transient(int number) {
  switch (number) {
    case ECONNABORTED:
    case EINTR:
    case EAGAIN:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

}  // namespace

/// The multishot accept, and the clients it has brought.
class Listener::Impl final : public Operation, public Timer {
 public:
  ~Impl() {
    POSTERN_CHECK(!armed_);
    POSTERN_CHECK(!accepting_);
    POSTERN_CHECK(!closer);
    if (descriptor != kNone) shut();
  }

  bool armed() const { return armed_; }
  bool has_pending() const { return taken_ < pending_.size(); }
  int take_pending() {
    const int client = pending_[taken_++];
    if (taken_ == pending_.size()) {
      pending_.clear();
      taken_ = 0;
    }
    return client;
  }

  /// Asks the kernel for clients unless it has been asked, a pause runs, or enough of them wait.
  void arm() {
    const bool pausing = Timer::armed();
    if (armed_ || pausing || pending_.size() - taken_ > kPendingMax / 2) return;
    armed_ = true;
    stopping_ = false;
    loop->ring().submit(*this, [this](io_uring_sqe* entry) {
      io_uring_prep_multishot_accept(entry, descriptor, nullptr, nullptr, SOCK_CLOEXEC);
    });
  }

  void stop() noexcept {
    if (Timer::armed()) loop->timers().cancel(*this);
    if (armed_ && !stopping_) {
      stopping_ = true;
      loop->ring().cancel(*this);
    }
    wake();
  }

  void shut() {
    while (has_pending()) ::close(take_pending());
    ::close(std::exchange(descriptor, kNone));
    file.remove();
  }

  /// While a task is inside accept().
  class Accepting {
   public:
    explicit Accepting(Impl& self) : self_(self) {
      POSTERN_CHECK(!self.accepting_);  // one task accepts
      self.accepting_ = true;
    }
    ~Accepting() {
      self_.accepting_ = false;
      self_.wake();
    }
    Accepting(const Accepting&) = delete;
    Accepting& operator=(const Accepting&) = delete;

   private:
    Impl& self_;
  };

  auto next() {
    struct Awaiter {
      Impl& self;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> task) const noexcept { self.waiter = task; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  auto quiet() {
    struct Awaiter {
      Impl& self;
      bool await_ready() const noexcept { return !self.armed_ && !self.accepting_; }
      void await_suspend(std::coroutine_handle<> task) const noexcept { self.closer = task; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

  Reactor::Impl* loop = nullptr;
  int descriptor = kNone;
  Address local;
  bool local_is_exact = false;  ///< every client's local address is the listener's: no need to ask
  UnixPath file;
  int failure = 0;  ///< errno that ends accepting
  bool cancelled = false;
  bool closing = false;
  std::coroutine_handle<> waiter;
  std::coroutine_handle<> closer;

 private:
  void completed(int result, std::uint32_t flags) noexcept override {
    if (result >= 0) {
      if (cancelled || closing) {
        ::close(result);
      } else {
        pending_.push_back(result);
        // Not from inside the walk over completions: the timer's turn comes right after it.
        if (pending_.size() - taken_ >= kPendingMax && !stopping_ && !Timer::armed())
          loop->timers().arm(*this, loop->now());
      }
    } else if (cancelled || closing) {
      // Whatever it says, it is over.
    } else if (is_shortage(-result)) {
      loop->count_accept_pause();
      loop->timers().arm(*this, loop->now() + kPause);
    } else if (result != -ECANCELED && !is_transient(-result)) {
      failure = -result;
    }
    if ((flags & IORING_CQE_F_MORE) == 0) armed_ = false;
    wake();
  }

  /// The pause is over, or too many clients wait.
  void expired() noexcept override {
    if (armed_ && !stopping_ && pending_.size() - taken_ >= kPendingMax) {
      stopping_ = true;
      loop->ring().cancel(*this);
    }
    wake();
  }

  void wake() noexcept {
    if (waiter) loop->make_ready(std::exchange(waiter, {}));
    if (closer && !armed_ && !accepting_) loop->make_ready(std::exchange(closer, {}));
  }

  bool armed_ = false;
  bool accepting_ = false;
  bool stopping_ = false;
  std::vector<int> pending_;
  std::size_t taken_ = 0;
};

Listener::Listener() : impl_(std::make_unique<Impl>()) {}
Listener::~Listener() = default;

namespace {

std::unexpected<Error> bind_failed(const Address& address, int number) {
  return std::unexpected(Error::from_errno(number, fmt::format("bind {}", address.text())));
}

/// SO_REUSEPORT would let us share a port with a stranger of the same user. A socket without it is refused
/// then.
std::expected<void, Error> check_unused(const Address& address) {
  const KernelAddress kernel = to_kernel(address);
  const int descriptor = ::socket(kernel.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return bind_failed(address, errno);
  const int on = 1;
  (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (kernel.storage.ss_family == AF_INET6)
    (void)::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const int bound = ::bind(descriptor, kernel.get(), kernel.length);
  const int number = errno;
  ::close(descriptor);
  if (bound != 0) return bind_failed(address, number);
  return {};
}

void set_tcp_options(int descriptor, bool v6, bool reuse_port) {
  const int on = 1;
  (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (v6) (void)::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // Accepted sockets inherit it: replies are gathered already, waiting for more only adds delay.
  (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool is_exact(const Address& local) {
  if (local.is_unix()) return true;
  for (const char octet : local.ip.octets())
    if (octet != 0) return true;
  return false;  // 0.0.0.0 or [::]: the client may have come to any address of the machine
}

}  // namespace

std::expected<void, Error> Listener::bind(const Address& address, const ListenOptions& options) {
  Impl& self = *impl_;
  POSTERN_CHECK(self.descriptor == kNone);
  self.loop = &Reactor::current().impl();
  if (address.is_unix()) {
    auto bound = bind_unix_path(address, options.unix_mode);
    if (!bound) return std::unexpected(std::move(bound.error()));
    self.descriptor = bound->descriptor;
    self.file = std::move(bound->file);
    self.local = address;
  } else {
    if (options.refuse_shared) {
      if (auto unused = check_unused(address); !unused) return unused;
    }
    const KernelAddress kernel = to_kernel(address);
    const int descriptor = ::socket(kernel.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return bind_failed(address, errno);
    self.descriptor = descriptor;
    set_tcp_options(descriptor, address.ip.is_v6(), options.reuse_port);
    if (::bind(descriptor, kernel.get(), kernel.length) != 0) {
      const int number = errno;
      self.shut();
      return bind_failed(address, number);
    }
  }
  if (::listen(self.descriptor, options.backlog) != 0) {
    const int number = errno;
    self.shut();
    return std::unexpected(Error::from_errno(number, fmt::format("listen on {}", address.text())));
  }
  if (!address.is_unix()) {
    auto local = local_address(self.descriptor);
    if (!local) {
      self.shut();
      return std::unexpected(std::move(local.error()));
    }
    self.local = std::move(*local);
  }
  self.local_is_exact = is_exact(self.local);
  return {};
}

std::expected<void, Error> Listener::share(int descriptor) {
  Impl& self = *impl_;
  POSTERN_CHECK(self.descriptor == kNone);
  self.loop = &Reactor::current().impl();
  auto local = local_address(descriptor);
  if (!local) return std::unexpected(std::move(local.error()).with("share a listening socket"));
  int listening = 0;
  socklen_t length = sizeof listening;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || listening == 0)
    return std::unexpected(
        Error{.code = Errc::system,
              .system_error = EINVAL,
              .context = fmt::format("share {}: the socket does not listen", local->text())});
  const int own = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return std::unexpected(Error::from_errno(errno, fmt::format("share {}", local->text())));
  // The ring answers EAGAIN for a non-blocking descriptor instead of waiting; socket activation may hand us
  // one.
  const int flags = ::fcntl(own, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0) (void)::fcntl(own, F_SETFL, flags & ~O_NONBLOCK);
  const int on = 1;
  if (!local->is_unix()) (void)::setsockopt(own, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  self.descriptor = own;
  self.local = std::move(*local);
  self.local_is_exact = is_exact(self.local);
  return {};
}

int Listener::descriptor() const {
  return impl_->descriptor;
}
const Address& Listener::local() const {
  return impl_->local;
}

Task<std::expected<Accepted, Error>> Listener::accept() {
  Impl& self = *impl_;
  const Impl::Accepting accepting(self);
  for (;;) {
    if (self.cancelled || self.closing || self.descriptor == kNone)
      co_return std::unexpected(Error{.code = Errc::cancelled,
                                      .system_error = 0,
                                      .context = fmt::format("accept on {}", self.local.text())});
    while (self.has_pending()) {
      const int client = self.take_pending();
      // The multishot accept has one address buffer for all its clients, so each is asked for its own.
      auto peer = peer_address(client);
      std::expected<Address, Error> local = self.local;
      if (peer && !self.local_is_exact) local = local_address(client);
      if (!peer || !local) {  // gone already
        ::close(client);
        continue;
      }
      co_return Accepted{.descriptor = client, .local = std::move(*local), .peer = std::move(*peer)};
    }
    if (self.failure != 0) {
      const int number = std::exchange(self.failure, 0);
      co_return std::unexpected(Error::from_errno(number, fmt::format("accept on {}", self.local.text())));
    }
    self.arm();
    co_await self.next();
  }
}

void Listener::cancel() noexcept {
  impl_->cancelled = true;
  impl_->stop();
}

Task<void> Listener::close() {
  Impl& self = *impl_;
  if (self.descriptor == kNone || self.closing) co_return;
  self.closing = true;
  self.stop();
  co_await self.quiet();
  self.shut();
  self.closing = false;
}

}  // namespace postern::reactor
