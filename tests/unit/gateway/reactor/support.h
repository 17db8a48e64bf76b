#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "gateway/reactor/reactor.h"
#include "gateway/reactor/socket.h"
#include "tests/support/run_task.h"

namespace postern::reactor::testing {

/// Long enough never to pass in a test that works.
inline Deadline never_in_a_test() {
  return Reactor::current().now() + std::chrono::seconds(60);
}
inline Deadline in(std::chrono::milliseconds time) {
  return Reactor::current().now() + time;
}

/// A socket of the reactor and the plain descriptor at its other end.
struct Pair {
  Socket socket;
  int peer = -1;

  Pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    socket.adopt(ends[0], Address(), Address());
    peer = ends[1];
  }
  ~Pair() { hang_up(); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void write(std::string_view octets) const {
    if (::send(peer, octets.data(), octets.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(octets.size()))
      std::abort();
  }
  /// What lies in the peer's queue now, at most 64 KiB.
  std::string read() const {
    std::string octets(65536, '\0');
    const ssize_t size = ::recv(peer, octets.data(), octets.size(), MSG_DONTWAIT);
    octets.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return octets;
  }
  void hang_up() {
    if (peer >= 0) ::close(std::exchange(peer, -1));
  }
};

/// "ok", or what the error says: easier to compare and to read than codes.
template <typename T>
std::string outcome(const std::expected<T, Error>& result) {
  return result ? "ok" : std::string(to_string(result.error().code));
}

/// The same for a receive: the octets, or what the error says in angle brackets.
inline std::string received(const std::expected<std::string_view, Error>& result) {
  return result ? std::string(*result) : "<" + std::string(to_string(result.error().code)) + ">";
}

/// A receive as a task to spawn: writes its outcome down.
inline Task<void> receive_into(Socket& socket, Deadline deadline, std::string& into) {
  const auto result = co_await socket.receive(deadline);
  into = received(result);
  socket.release_input();
}

inline Task<void> send_into(Socket& socket, std::string octets, Deadline deadline, std::string& into) {
  const auto result = co_await socket.send(octets, deadline);
  into = outcome(result);
}

}  // namespace postern::reactor::testing
