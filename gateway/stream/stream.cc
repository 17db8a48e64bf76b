#include "gateway/stream/stream.h"

#include <algorithm>

namespace postern::stream {

using reactor::Deadline;
using reactor::Errc;
using reactor::Error;
using reactor::Task;
using State = tls::Engine::State;

namespace {

Error tls_error(std::string reason) {
  return {.code = Errc::tls, .context = std::move(reason)};
}

}  // namespace

Task<std::expected<std::string_view, Error>> Stream::receive(Deadline deadline) {
  if (!engine_) return socket_->receive(deadline);  // plaintext costs no frame of its own
  return receive_encrypted(deadline);
}

Task<std::expected<void, Error>> Stream::send(std::string_view octets, Deadline deadline, bool last) {
  if (!engine_) return socket_->send(octets, deadline, last);
  return send_encrypted(octets, deadline);
}

void Stream::release_input() noexcept {
  socket_->release_input();
  std::string().swap(plaintext_);
}

Task<std::expected<std::string_view, Error>> Stream::receive_encrypted(Deadline deadline) {
  release_input();
  for (;;) {
    auto state = engine_->read(plaintext_, kDecryptOctetsMax);
    if (!plaintext_.empty())
      co_return std::string_view(plaintext_);  // a failure behind it shows at the next call
    if (!state) co_return std::unexpected(tls_error(std::move(state.error().reason)));
    if (*state == State::closed)
      co_return std::unexpected(Error{.code = Errc::end_of_stream, .context = "tls"});

    // While a send is under way it takes that output along, or leaves it to the next.
    if (!sending_ && engine_->output_pending()) {
      auto flushed = co_await flush_provoked(deadline);
      if (!flushed) co_return std::unexpected(std::move(flushed.error()));
    }
    auto received = co_await socket_->receive(deadline);
    if (!received) co_return std::unexpected(std::move(received.error()));
    engine_->feed(*received);
    socket_->release_input();
  }
}

Task<std::expected<void, Error>> Stream::send_encrypted(std::string_view octets, Deadline deadline) {
  if (sending_) {  // the receiving side's short answer is on its way
    reactor::Event given;
    sending_waiter_ = &given;
    co_await given.wait();
  }
  sending_ = true;
  std::expected<void, Error> result;
  do {
    const std::string_view part = octets.substr(0, kEncryptOctetsMax);
    octets.remove_prefix(part.size());
    auto written = engine_->write(part);
    if (!written) {
      result = std::unexpected(tls_error(std::move(written.error().reason)));
      break;
    }
    result = co_await flush(deadline);
  } while (result && !octets.empty());
  give_sending_side();
  co_return result;
}

Task<std::expected<tls::Established, Error>> Stream::start_tls(std::shared_ptr<const tls::Contexts> contexts,
                                                               Deadline deadline,
                                                               std::string already_received) {
  if (engine_) co_return std::unexpected(tls_error("TLS is on already"));
  release_input();
  engine_ = std::make_unique<tls::Engine>(std::move(contexts));
  engine_->feed(already_received);
  std::string().swap(already_received);
  auto established = co_await finish_handshake(deadline);
  co_return established;
}

Task<std::expected<tls::Established, Error>> Stream::connect_tls(
    std::shared_ptr<const tls::ClientContext> context, tls::ClientTerms terms, Deadline deadline) {
  if (engine_) co_return std::unexpected(tls_error("TLS is on already"));
  release_input();
  engine_ = std::make_unique<tls::Engine>(std::move(context), terms);
  auto begun = co_await handshake_step(deadline);
  if (!begun) co_return std::unexpected(std::move(begun.error()));
  auto established = co_await finish_handshake(deadline);
  co_return established;
}

Task<std::expected<tls::Established, Error>> Stream::finish_handshake(Deadline deadline) {
  for (;;) {
    while (!engine_->input_pending()) {
      auto received = co_await socket_->receive(deadline);
      if (!received) co_return std::unexpected(std::move(received.error()).with("tls handshake"));
      engine_->feed(*received);
      socket_->release_input();
    }
    auto state = co_await handshake_step(deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    if (*state == State::open) co_return engine_->established();
  }
}

Task<std::expected<State, Error>> Stream::handshake_step(Deadline deadline) {
  auto& reactor = reactor::Reactor::current();
  co_await reactor.handshake_slot();
  // Under a flood of handshakes the wait for the slot may have used up the time; the client has gone by then.
  if (reactor.now() >= deadline)
    co_return std::unexpected(Error{.code = Errc::timed_out, .context = "tls handshake"});
  auto state = engine_->handshake();
  auto flushed = co_await flush(deadline);  // after a failure too: the alert tells the peer why
  if (!state) co_return std::unexpected(tls_error(std::move(state.error().reason)));
  if (!flushed) co_return std::unexpected(std::move(flushed.error()).with("tls handshake"));
  co_return *state;
}

Task<std::expected<void, Error>> Stream::flush(Deadline deadline) {
  const std::string output = engine_->take_output();
  if (output.empty()) co_return std::expected<void, Error>{};
  auto sent = co_await socket_->send(output, deadline);
  if (!sent) send_failed_ = true;
  co_return sent;
}

Task<std::expected<void, Error>> Stream::flush_provoked(Deadline deadline) {
  sending_ = true;
  auto flushed = co_await flush(deadline);
  give_sending_side();
  co_return flushed;
}

void Stream::give_sending_side() noexcept {
  // Handed over while still taken: nobody may slip in before the waiter runs.
  if (sending_waiter_)
    std::exchange(sending_waiter_, nullptr)->open();
  else
    sending_ = false;
}

Task<void> Stream::close(bool reset) {
  release_input();
  if (engine_ && !reset && !sending_ && !send_failed_ && socket_->is_open()) {
    engine_->shutdown();
    const Deadline soon = reactor::Reactor::current().now() + kFarewellTimeout;
    auto flushed = co_await flush(soon);
    (void)flushed;  // a courtesy: the connection ends either way
  }
  co_await socket_->close(reset);
}

}  // namespace postern::stream
