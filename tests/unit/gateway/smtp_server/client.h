#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/reactor/socket.h"
#include "tests/support/tls_client.h"

namespace postern::test {

/// The other end: a blocking socket that never waits longer than ten seconds.
class Client {
 public:
  static Client to(const reactor::Address& address, int receive_buffer = 0) {
    Client client;
    const bool local = address.is_unix();
    client.descriptor_ = ::socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      ::setsockopt(client.descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(client.descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(client.descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int result = 0;
    if (local) {
      sockaddr_un name{};
      name.sun_family = AF_UNIX;
      address.path.copy(name.sun_path, sizeof name.sun_path - 1);
      result = ::connect(client.descriptor_, reinterpret_cast<const sockaddr*>(&name), sizeof name);
    } else {
      const int on = 1;
      ::setsockopt(client.descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      sockaddr_in name{};
      name.sin_family = AF_INET;
      name.sin_port = htons(address.port);
      std::memcpy(&name.sin_addr, address.ip.octets().data(), 4);
      result = ::connect(client.descriptor_, reinterpret_cast<const sockaddr*>(&name), sizeof name);
    }
    if (result != 0) client.close();
    return client;
  }
  Client(Client&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        received_(std::move(other.received_)),
        tls_(std::move(other.tls_)) {}
  Client& operator=(Client&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(received_, other.received_);
    std::swap(tls_, other.tls_);
    return *this;
  }
  ~Client() { close(); }

  bool connected() const { return descriptor_ >= 0; }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }
  /// RST instead of FIN.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void finish_sending() { ::shutdown(descriptor_, SHUT_WR); }

  void send(std::string_view text) { send_octets(tls_ ? tls_->encrypted(text) : std::string(text)); }
  /// False when the server's side takes no more within `patience`.
  bool try_to_send(std::string_view octets, std::chrono::milliseconds patience) {
    while (!octets.empty()) {
      pollfd wish{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      if (::poll(&wish, 1, static_cast<int>(patience.count())) != 1) return false;
      const ssize_t sent = ::send(descriptor_, octets.data(), octets.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EAGAIN) continue;
      if (sent < 0) return false;
      octets.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// One whole reply, all its lines joined by "|", without the last CRLF. What came before the end when the server closes.
  std::string reply() {
    std::string lines;
    for (;;) {
      const std::size_t end = received_.find("\r\n");
      if (end == std::string::npos) {
        if (!more()) return lines + std::exchange(received_, {});
        continue;
      }
      const std::string line = received_.substr(0, end);
      received_.erase(0, end + 2);
      lines += lines.empty() ? line : "|" + line;
      if (line.size() < 4 || line[3] != '-') return lines;
    }
  }
  std::string say(std::string_view command) {
    send(std::string(command) + "\r\n");
    return reply();
  }
  /// The codes of the next replies: "250 250 354".
  std::string codes(std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string one = reply().substr(0, 3);
      all += all.empty() ? one : " " + one;
    }
    return all;
  }
  /// Everything until the server closes; "RESET" at the end when it did so hard.
  std::string rest() {
    while (more()) {
    }
    std::string all = std::exchange(received_, {});
    if (was_reset_) all += "RESET";
    if (!ended_) all += "STILL OPEN";
    return all;
  }
  /// Nothing comes for a while and the connection stays open.
  bool hears_nothing(std::chrono::milliseconds patience) {
    pollfd wish{.fd = descriptor_, .events = POLLIN, .revents = 0};
    return received_.empty() && ::poll(&wish, 1, static_cast<int>(patience.count())) == 0;
  }

  bool start_tls() {
    tls_ = std::make_unique<TlsClient>();
    while (!tls_->handshake()) {
      send_octets(tls_->take_output());
      if (!more_ciphertext()) return false;
    }
    send_octets(tls_->take_output());
    return true;
  }

  /// Segments with data that have come in so far.
  unsigned data_segments() const {
    tcp_info info{};
    socklen_t length = sizeof info;
    ::getsockopt(descriptor_, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_data_segs_in;
  }

 private:
  Client() = default;
  void send_octets(std::string_view octets) {
    while (!octets.empty()) {
      const ssize_t sent = ::send(descriptor_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      octets.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  std::string_view receive() {
    const ssize_t got = ::recv(descriptor_, piece_, sizeof piece_, 0);
    if (got > 0) return {piece_, static_cast<std::size_t>(got)};
    ended_ = got == 0 || errno == ECONNRESET;
    was_reset_ = got < 0 && errno == ECONNRESET;
    return {};
  }
  bool more_ciphertext() {
    const std::string_view got = receive();
    tls_->feed(got);
    return !got.empty();
  }
  bool more() {
    if (!tls_) {
      const std::string_view got = receive();
      received_ += got;
      return !got.empty();
    }
    for (;;) {
      const std::string text = tls_->read();
      received_ += text;
      if (!text.empty()) return true;
      if (!more_ciphertext()) return false;
    }
  }

  int descriptor_ = -1;
  std::string received_;
  std::unique_ptr<TlsClient> tls_;
  char piece_[16384] = {};
  bool ended_ = false, was_reset_ = false;
};

}  // namespace postern::test
