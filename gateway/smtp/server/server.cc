#include "gateway/smtp/server/server.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <utility>

#include "gateway/reactor/check.h"
#include "gateway/smtp/server/connection.h"

namespace postern::smtp {

using reactor::Errc;
using reactor::Reactor;
using reactor::Task;

namespace {

/// After a failure of accept() that is no lack of descriptors: long enough not to spin, short enough not to
/// matter.
constexpr std::chrono::milliseconds kAcceptPause{200};

/// Without i, l, o, u: ids are read aloud.
constexpr std::string_view kIdLetters = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr unsigned kIdTimeLetters = 7, kIdCountLetters = 5;

}  // namespace

std::string next_session_id() {
  static std::atomic<std::uint32_t> count{0};
  const auto now = std::chrono::floor<std::chrono::seconds>(Reactor::current().now_utc());
  auto time = static_cast<std::uint64_t>(now.time_since_epoch().count());
  std::uint32_t number = count.fetch_add(1, std::memory_order_relaxed);
  std::string id(kIdTimeLetters + kIdCountLetters, '0');
  for (unsigned i = kIdTimeLetters; i-- > 0; time /= kIdLetters.size())
    id[i] = kIdLetters[time % kIdLetters.size()];
  for (unsigned i = kIdTimeLetters + kIdCountLetters; i-- > kIdTimeLetters; number /= 32)
    id[i] = kIdLetters[number % kIdLetters.size()];
  return id;
}

class Server::Impl {
 public:
  Impl(std::size_t listener, std::string name, House& house, ServerShared shared)
      : context_{.listener = listener,
                 .name = name,
                 .house = house,
                 .shared = shared,
                 .figures = Figures(shared.metrics, name)} {}

  Task<void> serve(reactor::Listener& listener);
  void drain();
  void cancel();
  std::size_t connections() const { return connections_.size(); }

 private:
  using Place = std::list<Connection>::iterator;
  Task<void> visit(Place place);

  ServerContext context_;
  std::list<Connection> connections_;
  reactor::Listener* listener_ = nullptr;
};

Task<void> Server::Impl::serve(reactor::Listener& listener) {
  POSTERN_CHECK(listener_ == nullptr);
  listener_ = &listener;
  while (!context_.draining) {
    auto accepted = co_await listener.accept();
    if (accepted) {
      const Place place = connections_.emplace(connections_.end(), context_, *accepted);
      context_.scope.spawn(visit(place));
      if (Reactor::current().turn_expired()) {
        co_await Reactor::current().yield();
      }
      continue;
    }
    if (accepted.error().code == Errc::cancelled) break;
    context_.shared.logger.write(log::Line(log::Level::error, "accept_failed")
                                     .field("listener", context_.name)
                                     .field("error", accepted.error().text()));
    const auto until = Reactor::current().now() + kAcceptPause;
    const auto slept = co_await Reactor::current().sleep_until(until, &context_.scope);
    (void)slept;  // the loop looks whether to go on
  }
  listener_ = nullptr;
  co_await listener.close();  // whoever connects now is refused at once, and tries the next server
  co_await context_.scope.join();
}

Task<void> Server::Impl::visit(Place place) {
  co_await place->run();
  connections_.erase(place);
}

void Server::Impl::drain() {
  if (std::exchange(context_.draining, true)) return;
  if (listener_ != nullptr) listener_->cancel();
  for (Connection& connection : connections_) connection.drain();
}

void Server::Impl::cancel() {
  context_.cancelled = true;
  drain();
  context_.scope.cancel();
}

Server::Server(std::size_t listener, std::string name, House& house, ServerShared shared)
    : impl_(std::make_unique<Impl>(listener, std::move(name), house, shared)) {}
Server::~Server() = default;

Task<void> Server::serve(reactor::Listener& listener) {
  return impl_->serve(listener);
}
void Server::drain() {
  impl_->drain();
}
void Server::cancel() {
  impl_->cancel();
}
std::size_t Server::connections() const {
  return impl_->connections();
}

}  // namespace postern::smtp
