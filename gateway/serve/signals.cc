#include "gateway/serve/signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>

namespace postern::serve {

Signals::Signals() {
  (void)std::signal(SIGPIPE, SIG_IGN);  // a peer who hangs up is an error code, not a signal
  sigset_t set;
  (void)sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) (void)sigaddset(&set, number);
  (void)pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wakes_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

Signals::~Signals() {
  (void)::close(signals_);
  (void)::close(wakes_);
}

Signals::Happened Signals::wait(std::chrono::milliseconds time) {
  std::array<pollfd, 2> waits{
      {{.fd = signals_, .events = POLLIN, .revents = 0}, {.fd = wakes_, .events = POLLIN, .revents = 0}}};
  if (::poll(waits.data(), waits.size(), static_cast<int>(time.count())) <= 0) return {};
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
    return {.event = Event::signal, .signal = static_cast<int>(info.ssi_signo)};
  std::uint64_t count = 0;
  if (::read(wakes_, &count, sizeof count) == static_cast<ssize_t>(sizeof count))
    return {.event = Event::woken};
  return {};
}

void Signals::wake() noexcept {
  const std::uint64_t one = 1;
  (void)!::write(wakes_, &one, sizeof one);  // full means that a wake-up waits already
}

}  // namespace postern::serve
