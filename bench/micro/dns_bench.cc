// What does a fact from DNS cost? CPU is the whole process's, the server's thread of the bench included.
//   cached        a question that the cache answers
//   forwarded/N   N questions at a time that a server of the bench's own answers over loopback
//   read_packet   an answer's octets into records
//   life          a resolver made and closed: what a core pays at start
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "filters/dns.h"
#include "gateway/dns/packet.h"
#include "gateway/dns/resolver.h"
#include "gateway/reactor/reactor.h"

namespace postern::dns {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::Question;
using reactor::Reactor;
using reactor::Task;

/// Answers every question with one address, by turning the query around.
class Server {
 public:
  Server() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), stop_(::eventfd(0, EFD_CLOEXEC)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
    (void)::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    (void)::eventfd_write(stop_, 1);
    thread_.join();
    ::close(socket_);
    ::close(stop_);
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

  /// The query's header and question, and an address for its name.
  static std::string reply(std::string_view query) {
    std::size_t end = 12;
    while (query[end] != 0) end += 1 + static_cast<unsigned char>(query[end]);
    std::string octets(query.substr(0, end + 5));
    octets[2] = '\x81';
    octets[3] = '\x80';
    octets[7] = 1;   // one answer
    octets[11] = 0;  // without the query's EDNS
    return octets.append("\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xc0\0\2\1", 16);
  }

 private:
  void serve() const {
    std::array<pollfd, 2> waits{{{socket_, POLLIN, 0}, {stop_, POLLIN, 0}}};
    std::array<char, 4096> query{};
    for (;;) {
      if (::poll(waits.data(), waits.size(), -1) <= 0) continue;
      if (waits[1].revents != 0) return;
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t octets =
          ::recvfrom(socket_, query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (octets <= 16) continue;
      const std::string answer = reply({query.data(), static_cast<std::size_t>(octets)});
      (void)::sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  int socket_, stop_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

std::unique_ptr<Reactor> make_reactor() {
  auto made = Reactor::create(reactor::ReactorOptions());
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().text().c_str());
    std::exit(1);
  }
  return std::move(*made);
}

std::unique_ptr<Resolver> make_resolver(const std::string& address) {
  ResolverOptions options;
  options.resolvers = {address};
  options.dnssec = Dnssec::off;
  auto made = Resolver::create(options);
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().c_str());
    std::exit(1);
  }
  return std::move(*made);
}

Task<void> ask_one(Resolver& resolver, Question question) {
  const reactor::Deadline deadline = reactor::Clock::now() + std::chrono::seconds(5);
  const Answer answer = co_await resolver.ask(std::move(question), deadline);
  if (answer.status != AnswerStatus::data) std::abort();
}

Task<void> ask_cached(benchmark::State& state, const std::string& address) {
  const auto resolver = make_resolver(address);
  const Question question = filters::dns::a("www.zone.example");
  co_await ask_one(*resolver, question);
  while (state.KeepRunning()) co_await ask_one(*resolver, question);
  if (resolver->counters().cached + 1 != resolver->counters().questions) std::abort();
  co_await resolver->close();
}

void cached(benchmark::State& state) {
  const Server server;
  make_reactor()->run(ask_cached(state, server.address()));
}
BENCHMARK(cached)->MeasureProcessCPUTime()->UseRealTime();

Task<void> ask_new(benchmark::State& state, const std::string& address) {
  const auto resolver = make_resolver(address);
  const auto at_once = static_cast<std::size_t>(state.range(0));
  std::size_t number = 0;
  while (state.KeepRunning()) {
    reactor::Scope scope;
    for (std::size_t i = 0; i < at_once; ++i)
      scope.spawn(ask_one(*resolver, filters::dns::a(fmt::format("n{}.zone.example", number++))));
    co_await scope.join();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(number));
  co_await resolver->close();
}

void forwarded(benchmark::State& state) {
  const Server server;
  make_reactor()->run(ask_new(state, server.address()));
}
BENCHMARK(forwarded)->Arg(1)->Arg(100)->MeasureProcessCPUTime()->UseRealTime();

void read_one_packet(benchmark::State& state) {
  const std::string query("\0\0\1\0\0\1\0\0\0\0\0\0\3www\4zone\7example\0\0\1\0\1", 34);
  const std::string octets = Server::reply(query);
  const std::span packet(reinterpret_cast<const unsigned char*>(octets.data()), octets.size());
  for (auto _ : state) {
    const Answer answer = read_packet(packet, filters::QuestionKind::dns_a);
    if (answer.records.size() != 1) std::abort();
  }
}
BENCHMARK(read_one_packet)->Name("read_packet");

Task<void> live(benchmark::State& state) {
  while (state.KeepRunning()) {
    const auto resolver = make_resolver("127.0.0.1:9");
    co_await resolver->close();
  }
}

void life(benchmark::State& state) {
  make_reactor()->run(live(state));
}
BENCHMARK(life);

}  // namespace
}  // namespace postern::dns
