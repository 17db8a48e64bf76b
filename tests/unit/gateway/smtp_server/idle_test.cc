// What an idle session costs: 10,000 clients, in a process of their own so that only the server's memory is measured.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/gateway/smtp_server/fixture.h"

namespace postern::test {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POSTERN_MEMORY_IS_NOT_OURS
#endif
#endif
#ifdef POSTERN_MEMORY_IS_NOT_OURS
constexpr bool kMeasures = false;  // the sanitizer's own memory drowns ours
constexpr std::size_t kClients = 300;
#else
constexpr bool kMeasures = true;
constexpr std::size_t kClients = 10'000;
#endif
/// What was promised, and what we expect of ourselves. The house's own memory of a visit is not in it.
constexpr std::size_t kIdleOctetsMax = 16 * 1024, kIdleOctetsAim = 6 * 1024;
constexpr std::size_t kWarmUp = 100;

std::size_t resident_octets() {
  std::ifstream status("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  status >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// As many descriptors as we may have; false when those are too few.
bool raise_descriptors(std::size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= wanted;
}

class QuietVisit final : public smtp::Visit {
 public:
  reactor::Task<smtp::Decision> at(smtp::Stage stage, const smtp::VisitFacts&) override {
    co_return smtp::Decision{.reply = {.code = stage == smtp::Stage::connect ? 220 : 250}};
  }
  reactor::Task<std::vector<smtp::Decision>> message(smtp::Transaction, const smtp::VisitFacts&) override {
    co_return std::vector<smtp::Decision>{{.reply = {.code = 250}}};
  }
  void reset() override {}
};

class QuietHouse final : public smtp::House {
 public:
  bool proxy_expected(std::size_t, const filters::Ip&) const override { return false; }
  smtp::Terms terms(std::size_t, const filters::Ip&) const override {
    smtp::Terms terms;
    terms.session.hostname = "mx.test.example";
    terms.admission.unlimited = true;
    return terms;
  }
  std::unique_ptr<smtp::Visit> visit(const smtp::Arrival&) override { return std::make_unique<QuietVisit>(); }
};

/// The crowd: a child process that connects when it is told the port, says EHLO, and stays until its pipe is closed.
class Crowd {
 public:
  Crowd() {
    if (::pipe(to_child_) != 0 || ::pipe(from_child_) != 0) std::abort();
    child_ = ::fork();
    if (child_ != 0) {
      ::close(to_child_[0]);
      ::close(from_child_[1]);
      return;
    }
    ::close(to_child_[1]);
    ::close(from_child_[0]);
    stand_around();
    ::_exit(0);
  }
  ~Crowd() {
    ::close(to_child_[1]);
    int status = 0;
    ::waitpid(child_, &status, 0);
    ::close(from_child_[0]);
  }
  /// Tells the child to open so many more; false when it could not.
  bool add(std::uint16_t port, std::size_t count) {
    const std::uint32_t order[2] = {port, static_cast<std::uint32_t>(count)};
    char answer = 0;
    return ::write(to_child_[1], order, sizeof order) == sizeof order &&
           ::read(from_child_[0], &answer, 1) == 1 && answer == '+';
  }

 private:
  void stand_around() {
    std::vector<int> sockets;
    std::uint32_t order[2];
    while (::read(to_child_[0], order, sizeof order) == sizeof order) {
      bool well = true;
      for (std::uint32_t i = 0; i < order[1] && well; ++i)
        well = join(static_cast<std::uint16_t>(order[0]), sockets);
      const char answer = well ? '+' : '-';
      if (::write(from_child_[1], &answer, 1) != 1) break;
    }
    for (const int socket : sockets) ::close(socket);
  }
  static bool join(std::uint16_t port, std::vector<int>& sockets) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return false;
    sockets.push_back(socket);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return false;
    constexpr std::string_view kHello = "EHLO client.example\r\n";
    std::string heard;
    char piece[1024];
    bool said = false;
    for (;;) {
      const ssize_t got = ::recv(socket, piece, sizeof piece, 0);
      if (got <= 0) return false;
      heard.append(piece, static_cast<std::size_t>(got));
      if (!said && heard.ends_with("\r\n")) {
        if (::send(socket, kHello.data(), kHello.size(), MSG_NOSIGNAL) < 0) return false;
        said = true;
      }
      if (heard.find("250 ENHANCEDSTATUSCODES\r\n") != std::string::npos) return true;
    }
  }
  int to_child_[2] = {-1, -1}, from_child_[2] = {-1, -1};
  pid_t child_ = -1;
};

TEST(Idle, ASessionCostsLittleAndOthersAreServedAtOnce) {
  if (!raise_descriptors(kClients + kWarmUp + 200)) GTEST_SKIP() << "RLIMIT_NOFILE is too low";
  Crowd crowd;  // before there are threads

  QuietHouse house;
  smtp::Admission admission;
  smtp::BodyBudget bodies(1 << 20);
  metrics::Registry registry;
  std::string problem;
  const auto log = log::Logger::open({.file = "/dev/null"}, &problem);
  ASSERT_NE(log, nullptr) << problem;
  std::promise<std::uint16_t> ready;
  std::atomic<reactor::Reactor*> core{nullptr};
  smtp::Server* server = nullptr;
  std::thread thread([&] {
    auto made = reactor::Reactor::create(small_reactor());
    reactor::Listener listener;
    const reactor::Address address{.ip = filters::Ip::v4({127, 0, 0, 1})};
    if (!made || !listener.bind(address, {})) return ready.set_value(0);
    smtp::Server one(0, "mx test", house,
                     {.admission = admission, .bodies = bodies, .metrics = registry, .logger = *log});
    server = &one;
    core = made->get();
    ready.set_value(listener.local().port);
    (*made)->run(one.serve(listener));
  });
  const std::uint16_t port = ready.get_future().get();
  ASSERT_NE(port, 0);

  EXPECT_TRUE(crowd.add(port, kWarmUp));
  const std::size_t before = resident_octets();
  const bool all = crowd.add(port, kClients);
  EXPECT_TRUE(all);
  EXPECT_EQ(admission.connections(), kClients + kWarmUp);
  const std::size_t each = (resident_octets() - before) / kClients;
  std::printf("idle sessions: %zu, resident octets of each: %zu\n", kClients, each);
  if (kMeasures) {
    EXPECT_LE(each, kIdleOctetsMax);
    EXPECT_LE(each, kIdleOctetsAim);
  }
  EXPECT_EQ(core.load()->counters().buffers_in_use, 0U) << "no buffer is held while nobody speaks";

  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(crowd.add(port, 1));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took, std::chrono::milliseconds(500));

  core.load()->post([&] { server->cancel(); });
  thread.join();
  EXPECT_EQ(admission.connections(), 0U);
}

}  // namespace
}  // namespace postern::test
