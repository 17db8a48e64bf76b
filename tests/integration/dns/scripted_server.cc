#include "tests/integration/dns/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tests/integration/dns/name_server.h"

namespace postern::test {
namespace {

constexpr std::size_t kHeaderOctets = 12;
constexpr std::size_t kDatagramOctetsMax = 65'535;

/// A socket bound to the port; the test cannot go on without it.
int bound(int kind, std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, kind | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::perror("bind");
    std::abort();
  }
  return descriptor;
}

unsigned number16(std::string_view octets, std::size_t at) {
  return static_cast<unsigned>(static_cast<unsigned char>(octets[at])) << 8 |
         static_cast<unsigned char>(octets[at + 1]);
}

DnsQuery read_query(std::string_view octets) {
  DnsQuery query;
  query.octets = octets;
  query.id = static_cast<std::uint16_t>(number16(octets, 0));
  std::size_t at = kHeaderOctets;
  while (at + 1 < octets.size() && octets[at] != 0) {
    const auto size = static_cast<std::size_t>(octets[at]);
    if (!query.name.empty()) query.name += '.';
    for (const char c : octets.substr(at + 1, size))
      query.name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    at += 1 + size;
  }
  if (at + 3 <= octets.size()) query.type = static_cast<std::uint16_t>(number16(octets, at + 1));
  return query;
}

}  // namespace

ScriptedServer::ScriptedServer(Script script)
    : script_(std::move(script)), stop_(::eventfd(0, EFD_CLOEXEC)), port_(free_port("127.0.0.1")) {
  datagrams_ = bound(SOCK_DGRAM, port_);
  listener_ = bound(SOCK_STREAM, port_);
  (void)::listen(listener_, SOMAXCONN);
  thread_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
  (void)::eventfd_write(stop_, 1);
  thread_.join();
  ::close(datagrams_);
  ::close(listener_);
  ::close(stop_);
}

void ScriptedServer::serve() {
  std::array<pollfd, 3> waits{{{datagrams_, POLLIN, 0}, {listener_, POLLIN, 0}, {stop_, POLLIN, 0}}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) <= 0) continue;
    if (waits[2].revents != 0) return;
    if (waits[0].revents != 0) serve_datagram();
    if (waits[1].revents != 0) serve_connection();
  }
}

void ScriptedServer::serve_datagram() {
  std::string octets(kDatagramOctetsMax, '\0');
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t received = ::recvfrom(datagrams_, octets.data(), octets.size(), MSG_DONTWAIT,
                                      reinterpret_cast<sockaddr*>(&from), &size);
  if (received < static_cast<ssize_t>(kHeaderOctets)) return;
  octets.resize(static_cast<std::size_t>(received));
  for (const std::string& answer : answers(octets, false))
    (void)::sendto(datagrams_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
}

/// One query of one connection.
void ScriptedServer::serve_connection() {
  const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection < 0) return;
  ++connections_;
  std::array<char, 2> length{};
  if (::recv(connection, length.data(), length.size(), MSG_WAITALL) == 2) {
    std::string octets(number16({length.data(), 2}, 0), '\0');
    if (::recv(connection, octets.data(), octets.size(), MSG_WAITALL) > static_cast<ssize_t>(kHeaderOctets)) {
      for (const std::string& answer : answers(octets, true)) {
        const std::string framed = DnsPacket::number16(static_cast<unsigned>(answer.size())) + answer;
        (void)::send(connection, framed.data(), framed.size(), MSG_NOSIGNAL);
      }
    }
  }
  ::close(connection);
}

std::vector<std::string> ScriptedServer::answers(std::string_view octets, bool tcp) {
  DnsQuery query = read_query(octets);
  query.tcp = tcp;
  query.number = queries_++;
  return script_(query);
}

}  // namespace postern::test
