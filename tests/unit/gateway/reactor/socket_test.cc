#include "gateway/reactor/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

using std::chrono::milliseconds;
using testing::in;
using testing::never_in_a_test;
using testing::outcome;
using testing::Pair;
using testing::receive_into;
using testing::received;
using testing::send_into;

Task<void> dialogue() {
  Pair pair;
  pair.write("HELO client.example\r\n");
  auto input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "HELO client.example\r\n");
  pair.socket.release_input();
  pair.socket.release_input();  // nothing held any more
  const std::string reply = "250 mx.example\r\n";
  const auto sent = co_await pair.socket.send(reply, never_in_a_test());
  EXPECT_EQ(outcome(sent), "ok");
  EXPECT_EQ(pair.read(), reply);

  // Without release_input(): the next receive() gives the last buffer back.
  for (int i = 0; i < 200; ++i) {
    pair.write("NOOP\r\n");
    input = co_await pair.socket.receive(never_in_a_test());
    EXPECT_EQ(received(input), "NOOP\r\n");
  }
  pair.write("QUIT\r\n");
  pair.hang_up();
  input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "QUIT\r\n");  // what was sent before the end is not lost
  input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "<end of stream>");
  co_await pair.socket.close();
  EXPECT_FALSE(pair.socket.is_open());
  co_await pair.socket.close();  // idempotent
}

TEST(Socket, CarriesADialogue) {
  test::run(dialogue());
}

Task<void> late_input() {
  Pair pair;
  Scope scope;
  std::string result;
  scope.spawn(receive_into(pair.socket, never_in_a_test(), result));
  co_await Reactor::current().yield();
  EXPECT_EQ(result, "");
  EXPECT_FALSE(pair.socket.input_waiting());
  pair.write("late");
  co_await scope.join();
  EXPECT_EQ(result, "late");
  co_await pair.socket.close();
}

TEST(Socket, WaitsForInput) {
  test::run(late_input());
}

Task<void> non_blocking_descriptor() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  Socket socket;
  socket.adopt(ends[0], Address(), Address());
  Scope scope;
  std::string result;
  scope.spawn(receive_into(socket, never_in_a_test(), result));
  co_await Reactor::current().yield();
  EXPECT_EQ(::send(ends[1], "x", 1, 0), 1);
  co_await scope.join();
  EXPECT_EQ(result, "x");
  co_await socket.close();
  ::close(ends[1]);
}

TEST(Socket, AdoptsANonBlockingDescriptor) {
  test::run(non_blocking_descriptor());
}

Task<void> deadlines() {
  Pair pair;
  const Deadline deadline = in(milliseconds(5));
  auto input = co_await pair.socket.receive(deadline);
  EXPECT_EQ(received(input), "<timed out>");
  EXPECT_GE(Clock::now(), deadline);
  input = co_await pair.socket.receive(in(milliseconds(-5)));
  EXPECT_EQ(received(input), "<timed out>");

  // The socket is as good as before.
  pair.write("still there");
  input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "still there");

  // More than the peer's queue takes while nobody reads.
  const std::string much(8U << 20, 'm');
  const auto sent = co_await pair.socket.send(much, in(milliseconds(5)));
  EXPECT_EQ(outcome(sent), "timed out");
  co_await pair.socket.close();
}

TEST(Socket, KeepsDeadlines) {
  test::run(deadlines());
}

Task<void> drain(int descriptor, std::size_t octets, std::size_t* total) {
  std::string buffer(65536, '\0');
  while (*total < octets) {
    const ssize_t size = ::recv(descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) *total += static_cast<std::size_t>(size);
    co_await Reactor::current().yield();
  }
}

Task<void> large_send() {
  Pair pair;
  Scope scope;
  const std::string much(5U << 20, 'm');
  std::size_t total = 0;
  scope.spawn(drain(pair.peer, much.size(), &total));
  const auto sent = co_await pair.socket.send(much, never_in_a_test());
  EXPECT_EQ(outcome(sent), "ok");
  co_await scope.join();
  EXPECT_EQ(total, much.size());
  const auto nothing = co_await pair.socket.send("", never_in_a_test());
  EXPECT_EQ(outcome(nothing), "ok");
  co_await pair.socket.close();
}

