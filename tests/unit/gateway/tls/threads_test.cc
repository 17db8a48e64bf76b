// Contexts and ticket keys are shared by all cores: handshakes on several threads at once, while keys rotate
// and snapshots are swapped.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/unit/gateway/tls/connection.h"

namespace postern::tls {
namespace {

TEST(Threads, ShareContextsAndTicketKeys) {
  constexpr int kThreads = 4;
  constexpr int kVisits = 20;
  const test::TemporaryFolder folder;
  const auto key = test::ec_key();
  const auto files = test::make_certificate(folder.path(), "one", key.get(), {.names = "DNS:one.example"});
  std::atomic<int> ticks = 0;
  // Every few uses of the keys are an hour, so the set rotates many times.
  const auto keys = std::make_shared<TicketKeys>(
      [&ticks] { return std::chrono::steady_clock::time_point(std::chrono::minutes(20) * ticks++); });
  const auto contexts = Contexts::load({files}, keys).value();
  std::atomic<int> finished = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      auto mine = contexts;
      auto before = std::make_unique<test::Connection>(mine);
      for (int visit = 0; visit < kVisits; ++visit) {
        test::TlsClientOptions options{.server_name = "one.example"};
        options.session = before->client.session();
        auto connection = std::make_unique<test::Connection>(mine, options);
        if (!connection->shake()) return;
        (void)connection->client.read();
        before = std::move(connection);
        if (visit % 5 == 0) mine = Contexts::load({files}, keys).value();
      }
      ++finished;
    });
  }
  threads.clear();
  EXPECT_EQ(finished, kThreads);
}

}  // namespace
}  // namespace postern::tls
