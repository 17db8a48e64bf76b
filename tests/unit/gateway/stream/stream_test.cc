#include "gateway/stream/stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/run_task.h"
#include "tests/support/tls_certificates.h"
#include "tests/support/tls_client.h"

namespace postern::stream {
namespace {

using reactor::Deadline;
using reactor::Errc;
using reactor::Reactor;
using reactor::Scope;
using reactor::Socket;
using reactor::Task;
using test::TlsClientOptions;

/// Far enough that nothing waits for it in a test that passes.
Deadline later() {
  return Reactor::current().now() + std::chrono::seconds(60);
}

/// Two ends of one connection in the kernel: the stream under test, and its peer.
struct Pair {
  explicit Pair(const TlsClientOptions& options = {}) : client(options) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    auto socket = std::make_unique<Socket>();
    socket->adopt(ends[0], {}, {});
    stream = std::make_unique<Stream>(std::move(socket));
    peer.adopt(ends[1], {}, {});
  }

  Task<void> peer_says(std::string octets) {
    auto sent = co_await peer.send(octets, later());
    EXPECT_TRUE(sent) << sent.error().text();
  }
  /// What comes next on the wire; empty at the end.
  Task<std::string> peer_hears() {
    auto received = co_await peer.receive(later());
    std::string octets(received ? *received : std::string_view());
    peer.release_input();
    co_return octets;
  }
  /// The client's handshake; `hello_sent` if its first flight went another way.
  Task<void> shake(bool hello_sent = false) {
    while (!client.handshake()) {
      std::string flight = client.take_output();
      if (!hello_sent) co_await peer_says(std::move(flight));
      hello_sent = false;
      std::string answer = co_await peer_hears();
      if (answer.empty()) co_return;
      client.feed(answer);
    }
    std::string last = client.take_output();
    co_await peer_says(std::move(last));
  }
  /// Decrypted octets from the stream until `octets` of them came, or the end.
  Task<std::string> client_reads(std::size_t octets) {
    std::string text = client.read();
    while (text.size() < octets) {
      std::string wire = co_await peer_hears();
      if (wire.empty()) break;
      client.feed(wire);
      text += client.read();
    }
    co_return text;
  }
  /// Plaintext out of the stream until `octets` of it came, or an error.
  Task<std::string> stream_reads(std::size_t octets) {
    std::string text;
    while (text.size() < octets) {
      auto received = co_await stream->receive(later());
      if (!received) {
        error = received.error();
        break;
      }
      EXPECT_FALSE(received->empty());
      EXPECT_LE(received->size(), Stream::kDecryptOctetsMax);
      text += *received;
      stream->release_input();
    }
    co_return text;
  }
  Task<void> start_tls(std::string already_received = {}) {
    Scope scope;
    scope.spawn(shake(!already_received.empty()));
    auto started = co_await stream->start_tls(test::plain_contexts(), later(), std::move(already_received));
    EXPECT_TRUE(started) << started.error().text();
    if (started) established = *started;
    co_await scope.join();
  }
  Task<void> close() {
    co_await stream->close();
    co_await peer.close();
  }

