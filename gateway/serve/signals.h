#pragma once

#include <chrono>
#include <optional>

namespace postern::serve {

/// SIGTERM, SIGINT and SIGHUP as something to wait for, and wake() from other threads. Nothing runs in a signal handler.
/// Construct before any thread starts: they inherit the mask that keeps these signals for us.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  enum class Event : unsigned char { signal, woken, timeout };
  struct Happened {
    Event event = Event::timeout;
    int signal = 0;  ///< SIGTERM, SIGINT or SIGHUP
  };
  /// Waits until something happens, or for `time`. The main thread's.
  Happened wait(std::chrono::milliseconds time);
  /// Any thread. Several before the next wait() count once.
  void wake() noexcept;

 private:
  int signals_ = -1;  // signalfd
  int wakes_ = -1;    // eventfd
};

}  // namespace postern::serve
