#include "gateway/reactor/buffers.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

using std::chrono::milliseconds;
using testing::in;
using testing::never_in_a_test;
using testing::Pair;
using testing::receive_into;
using testing::received;

constexpr std::size_t kHolders = 4;

ReactorOptions four_buffers() {
  ReactorOptions options = test::small_reactor();
  options.buffers = kHolders;
  options.buffer_octets = 512;
  return options;
}

/// As many sockets as there are buffers, each holding one.
Task<void> hold_all(std::vector<std::unique_ptr<Pair>>* holders) {
  for (std::size_t i = 0; i < kHolders; ++i) {
    auto pair = std::make_unique<Pair>();
    pair->write("held");
    const auto input = co_await pair->socket.receive(never_in_a_test());
    EXPECT_EQ(received(input), "held");
    holders->push_back(std::move(pair));
  }
}

Task<void> close_all(std::vector<std::unique_ptr<Pair>>* pairs) {
  for (const auto& pair : *pairs) co_await pair->socket.close();
}

Task<void> let_turns_pass(int turns) {
  for (int i = 0; i < turns; ++i) co_await Reactor::current().yield();
}

Task<void> starved_receivers_wait_their_turn(ReactorCounters* counters) {
  std::vector<std::unique_ptr<Pair>> holders, starved;
  co_await hold_all(&holders);
  Scope scope;
  std::vector<std::string> results(10);
  for (std::string& result : results) {
    starved.push_back(std::make_unique<Pair>());
    starved.back()->write("octets");
    scope.spawn(receive_into(starved.back()->socket, never_in_a_test(), result));
  }
  co_await let_turns_pass(3);
  for (const std::string& result : results) EXPECT_EQ(result, "");

  // They wait in the queue: turns go by without a submission of theirs.
  const std::uint64_t before = Reactor::current().counters().submissions;
  co_await let_turns_pass(50);
  EXPECT_EQ(Reactor::current().counters().submissions, before);

  holders[1]->socket.release_input();
  co_await scope.join();  // each gives its buffer back when it is done, and the next gets it
  for (const std::string& result : results) EXPECT_EQ(result, "octets");
  co_await close_all(&holders);
  co_await close_all(&starved);
  *counters = Reactor::current().counters();
}

TEST(Buffers, StarvedReceiversWaitUntilOneIsReturned) {
  ReactorCounters counters;
  test::run(starved_receivers_wait_their_turn(&counters), four_buffers());
  EXPECT_GE(counters.buffers_exhausted, 10U);
}

Task<void> starved_receivers_can_be_ended() {
  std::vector<std::unique_ptr<Pair>> holders;
  co_await hold_all(&holders);
  Scope scope;
  Pair cancelled, timed_out, closed, patient;
  std::string cancelled_result, timed_out_result, closed_result, patient_result;
  for (const Pair* pair : {&cancelled, &timed_out, &closed, &patient}) pair->write("octets");
  scope.spawn(receive_into(cancelled.socket, never_in_a_test(), cancelled_result));
  scope.spawn(receive_into(timed_out.socket, in(milliseconds(10)), timed_out_result));
  scope.spawn(receive_into(closed.socket, never_in_a_test(), closed_result));
  scope.spawn(receive_into(patient.socket, never_in_a_test(), patient_result));
  co_await let_turns_pass(3);
  cancelled.socket.cancel_receive();
  co_await closed.socket.close();
  EXPECT_EQ(closed_result, "<cancelled>");
  const auto slept = co_await Reactor::current().sleep_until(in(milliseconds(20)));
  EXPECT_TRUE(slept.has_value());
  EXPECT_EQ(cancelled_result, "<cancelled>");
  EXPECT_EQ(timed_out_result, "<timed out>");
  EXPECT_EQ(patient_result, "");
  holders[0]->socket.release_input();
  co_await scope.join();
  EXPECT_EQ(patient_result, "octets");
  co_await close_all(&holders);
  for (Pair* pair : {&cancelled, &timed_out, &patient}) co_await pair->socket.close();
}

TEST(Buffers, StarvedReceiversKeepTheirDeadlinesAndCancellation) {
  test::run(starved_receivers_can_be_ended(), four_buffers());
}

Task<void> more_senders_than_offered(ReactorCounters* counters) {
  // The kernel is offered part of the buffers at first: a burst gets the rest without counting as exhausted.
  std::vector<std::unique_ptr<Pair>> pairs;
  Scope scope;
  std::vector<std::string> results(1000);
  for (std::string& result : results) {
    pairs.push_back(std::make_unique<Pair>());
    pairs.back()->write("octets");
    scope.spawn(receive_into(pairs.back()->socket, never_in_a_test(), result));
  }
  co_await scope.join();
  for (const std::string& result : results) EXPECT_EQ(result, "octets");
  co_await close_all(&pairs);
  *counters = Reactor::current().counters();
}

TEST(Buffers, ABurstIsServedFromTheReserve) {
  ReactorOptions options = test::small_reactor();
  options.buffers = 1024;
  options.buffer_octets = 512;
  ReactorCounters counters;
  test::run(more_senders_than_offered(&counters), options);
  EXPECT_EQ(counters.buffers_exhausted, 0U);
}

Task<void> a_text_larger_than_a_buffer() {
  Pair pair;
  const std::string text(3000, 't');
  pair.write(text);
  std::string all;
  while (all.size() < text.size()) {
    const auto input = co_await pair.socket.receive(never_in_a_test());
    if (!input) break;
    EXPECT_LE(input->size(), 512U);
    EXPECT_FALSE(input->empty());
    all += *input;
  }
  EXPECT_EQ(all, text);
  co_await pair.socket.close();
}

TEST(Buffers, ALargeTextComesInPieces) {
  test::run(a_text_larger_than_a_buffer(), four_buffers());
}

}  // namespace
}  // namespace postern::reactor
