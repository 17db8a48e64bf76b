// Octets of a stranger against a server's engine: as a whole conversation, in place of a part of a handshake,
// and after one. It never crashes, what it says is bounded, and a failure is final. The first octet picks the
// way, the second the size of pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/tls/engine.h"
#include "tests/support/tls_certificates.h"
#include "tests/support/tls_client.h"

namespace {

using postern::test::TlsClient;
using State = postern::tls::Engine::State;

constexpr std::size_t kOutputOctetsMax = std::size_t{128} * 1024;

void check(bool condition) {
  if (!condition) std::abort();
}

/// A server's engine that is watched.
class Server {
 public:
  Server() : engine_(postern::test::plain_contexts()) {}

  std::string take(std::string_view ciphertext) {
    engine_.feed(ciphertext);
    const bool was_failed = engine_.state() == State::failed;
    if (engine_.state() == State::handshaking) (void)engine_.handshake();
    if (engine_.state() == State::open) {
      while (engine_.input_pending()) {
        std::string text;
        const auto state = engine_.read(text, 1000);
        check(text.size() <= 1000);
        if (!state) break;
      }
      (void)engine_.write("250 fine\r\n");
    }
    check(!was_failed || engine_.state() == State::failed);
    check(engine_.state() == State::open || !engine_.input_pending());
    std::string output = engine_.take_output();
    said_ += output.size();
    check(said_ <= kOutputOctetsMax + fed_ * 64);
    fed_ += ciphertext.size();
    return output;
  }
  void take_in_pieces(std::string_view octets, std::size_t piece) {
    for (; !octets.empty(); octets.remove_prefix(std::min(piece, octets.size())))
      (void)take(octets.substr(0, piece));
  }
  void end() {
    engine_.feed_eof();
    (void)take("");
    engine_.shutdown();
    check(engine_.take_output().size() <= kOutputOctetsMax);
  }

 private:
  postern::tls::Engine engine_;
  std::size_t said_ = 0, fed_ = 0;
};

std::string flipped(std::string flight, std::string_view mask) {
  for (std::size_t i = 0; i + 1 < mask.size(); i += 2) {
    const std::size_t place = (static_cast<unsigned char>(mask[i]) * 7 + i) % flight.size();
    flight[place] = static_cast<char>(flight[place] ^ mask[i + 1]);
  }
  return flight;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 64 * 1024) return 0;
  const std::string_view octets(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t piece = data[1] == 0 ? octets.size() + 1 : data[1];
  const int version = (data[0] & 4) != 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
  Server server;
  if ((data[0] & 3) == 0) {
    server.take_in_pieces(octets, piece);
    server.end();
    return 0;
  }
  TlsClient client({.server_name = "one.example", .version_min = version, .version_max = version});
  (void)client.handshake();
  if ((data[0] & 3) == 1) {
    server.take_in_pieces(flipped(client.take_output(), octets), piece);
    server.end();
    return 0;
  }
  for (int flight = 0; flight < 3; ++flight) {
    client.feed(server.take(client.take_output()));
    (void)client.handshake();
  }
  // Octets on the wire behind a good handshake, or in a record that decrypts.
  server.take_in_pieces((data[0] & 3) == 2 ? std::string(octets) : client.encrypted(octets), piece);
  server.end();
  return 0;
}