  std::unique_ptr<Stream> stream;
  Socket peer;
  test::TlsClient client;
  tls::Established established;
  reactor::Error error;
};

Task<void> plaintext_body() {
  Pair pair;
  EXPECT_FALSE(pair.stream->is_tls());
  co_await pair.peer_says("EHLO a.example\r\n");
  std::string heard = co_await pair.stream_reads(16);
  EXPECT_EQ(heard, "EHLO a.example\r\n");
  auto sent = co_await pair.stream->send("250 fine\r\n", later());
  EXPECT_TRUE(sent);
  std::string answer = co_await pair.peer_hears();
  EXPECT_EQ(answer, "250 fine\r\n");
  co_await pair.stream->close();
  std::string end = co_await pair.peer_hears();
  EXPECT_EQ(end, "");
  co_await pair.close();
}
TEST(Stream, CarriesPlaintext) {
  test::run(plaintext_body());
}

Task<void> encrypted_body(int version) {
  Pair pair({.server_name = "one.example", .version_min = version, .version_max = version});
  co_await pair.start_tls();
  EXPECT_TRUE(pair.stream->is_tls());
  EXPECT_EQ(pair.established.version, version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
  EXPECT_EQ(pair.established.server_name, "one.example");
  std::string group = pair.client.encrypted("EHLO a.example\r\n");
  group += pair.client.encrypted("NOOP\r\n");
  co_await pair.peer_says(std::move(group));
  std::string heard = co_await pair.stream_reads(22);
  EXPECT_EQ(heard, "EHLO a.example\r\nNOOP\r\n");
  auto sent = co_await pair.stream->send("250 fine\r\n", later());
  EXPECT_TRUE(sent);
  std::string answer = co_await pair.client_reads(10);
  EXPECT_EQ(answer, "250 fine\r\n");
  co_await pair.close();
}
TEST(Stream, CarriesTls13) {
  test::run(encrypted_body(TLS1_3_VERSION));
}
TEST(Stream, CarriesTls12) {
  test::run(encrypted_body(TLS1_2_VERSION));
}

Task<void> large_body() {
  Pair pair;
  co_await pair.start_tls();
  std::string text;
  for (int i = 0; i < 1'500'000; ++i) text.push_back(static_cast<char>('a' + i % 23));
  Scope scope;
  scope.spawn(pair.peer_says(pair.client.encrypted(text)));
  std::string heard = co_await pair.stream_reads(text.size());
  EXPECT_TRUE(heard == text);
  co_await scope.join();

  auto send = [](Stream& stream, std::string_view octets) -> Task<void> {
    auto sent = co_await stream.send(octets, later());
    EXPECT_TRUE(sent);
  };
  scope.spawn(send(*pair.stream, text));
  std::string answer = co_await pair.client_reads(text.size());
  EXPECT_TRUE(answer == text);
  co_await scope.join();
  co_await pair.close();
}
TEST(Stream, CarriesMoreThanItsBuffers) {
  test::run(large_body());
}

Task<void> both_ways_body() {
  Pair pair;
  co_await pair.start_tls();
  constexpr std::size_t kOctets = 600'000;
  const std::string text(kOctets, 'x');
  Scope scope;
  auto send = [](Stream& stream, std::string_view octets) -> Task<void> {
    auto sent = co_await stream.send(octets, later());
    EXPECT_TRUE(sent);
  };
  auto hear = [](Pair& there, std::size_t octets) -> Task<void> {
    std::string heard = co_await there.client_reads(octets);
    EXPECT_EQ(heard.size(), octets);
  };
  scope.spawn(pair.peer_says(pair.client.encrypted(text)));
  scope.spawn(send(*pair.stream, text));
  scope.spawn(hear(pair, kOctets));
  std::string heard = co_await pair.stream_reads(kOctets);
  EXPECT_TRUE(heard == text);
  co_await scope.join();
  co_await pair.close();
}
TEST(Stream, ReceivesWhileItSends) {
  test::run(both_ways_body());
}

Task<void> already_received_body(std::size_t split) {
  Pair pair;
  (void)pair.client.handshake();
  const std::string hello = pair.client.take_output();
  co_await pair.peer_says(hello.substr(split));
  co_await pair.start_tls(hello.substr(0, split));
  co_await pair.peer_says(pair.client.encrypted("NOOP\r\n"));
  std::string heard = co_await pair.stream_reads(6);
  EXPECT_EQ(heard, "NOOP\r\n");
  co_await pair.close();
}
TEST(Stream, OctetsThatCameEarlyBelongToTheHandshake) {
  for (const std::size_t split : {1UL, 4UL, 5UL, 6UL, 100UL, 150UL}) {
    SCOPED_TRACE(split);
    test::run(already_received_body(split));
  }
}

// CVE-2011-0411: a command sent in the clear behind STARTTLS must not come out of receive().
Task<void> injection_body() {
  Pair pair;
  (void)pair.client.handshake();
  co_await pair.peer_says(pair.client.take_output());
  auto started = co_await pair.stream->start_tls(test::plain_contexts(), later(), "RSET\r\nMAIL FROM:<>\r\n");
  EXPECT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::tls);
  EXPECT_EQ(started.error().context, "wrong version number");
  EXPECT_TRUE(pair.stream->is_tls());  // and never again plaintext
  auto received = co_await pair.stream->receive(later());
  EXPECT_FALSE(received);
  EXPECT_EQ(received.error().code, Errc::tls);
  auto sent = co_await pair.stream->send("250 fine\r\n", later());
  EXPECT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Errc::tls);
  auto again = co_await pair.stream->start_tls(test::plain_contexts(), later());
  EXPECT_FALSE(again);
  EXPECT_EQ(again.error().context, "TLS is on already");
  co_await pair.close();
}
TEST(Stream, PlaintextBehindStarttlsIsNeverExecuted) {
  test::run(injection_body());
}

