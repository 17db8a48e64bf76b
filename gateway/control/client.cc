#include "gateway/control/client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "gateway/control/json.h"

namespace postern::control {
namespace {

namespace http = boost::beast::http;

/// A descriptor that closes itself.
class Connection {
 public:
  explicit Connection(int descriptor) : descriptor_(descriptor) {}
  Connection(Connection&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Connection& operator=(Connection&&) = delete;
  ~Connection() {
    if (descriptor_ >= 0) (void)::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string reason(int error) {
  return std::generic_category().message(error);
}

std::unexpected<ClientError> failed(ClientError::Kind kind, std::string sentence) {
  return std::unexpected(ClientError{.kind = kind, .sentence = std::move(sentence)});
}

std::expected<Connection, ClientError> connect(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return failed(ClientError::Kind::absent, fmt::format("{}: no name for a Unix socket", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  Connection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connection.get() < 0) return failed(ClientError::Kind::broken, "socket: " + reason(errno));
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return connection;
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return failed(ClientError::Kind::absent, fmt::format("{}: no server listens here", path));
    case EACCES:
    case EPERM:
      return failed(ClientError::Kind::permission, fmt::format("{}: {}", path, reason(errno)));
    default:
      return failed(ClientError::Kind::broken, fmt::format("{}: {}", path, reason(errno)));
  }
}

std::unexpected<ClientError> io_error(std::string_view what, int error, std::chrono::seconds patience) {
  if (error == EAGAIN || error == EWOULDBLOCK)
    return failed(ClientError::Kind::timed_out,
                  fmt::format("the server did not answer within {} s", patience.count()));
  return failed(ClientError::Kind::broken, fmt::format("{}: {}", what, reason(error)));
}

/// A server that refuses early stops reading: that is no error here, its answer tells.
std::expected<void, ClientError> send_all(int descriptor, std::string_view octets,
                                          std::chrono::seconds patience) {
  while (!octets.empty()) {
    const ssize_t sent = ::send(descriptor, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      octets.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return {};
    } else if (errno != EINTR) {
      return io_error("send", errno, patience);
    }
  }
  return {};
}

std::expected<Answer, ClientError> receive_answer(int descriptor, std::chrono::seconds patience) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(static_cast<std::uint32_t>(Client::kHeaderOctetsMax));
  parser.body_limit(Client::kBodyOctetsMax);
  std::string buffer;
  std::array<char, 65536> piece{};
  boost::system::error_code error;
  while (!parser.is_done()) {
    const ssize_t got = ::recv(descriptor, piece.data(), piece.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return io_error("receive", errno, patience);
    }
    if (got == 0) {
      if (parser.got_some()) parser.put_eof(error);
      if (error || !parser.is_done())
        return failed(ClientError::Kind::broken,
                      "the server ended the connection before its answer was complete");
      break;
    }
    buffer.append(piece.data(), static_cast<std::size_t>(got));
    const std::size_t used = parser.put(boost::asio::buffer(buffer), error);
    buffer.erase(0, used);
    if (error && error != http::error::need_more)
      return failed(ClientError::Kind::broken, "the answer is not HTTP: " + error.message());
  }
  auto message = parser.release();
  return Answer{.status = message.result_int(), .body = std::move(message.body())};
}

}  // namespace

std::string Answer::error() const {
  const auto json = parse(body);
  if (json && json->is_object() && json->contains("error") && json->at("error").is_string())
    return json->at("error").get<std::string>();
  return fmt::format("the server answered with status {}", status);
}

std::expected<Answer, ClientError> Client::request(std::string_view method, std::string_view target,
                                                   std::string_view body,
                                                   std::chrono::seconds patience) const {
  auto connection = connect(socket_);
  if (!connection) return std::unexpected(std::move(connection.error()));
  const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
  (void)::setsockopt(connection->get(), SOL_SOCKET, SO_RCVTIMEO, &limit,
                     sizeof limit);  // cannot fail on a socket
  (void)::setsockopt(connection->get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                  method, target, body.size());
  auto sent = send_all(connection->get(), head, patience);
  if (sent) sent = send_all(connection->get(), body, patience);
  if (!sent) return std::unexpected(std::move(sent.error()));
  return receive_answer(connection->get(), patience);
}

std::expected<void, ClientError> Client::probe() const {
  auto connection = connect(socket_);
  if (!connection) return std::unexpected(std::move(connection.error()));
  return {};
}

}  // namespace postern::control
