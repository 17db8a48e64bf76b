#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/dns_packet.h"

namespace postern::test {

/// A query as the scripted server has read it.
struct DnsQuery {
  std::uint16_t id = 0;
  std::string name;  ///< lower case, without the final dot
  std::uint16_t type = 0;
  unsigned number = 0;  ///< of those the server has had, from 0
  bool tcp = false;
  std::string octets;

  /// An answer with the query's id and question.
  DnsPacket reply(std::uint8_t rcode = DnsPacket::kNoError) const {
    DnsPacket packet(id, rcode);
    packet.question(name, type);
    return packet;
  }
};

/// A server on 127.0.0.1 whose every answer the test writes. By UDP, and by TCP on the same port: there a
/// connection is closed when there is no answer.
class ScriptedServer {
 public:
  /// What goes back, in this order; nothing: silence. Called on the server's thread.
  using Script = std::function<std::vector<std::string>(const DnsQuery&)>;

  explicit ScriptedServer(Script script);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  unsigned queries() const { return queries_; }
  unsigned connections() const { return connections_; }

 private:
  void serve();
  void serve_datagram();
  void serve_connection();
  std::vector<std::string> answers(std::string_view octets, bool tcp);

  Script script_;
  int datagrams_ = -1, listener_ = -1, stop_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<unsigned> queries_{0}, connections_{0};
  std::thread thread_;
};

}  // namespace postern::test