Task<void> alert_body() {
  Pair pair({.version_min = TLS1_VERSION, .version_max = TLS1_1_VERSION});
  (void)pair.client.handshake();
  co_await pair.peer_says(pair.client.take_output());
  auto started = co_await pair.stream->start_tls(test::plain_contexts(), later());
  EXPECT_FALSE(started);
  EXPECT_EQ(started.error().context, "unsupported protocol");
  std::string alert = co_await pair.peer_hears();
  EXPECT_EQ(alert.substr(0, 1), "\x15");
  co_await pair.close();
}
TEST(Stream, AFailedHandshakeIsExplainedToThePeer) {
  test::run(alert_body());
}

Task<void> dribble(Pair& pair, std::string octets) {
  for (const char octet : octets) {
    co_await pair.peer_says(std::string(1, octet));
    co_await Reactor::current().yield();
  }
}

Task<void> dribble_body() {
  Pair pair;
  (void)pair.client.handshake();
  Scope scope;
  scope.spawn(dribble(pair, pair.client.take_output()));
  auto rest = [](Pair& there) -> Task<void> { co_await there.shake(true); };
  scope.spawn(rest(pair));
  auto started = co_await pair.stream->start_tls(test::plain_contexts(), later());
  EXPECT_TRUE(started);
  co_await scope.join();
  std::string wire = pair.client.encrypted("NOOP\r\n");
  scope.spawn(dribble(pair, wire));
  std::string heard = co_await pair.stream_reads(6);
  EXPECT_EQ(heard, "NOOP\r\n");
  co_await scope.join();
  co_await pair.close();
}
TEST(Stream, TakesOctetsOneByOne) {
  test::run(dribble_body());
}

Task<void> late_body(std::string already_received) {
  Pair pair;
  const Deadline past = Reactor::current().now() - std::chrono::seconds(1);
  auto started = co_await pair.stream->start_tls(test::plain_contexts(), past, std::move(already_received));
  EXPECT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::timed_out);
  EXPECT_TRUE(started.error().context.starts_with("tls handshake")) << started.error().context;
  co_await pair.close();
}
TEST(Stream, TheDeadlineCoversTheHandshake) {
  test::run(late_body(""));
  test::TlsClient client;
  (void)client.handshake();
  test::run(late_body(client.take_output()));
}

Task<void> hang_up_body() {
  Pair pair;
  (void)pair.client.handshake();
  co_await pair.peer_says(pair.client.take_output().substr(0, 50));
  co_await pair.peer.close();
  auto started = co_await pair.stream->start_tls(test::plain_contexts(), later());
  EXPECT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::end_of_stream);
  co_await pair.close();
}
TEST(Stream, APeerMayHangUpDuringTheHandshake) {
  test::run(hang_up_body());
}

Task<void> end_body(bool close_notify) {
  Pair pair;
  co_await pair.start_tls();
  std::string farewell = pair.client.encrypted("QUIT\r\n");
  if (close_notify) farewell += pair.client.close_notify();
  co_await pair.peer_says(std::move(farewell));
  if (!close_notify) {
    std::string ticket = co_await pair.peer_hears();  // closing over unread octets would be a reset
    EXPECT_NE(ticket, "");
    co_await pair.peer.close();
  }
  std::string heard = co_await pair.stream_reads(100);
  EXPECT_EQ(heard, "QUIT\r\n");
  EXPECT_EQ(pair.error.code, Errc::end_of_stream);
  std::string nothing = co_await pair.stream_reads(100);
  EXPECT_EQ(nothing, "");
  EXPECT_EQ(pair.error.code, Errc::end_of_stream);
  if (close_notify) {
    auto sent = co_await pair.stream->send("221 bye\r\n", later());
    EXPECT_TRUE(sent);
    co_await pair.stream->close();
    std::string wire = co_await pair.peer_hears();
    pair.client.feed(wire);
    EXPECT_EQ(pair.client.read(), "221 bye\r\n");
  }
  co_await pair.close();
}
TEST(Stream, CloseNotifyIsTheEndOfTheStream) {
  test::run(end_body(true));
}
TEST(Stream, AnEndWithoutCloseNotifyIsTheSame) {
  test::run(end_body(false));
}

