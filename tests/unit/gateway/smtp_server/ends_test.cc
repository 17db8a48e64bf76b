// How visits end from outside: timeouts, drain, cancel, peers that go or do not read.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/unit/gateway/smtp_server/phases.h"

namespace postern::test {
namespace {

using namespace std::chrono_literals;

/// A fixture that a test can make once for every phase.
class Server : public SmtpServerTest {
 public:
  using SmtpServerTest::bodies;
  using SmtpServerTest::cancel;
  using SmtpServerTest::connect;
  using SmtpServerTest::connections_become;
  using SmtpServerTest::counters;
  using SmtpServerTest::drain;
  using SmtpServerTest::finished_within;
  using SmtpServerTest::house;
  using SmtpServerTest::log_text;
  using SmtpServerTest::registry;
  using SmtpServerTest::release;
  using SmtpServerTest::start;
  using SmtpServerTest::still_serving;
  using SmtpServerTest::stop;
  void TestBody() override {}
};

std::unique_ptr<Server> started(const Phase& phase) {
  auto server = std::make_unique<Server>();
  phase.prepare(server->house);
  server->start();
  return server;
}

class Ends : public SmtpServerTest {};

// Drain.

TEST(Phases, DrainEndsEachVisitAtItsNextBoundary) {
  for (const Phase& phase : kPhases) {
    SCOPED_TRACE(phase.name);
    auto server = started(phase);
    Client client = server->connect();
    phase.reach(client, server->house);
    std::this_thread::sleep_for(20ms);
    server->drain();
    if (!phase.after_release.empty()) {
      EXPECT_TRUE(client.hears_nothing(50ms)) << "what has begun may be finished";
      EXPECT_TRUE(server->still_serving());
      client.send(phase.after_release);
    }
    if (phase.held) {
      EXPECT_TRUE(client.hears_nothing(50ms));
      server->release();
    }
    const std::string heard = client.rest();
    if (phase.name != "before the ClientHello") {
      EXPECT_EQ(heard, phase.drained);
    }
    EXPECT_TRUE(server->finished_within());
    EXPECT_FALSE(server->connect().connected()) << "nobody listens any more";
  }
}

TEST(Phases, DrainNeverLosesAMessagePastTheFinalDot) {
  auto server = std::make_unique<Server>();
  server->house.hold(smtp::Stage::message);
  server->start();
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(server->connect());
    phase::in_data(clients.back(), server->house);
    clients.back().send("age\r\n.\r\n");
  }
  ASSERT_TRUE(server->house.wait_until_held(20));
  server->drain();
  EXPECT_FALSE(server->finished_within(0s));
  server->release();
  for (Client& client : clients) EXPECT_EQ(client.rest(), phase::kTakenAndBye);
}

// Cancel.

TEST(Phases, CancelEndsEachVisitWhereverItStands) {
  for (const Phase& phase : kPhases) {
    SCOPED_TRACE(phase.name);
    auto server = started(phase);
    Client client = server->connect();
    phase.reach(client, server->house);
    std::this_thread::sleep_for(20ms);
    server->cancel();
    if (phase.held) {
      EXPECT_FALSE(server->finished_within(0s)) << "what the house does is waited for";
      server->release();
    }
    EXPECT_TRUE(server->finished_within(2s));
    EXPECT_EQ(server->counters().operations_in_flight, 0U);
    EXPECT_EQ(server->counters().buffers_in_use, 0U);
    EXPECT_EQ(client.rest().find("STILL OPEN"), std::string::npos);
    server->stop();  // which checks frames, bodies and admission
  }
}

TEST(Phases, CancelAfterDrainEndsWhatIsLeft) {
  const Phase& in_data = kPhases[8];
  ASSERT_EQ(in_data.name, "inside DATA");
  auto server = started(in_data);
  Client client = server->connect();
  in_data.reach(client, server->house);
  server->drain();
  EXPECT_TRUE(client.hears_nothing(50ms));
  server->cancel();
  EXPECT_TRUE(server->finished_within(2s));
}

// Peers that go.

TEST(Phases, ResetByThePeerEndsEachVisit) {
  for (const Phase& phase : kPhases) {
    SCOPED_TRACE(phase.name);
    auto server = started(phase);
    Client client = server->connect();
    phase.reach(client, server->house);
    std::this_thread::sleep_for(20ms);
    client.reset();
    if (phase.held) {
      std::this_thread::sleep_for(20ms);
      server->release();  // noticed no later than at the reply
    }
    EXPECT_TRUE(server->connections_become(0));
    server->drain();
    EXPECT_TRUE(server->finished_within());
    server->stop();
  }
}

TEST(Phases, CloseByThePeerEndsEachVisit) {
  for (const Phase& phase : kPhases) {
    SCOPED_TRACE(phase.name);
    auto server = started(phase);
    Client client = server->connect();
    phase.reach(client, server->house);
    client.finish_sending();
    if (phase.held) server->release();
    EXPECT_EQ(client.rest().find("STILL OPEN"), std::string::npos);
    EXPECT_TRUE(server->connections_become(0));
    EXPECT_EQ(server->house.times("message Half a mess"), 0U) << "half a message is none";
  }
}

// Time.

struct TimeCase {
  std::string_view name;
  std::string_view talk;
  std::string_view last_words;
};

constexpr TimeCase kTimeCases[] = {
    {"silence after the greeting", "", "421 4.4.2 Timeout, closing"},
    {"silence inside a line", "EHL", "421 4.4.2 Timeout, closing"},
    {"silence inside a transaction", "EHLO c.example\r\nMAIL FROM:<a@client.example>\r\n",
     "421 4.4.2 Timeout, closing"},
    {"silence inside data",
     "EHLO c.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\nHalf a",
     "421 4.4.2 Timeout, closing"},
};

TEST_F(Ends, SilenceIsAnsweredAndEnds) {
  house.terms_of_all.session.limits.command_timeout = 1s;
  house.terms_of_all.session.limits.data_timeout = 1s;
  start();
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Client> clients;
  for (const TimeCase& c : kTimeCases) {
    clients.push_back(greeted());
    clients.back().send(c.talk);
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    SCOPED_TRACE(kTimeCases[i].name);
    const std::string heard = clients[i].rest();
    EXPECT_TRUE(heard.ends_with(std::string(kTimeCases[i].last_words) + "\r\n")) << heard;
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 900ms);
  EXPECT_LT(took, 3s);
  EXPECT_TRUE(figures_say("result=\"timeout\"} 4"));
}

TEST_F(Ends, ASessionMayNotGoOnForEver) {
  house.terms_of_all.session.limits.session_timeout = 1s;
  start();
  Client client = greeted();
  const auto begin = std::chrono::steady_clock::now();
  std::string last;
  do {
    last = client.say("NOOP");
    std::this_thread::sleep_for(50ms);
  } while (last.starts_with("250") && std::chrono::steady_clock::now() - begin < 5s);
  EXPECT_EQ(last, "421 4.4.2 The session takes too long, closing");
  Client silent = greeted();
  EXPECT_EQ(silent.rest(), "421 4.4.2 The session takes too long, closing\r\n");
}

// A client that does not read.

struct FloodCase {
  std::string_view name, command;
};

constexpr FloodCase kFloodCases[] = {
    {"commands that the session answers", "HELP\r\n"},
    {"commands that the house is asked about", "EHLO c.example\r\n"},
};

TEST_F(Ends, AClientThatNeverReadsCostsLittleAndIsLeft) {
  house.terms_of_all.session.limits.command_timeout = 1s;
  house.terms_of_all.session.limits.commands_max = 10'000'000;
  house.terms_of_all.session.local_network = true;  // no bound on commands: only the driver's own
  start();
  for (const FloodCase& c : kFloodCases) {
    SCOPED_TRACE(c.name);
    Client client = Client::to(address_, 4096);
    std::string flood;
    while (flood.size() < 64000) flood += c.command;
    const auto begin = std::chrono::steady_clock::now();
    std::size_t taken = 0;
    while (std::chrono::steady_clock::now() - begin < 8s && client.try_to_send(flood, 500ms))
      taken += flood.size();
    EXPECT_LT(taken, std::size_t{32} << 20) << "not receiving is the back-pressure";
    EXPECT_TRUE(connections_become(0));
  }
  EXPECT_TRUE(figures_say("result=\"slow_reader\"} 2"));
}

}  // namespace
}  // namespace postern::test