TEST(Socket, SendsAllOfALargeText) {
  test::run(large_send());
}

Task<void> peer_gone() {
  Pair pair;
  pair.hang_up();
  const auto sent = co_await pair.socket.send("250 OK\r\n", never_in_a_test());
  EXPECT_EQ(outcome(sent), "connection reset");
  co_await pair.socket.close();
}

TEST(Socket, NoticesThatThePeerIsGone) {
  test::run(peer_gone());
}

Task<void> cancel_receive() {
  Pair pair;
  pair.socket.cancel_receive();  // none waits: nothing happens
  Scope scope;
  std::string result;
  scope.spawn(receive_into(pair.socket, never_in_a_test(), result));
  co_await Reactor::current().yield();
  pair.socket.cancel_receive();
  pair.socket.cancel_receive();
  EXPECT_EQ(result, "");
  co_await scope.join();
  EXPECT_EQ(result, "<cancelled>");

  // The socket stays usable in both directions.
  const auto sent = co_await pair.socket.send("421 4.3.2\r\n", never_in_a_test());
  EXPECT_EQ(outcome(sent), "ok");
  pair.write("QUIT\r\n");
  const auto input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "QUIT\r\n");
  co_await pair.socket.close();
}

TEST(Socket, AReceiveCanBeEndedAlone) {
  test::run(cancel_receive());
}

Task<void> cancel_before_submission() {
  // Asked in the very turn in which the receive began: the kernel has not even seen it.
  Pair pair;
  Scope scope;
  std::string result;
  scope.spawn(receive_into(pair.socket, never_in_a_test(), result));
  pair.socket.cancel_receive();
  co_await scope.join();
  EXPECT_EQ(result, "<cancelled>");
  co_await pair.socket.close();
}

TEST(Socket, AReceiveCanBeEndedBeforeTheKernelSawIt) {
  test::run(cancel_before_submission());
}

Task<void> octets_win() {
  // Octets lie in the queue when the receive is ended: they must come out now or with the next receive, never
  // be lost.
  for (int round = 0; round < 50; ++round) {
    Pair pair;
    Scope scope;
    std::string first;
    scope.spawn(receive_into(pair.socket, never_in_a_test(), first));
    if (round % 2 == 0) co_await Reactor::current().yield();
    pair.write("octets");
    pair.socket.cancel_receive();
    co_await scope.join();
    if (first == "<cancelled>") {
      const auto again = co_await pair.socket.receive(never_in_a_test());
      first = received(again);
    }
    EXPECT_EQ(first, "octets");
    co_await pair.socket.close();
  }
}

TEST(Socket, AnEndedReceiveLosesNoOctets) {
  test::run(octets_win());
}

Task<void> whole_cancel(bool by_scope) {
  Pair pair;
  Scope tasks, owner;
  if (by_scope) owner.enrol(pair.socket);
  std::string receive_result, send_result;
  tasks.spawn(receive_into(pair.socket, never_in_a_test(), receive_result));
  tasks.spawn(send_into(pair.socket, std::string(8U << 20, 'm'), never_in_a_test(), send_result));
  co_await Reactor::current().yield();
  if (by_scope) {
    owner.cancel();
  } else {
    pair.socket.cancel();
  }
  co_await tasks.join();
  EXPECT_EQ(receive_result, "<cancelled>");
  EXPECT_EQ(send_result, "cancelled");
  // And later ones.
  pair.write("too late");
  const auto input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "<cancelled>");
  const auto sent = co_await pair.socket.send("x", never_in_a_test());
  EXPECT_EQ(outcome(sent), "cancelled");
  co_await pair.socket.close();
}

TEST(Socket, CancelEndsEverythingNowAndLater) {
  for (const bool by_scope : {false, true}) {
    SCOPED_TRACE(by_scope);
    test::run(whole_cancel(by_scope));
  }
}

