#include "bench/load/channel.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace postern::load {

using reactor::Deadline;
using reactor::Errc;
using reactor::Error;
using reactor::Task;

namespace {

constexpr std::chrono::seconds kFarewell{1};

std::unexpected<Error> tls_error(std::string reason) {
  return std::unexpected(Error{.code = Errc::tls, .system_error = 0, .context = std::move(reason)});
}

}  // namespace

Task<std::expected<void, Error>> Channel::connect(reactor::Address to, reactor::Address from,
                                                  Deadline deadline) {
  auto connected = co_await socket_.connect(std::move(to), deadline, std::move(from));
  co_return connected;
}

Task<std::expected<void, Error>> Channel::flush(Deadline deadline) {
  const std::string octets = tls_->take_output();
  auto sent = co_await socket_.send(octets, deadline);
  co_return sent;
}

Task<std::expected<void, Error>> Channel::start_tls(const TlsClientContext& context, SSL_SESSION* session,
                                                    Deadline deadline) {
  // RFC 3207 §4.2: what came in the clear is forgotten.
  replies_.clear();
  tls_ = std::make_unique<TlsClient>(context, session);
  for (;;) {
    auto state = tls_->handshake();
    auto sent = co_await flush(deadline);
    if (!state) co_return tls_error(std::move(state.error()));
    if (!sent) co_return std::unexpected(std::move(sent.error()));
    if (*state == TlsClient::State::open) co_return decrypt();
    const auto input = co_await socket_.receive(deadline);
    if (!input) co_return std::unexpected(input.error());
    tls_->feed(*input);
    socket_.release_input();
  }
}

std::expected<void, Error> Channel::decrypt() {
  std::string plaintext;
  const auto state = tls_->read(plaintext);
  replies_.feed(plaintext);
  if (!state) return tls_error(state.error());
  if (*state == TlsClient::State::closed && plaintext.empty())
    return std::unexpected(Error{.code = Errc::end_of_stream, .system_error = 0, .context = "close_notify"});
  return {};
}

Task<std::expected<void, Error>> Channel::send(std::string_view octets, Deadline deadline) {
  if (!tls_) {
    auto sent = co_await socket_.send(octets, deadline);
    co_return sent;
  }
  while (!octets.empty()) {
    const std::string_view piece = octets.substr(0, kEncryptOctetsMax);
    octets.remove_prefix(piece.size());
    const auto written = tls_->write(piece);
    if (!written) co_return tls_error(written.error());
    auto sent = co_await flush(deadline);
    if (!sent) co_return sent;
  }
  co_return std::expected<void, Error>();
}

Task<std::expected<void, Error>> Channel::receive(Deadline deadline) {
  const auto input = co_await socket_.receive(deadline);
  if (!input) co_return std::unexpected(input.error());
  if (tls_) {
    tls_->feed(*input);
  } else {
    replies_.feed(*input);
  }
  socket_.release_input();
  co_return tls_ ? decrypt() : std::expected<void, Error>();
}

Task<std::expected<Reply, Error>> Channel::reply(Deadline deadline) {
  for (;;) {
    auto next = replies_.next();
    if (!next) {
      const std::string what = fmt::format("octet {}: expected {}", next.error().position, next.error().rule);
      co_return std::unexpected(Error{.code = Errc::invalid, .system_error = 0, .context = what});
    }
    if (*next) co_return std::move(**next);
    auto received = co_await receive(deadline);
    if (!received) co_return std::unexpected(std::move(received.error()));
  }
}

Task<void> Channel::close(bool reset) {
  if (tls_ && socket_.is_open() && !reset) {
    tls_->shutdown();
    // Whether the farewell arrives changes nothing any more.
    (void)co_await flush(reactor::Clock::now() + kFarewell);
  }
  co_await socket_.close(reset);
}

}  // namespace postern::load
