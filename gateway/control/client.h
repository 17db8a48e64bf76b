#pragma once

#include <chrono>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

namespace postern::control {

/// Why the server could not be asked.
struct ClientError {
  enum class Kind : unsigned char {
    absent,      ///< there is no socket, or nobody listens on it: no server runs
    permission,  ///< we may not connect
    timed_out,
    broken,  ///< the connection ended, or the answer is no HTTP
  };
  Kind kind = Kind::broken;
  std::string sentence;
};

struct Answer {
  unsigned status = 0;
  std::string body;
  bool ok() const { return status >= 200 && status < 300; }
  /// The "error" of a refusal, or a sentence with the status.
  std::string error() const;
};

/// Asks a running server through its control socket: one blocking request, one connection. For the command line; never on a
/// reactor.
class Client {
 public:
  static constexpr std::size_t kHeaderOctetsMax = 64U << 10;
  static constexpr std::uint64_t kBodyOctetsMax = 1ULL << 30;

  explicit Client(std::filesystem::path socket) : socket_(std::move(socket)) {}

  /// `target`: path and query, escaped. `patience`: how long the server may say nothing.
  std::expected<Answer, ClientError> request(std::string_view method, std::string_view target,
                                             std::string_view body = {},
                                             std::chrono::seconds patience = std::chrono::seconds(60)) const;
  /// Whether somebody listens; nothing is asked.
  std::expected<void, ClientError> probe() const;
  const std::filesystem::path& socket() const { return socket_; }

 private:
  std::filesystem::path socket_;
};

}  // namespace postern::control
