#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

using std::chrono::milliseconds;
using testing::in;
using testing::never_in_a_test;
using testing::outcome;
using testing::received;

Address loopback(std::string_view host = "127.0.0.1:0") {
  return *Address::parse(host);
}

Task<void> accept_one(Listener& listener, Socket& socket) {
  auto accepted = co_await listener.accept();
  EXPECT_EQ(outcome(accepted), "ok");
  if (accepted) socket.adopt(accepted->descriptor, accepted->local, accepted->peer);
}

Task<void> connects(Address where, Address from) {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(where, options);
  EXPECT_EQ(outcome(bound), "ok") << (bound ? "" : bound.error().text());
  if (!bound) co_return;
  Scope scope;
  Socket server, client;
  scope.spawn(accept_one(listener, server));
  const Address to = listener.local();
  const auto connected = co_await client.connect(to, never_in_a_test(), from);
  EXPECT_EQ(outcome(connected), "ok") << (connected ? "" : connected.error().text());
  co_await scope.join();
  EXPECT_TRUE(client.is_open());
  EXPECT_EQ(client.peer(), to);
  EXPECT_EQ(server.local(), to);
  if (!where.is_unix()) {
    EXPECT_NE(client.local().port, 0);
    EXPECT_EQ(server.peer(), client.local());
    if (!from.ip.empty()) {
      EXPECT_EQ(client.local().ip, from.ip);
    }
  }
  const auto sent = co_await client.send("hello", never_in_a_test());
  EXPECT_EQ(outcome(sent), "ok");
  const auto input = co_await server.receive(never_in_a_test());
  EXPECT_EQ(received(input), "hello");
  co_await client.close();
  const auto end = co_await server.receive(never_in_a_test());
  EXPECT_EQ(received(end), "<end of stream>");
  co_await server.close();
  co_await listener.close();
}

bool has_ipv6_loopback() {
  const int descriptor = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  ::close(descriptor);
  bool usable = false;
  const auto tries = [](bool* result) -> Task<void> {
    Listener listener;
    const ListenOptions options;
    *result = listener.bind(*Address::parse("[::1]:0"), options).has_value();
    co_await listener.close();
  };
  test::run(tries(&usable));
  return usable;
}

TEST(Connect, IPv4) {
  test::run(connects(loopback(), Address()));
}

TEST(Connect, IPv4FromAGivenAddress) {
  test::run(connects(loopback(), loopback("127.0.0.9:0")));
}

TEST(Connect, IPv6) {
  if (!has_ipv6_loopback()) GTEST_SKIP() << "no IPv6 on this machine";
  test::run(connects(loopback("[::1]:0"), Address()));
}

TEST(Connect, UnixSocket) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("postern_connect_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  test::run(connects(loopback("unix:" + (folder / "s").string()), Address()));
  EXPECT_FALSE(std::filesystem::exists(folder / "s"));
  std::filesystem::remove_all(folder);
}

Task<void> refused() {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(loopback(), options);
  EXPECT_EQ(outcome(bound), "ok");
  const Address nobody = listener.local();
  co_await listener.close();
  Socket client;
  const auto connected = co_await client.connect(nobody, never_in_a_test());
  EXPECT_FALSE(connected.has_value());
  if (!connected) {
    EXPECT_EQ(connected.error().system_error, ECONNREFUSED);
    EXPECT_EQ(connected.error().text(), "connect " + nobody.text() + ": Connection refused");
  }
  EXPECT_FALSE(client.is_open());

  // The same object may try the next host.
  const auto again = co_await client.connect(loopback("unix:/nonexistent/postern"), never_in_a_test());
  EXPECT_FALSE(again.has_value());
  const auto wrong_source = co_await client.connect(nobody, never_in_a_test(), loopback("203.0.113.77:0"));
  EXPECT_FALSE(wrong_source.has_value());
  if (!wrong_source) {
    EXPECT_EQ(wrong_source.error().system_error, EADDRNOTAVAIL);
  }
  co_await client.close();
}

TEST(Connect, SaysWhoRefused) {
  test::run(refused());
}

/// A connect that cannot finish: the listener's queue is full.
Task<void> never_answered(bool by_cancel) {
  Listener listener;
  ListenOptions options;
  options.backlog = 0;
  const auto bound = listener.bind(loopback(), options);
  EXPECT_EQ(outcome(bound), "ok");
  std::vector<std::unique_ptr<Socket>> clients;
  Scope scope;
  std::vector<std::string> results(5);
  const auto connect_one = [](Socket* socket, Address to, Deadline deadline,
                              std::string* result) -> Task<void> {
    const auto connected = co_await socket->connect(to, deadline);
    *result = outcome(connected);
  };
  for (std::string& result : results) {
    clients.push_back(std::make_unique<Socket>());
    const Deadline deadline = by_cancel ? never_in_a_test() : in(milliseconds(50));
    scope.spawn(connect_one(clients.back().get(), listener.local(), deadline, &result));
  }
  if (by_cancel) {
    const auto slept = co_await Reactor::current().sleep_until(in(milliseconds(50)));
    EXPECT_TRUE(slept.has_value());
    for (const auto& client : clients) client->cancel();
  }
  co_await scope.join();
  EXPECT_EQ(results.back(), by_cancel ? "cancelled" : "timed out");
  for (const auto& client : clients) co_await client->close();
  co_await listener.close();
}

TEST(Connect, KeepsItsDeadline) {
  test::run(never_answered(false));
}
TEST(Connect, CanBeCancelled) {
  test::run(never_answered(true));
}

Task<void> resets() {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(loopback(), options);
  EXPECT_EQ(outcome(bound), "ok");
  Scope scope;
  Socket server, client;
  scope.spawn(accept_one(listener, server));
  const Address to = listener.local();
  const auto connected = co_await client.connect(to, never_in_a_test());
  EXPECT_EQ(outcome(connected), "ok");
  co_await scope.join();
  co_await server.close(true);
  const auto input = co_await client.receive(never_in_a_test());
  EXPECT_EQ(received(input), "<connection reset>");
  co_await client.close();
  co_await listener.close();
}

Task<void> closes_over_unread_input() {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(loopback(), options);
  EXPECT_EQ(outcome(bound), "ok");
  Scope scope;
  Socket server, client;
  scope.spawn(accept_one(listener, server));
  const Address to = listener.local();
  const auto connected = co_await client.connect(to, never_in_a_test());
  EXPECT_EQ(outcome(connected), "ok");
  co_await scope.join();
  const std::string pipelined(100'000, 'p');
  const auto sent = co_await client.send(pipelined, never_in_a_test());
  EXPECT_EQ(outcome(sent), "ok");
  const std::string_view reply = "421 4.7.0 bye\r\n";
  const auto replied = co_await server.send(reply, never_in_a_test());
  EXPECT_EQ(outcome(replied), "ok");
  co_await server.close();
  const auto input = co_await client.receive(never_in_a_test());
  EXPECT_EQ(received(input), reply);
  const auto end = co_await client.receive(never_in_a_test());
  EXPECT_EQ(received(end), "<end of stream>");
  co_await client.close();
  co_await listener.close();
}

TEST(Connect, ClosingOverUnreadInputDoesNotReset) {
  test::run(closes_over_unread_input());
}

TEST(Connect, AbortiveCloseIsSeenAsReset) {
  test::run(resets());
}

}  // namespace
}  // namespace postern::reactor