Task<void> farewell_body(bool reset) {
  Pair pair;
  co_await pair.start_tls();
  std::string tickets = co_await pair.client_reads(0);
  co_await pair.stream->close(reset);
  co_await pair.stream->close(reset);  // idempotent
  std::string rest = co_await pair.client_reads(1);
  EXPECT_EQ(rest, "");
  EXPECT_EQ(pair.client.saw_close_notify(), !reset);
  co_await pair.close();
}
TEST(Stream, ClosesWithCloseNotify) {
  test::run(farewell_body(false));
}
TEST(Stream, ResetsWithoutIt) {
  test::run(farewell_body(true));
}

Task<void> damaged_body() {
  Pair pair;
  co_await pair.start_tls();
  std::string wire = pair.client.encrypted("NOOP\r\n");
  wire += pair.client.encrypted("RSET\r\n");
  wire.back() = static_cast<char>(wire.back() ^ 1);
  co_await pair.peer_says(std::move(wire));
  std::string heard = co_await pair.stream_reads(100);
  EXPECT_EQ(heard, "NOOP\r\n");
  EXPECT_EQ(pair.error.code, Errc::tls);
  co_await pair.stream->close();
  std::string rest = co_await pair.client_reads(1);
  EXPECT_EQ(pair.client.last_reason(), "sslv3 alert bad record mac");
  co_await pair.close();
}
TEST(Stream, ADamagedRecordIsTlsTroubleAndToldAtTheClose) {
  test::run(damaged_body());
}

Task<void> renegotiation_body() {
  Pair pair({.version_max = TLS1_2_VERSION});
  co_await pair.start_tls();
  SSL_renegotiate(pair.client.ssl());
  (void)pair.client.handshake();
  co_await pair.peer_says(pair.client.take_output());
  Scope scope;
  auto wait = [](Pair& there) -> Task<void> {
    std::string nothing = co_await there.stream_reads(1);
    EXPECT_EQ(nothing, "");
    EXPECT_EQ(there.error.code, Errc::cancelled);
  };
  scope.spawn(wait(pair));
  // The refusal comes while the stream does nothing but receive.
  std::string refusal = co_await pair.peer_hears();
  EXPECT_EQ(refusal.substr(0, 1), "\x15");
  pair.stream->socket().cancel_receive();
  co_await scope.join();
  auto sent = co_await pair.stream->send("250 fine\r\n", later());
  EXPECT_TRUE(sent);
  co_await pair.close();
}
TEST(Stream, AnswersWhatAPeerProvokesWhileReceiving) {
  test::run(renegotiation_body());
}

Task<void> not_reading_body() {
  Pair pair;
  co_await pair.start_tls();
  const std::string text(8'000'000, 'x');
  const Deadline past = Reactor::current().now() + std::chrono::milliseconds(1);
  auto sent = co_await pair.stream->send(text, past);
  EXPECT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Errc::timed_out);
  // A record was cut: close() adds nothing to it, and does not wait.
  const auto before = Reactor::current().now();
  co_await pair.stream->close();
  EXPECT_LT(Reactor::current().now() - before, Stream::kFarewellTimeout);
  co_await pair.close();
}
TEST(Stream, APeerThatDoesNotReadEndsAtTheDeadline) {
  test::run(not_reading_body());
}

Task<void> one_of_many(std::shared_ptr<int> finished) {
  Pair pair;
  co_await pair.start_tls();
  ++*finished;
  co_await pair.close();
}
Task<void> many_body() {
  constexpr int kSessions = 20;
  auto finished = std::make_shared<int>(0);
  Scope scope;
  for (int i = 0; i < kSessions; ++i) scope.spawn(one_of_many(finished));
  co_await scope.join();
  EXPECT_EQ(*finished, kSessions);
}
TEST(Stream, ManyHandshakesShareFewSlots) {
  auto options = test::small_reactor();
  options.handshakes_per_turn_max = 1;
  test::run(many_body(), options);
}

Task<void> cancelled_body() {
  Pair pair;
  co_await pair.start_tls();
  auto wait = [](Pair& there) -> Task<void> {
    std::string nothing = co_await there.stream_reads(1);
    EXPECT_EQ(there.error.code, Errc::cancelled);
  };
  Scope scope;
  scope.spawn(wait(pair));
  pair.stream->socket().cancel();
  co_await scope.join();
  co_await pair.close();
}
TEST(Stream, CancellingTheSocketEndsTheWait) {
  test::run(cancelled_body());
}

}  // namespace
}  // namespace postern::stream