Task<void> enrolled_in_a_cancelled_scope() {
  Scope owner;
  owner.cancel();
  Socket socket;
  owner.enrol(socket);
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  socket.adopt(ends[0], Address(), Address());
  const auto input = co_await socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "<cancelled>");
  co_await socket.close();
  ::close(ends[1]);
}

TEST(Socket, EnrollingInACancelledScopeHoldsForWhatIsAdoptedLater) {
  test::run(enrolled_in_a_cancelled_scope());
}

Task<void> close_while_busy() {
  auto pair = std::make_unique<Pair>();
  Scope scope;
  std::string receive_result, send_result;
  scope.spawn(receive_into(pair->socket, never_in_a_test(), receive_result));
  scope.spawn(send_into(pair->socket, std::string(8U << 20, 'm'), never_in_a_test(), send_result));
  const auto closer = [](Socket* socket) -> Task<void> { co_await socket->close(); };
  scope.spawn(closer(&pair->socket));
  co_await pair->socket.close();  // two at once
  co_await scope.join();
  EXPECT_EQ(receive_result, "<cancelled>");
  EXPECT_EQ(send_result, "cancelled");
  EXPECT_FALSE(pair->socket.is_open());
}

Task<void> held_input() {
  // The view is still held when the socket is closed: the buffer goes back all the same, which the reactor
  // checks at the end.
  Pair pair;
  pair.write("held");
  const auto input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "held");
  co_await pair.socket.close();
}

TEST(Socket, CloseGivesTheBufferBack) {
  test::run(held_input());
}

Task<void> early_talker() {
  Pair pair;
  EXPECT_FALSE(pair.socket.input_waiting());
  pair.write("EHLO early.example\r\n");
  EXPECT_TRUE(pair.socket.input_waiting());
  const auto input = co_await pair.socket.receive(never_in_a_test());
  EXPECT_EQ(received(input), "EHLO early.example\r\n");
  EXPECT_FALSE(pair.socket.input_waiting());
  pair.hang_up();
  EXPECT_TRUE(pair.socket.input_waiting());  // the end counts as well
  co_await pair.socket.close();
  EXPECT_FALSE(pair.socket.input_waiting());
}

TEST(Socket, KnowsWhetherInputWaits) {
  test::run(early_talker());
}

Task<void> both_directions_race() {
  // Two sockets of one reactor talk, while a third party cancels receives at random moments.
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Socket left, right;
  left.adopt(ends[0], Address(), Address());
  right.adopt(ends[1], Address(), Address());
  constexpr std::size_t kOctets = 2U << 20;
  Scope scope;
  std::string sent;
  scope.spawn(send_into(left, std::string(kOctets, 'd'), never_in_a_test(), sent));
  const auto disturber = [](Socket* socket, const std::size_t* total) -> Task<void> {
    unsigned state = 12345;
    while (*total < kOctets) {
      state = state * 1664525U + 1013904223U;
      if (state >> 31 != 0) socket->cancel_receive();
      co_await Reactor::current().yield();
    }
  };
  std::size_t total = 0;
  scope.spawn(disturber(&right, &total));
  while (total < kOctets) {
    const auto input = co_await right.receive(never_in_a_test());
    if (input) {
      total += input->size();
    } else {
      EXPECT_EQ(input.error().code, Errc::cancelled);
    }
    right.release_input();
  }
  co_await scope.join();
  EXPECT_EQ(sent, "ok");
  EXPECT_EQ(total, kOctets);
  co_await left.close();
  co_await right.close();
}

TEST(Socket, NoOctetIsLostOrDoubledUnderCancellation) {
  test::run(both_directions_race());
}

TEST(Socket, CloseEndsWhatIsInFlightFirst) {
  test::run(close_while_busy());
}

TEST(SocketDeathTest, MustBeClosedBeforeItDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto forgets = []() -> Task<void> {
    Scope scope;
    std::string result;
    auto pair = std::make_unique<Pair>();
    scope.spawn(receive_into(pair->socket, never_in_a_test(), result));
    pair.reset();
    co_await scope.join();
  };
  EXPECT_DEATH(test::run(forgets()), "check failed: !incoming.busy");
}

}  // namespace
}  // namespace postern::reactor
