#pragma once

#include <string>

#include "gateway/tls/engine.h"
#include "tests/support/tls_certificates.h"
#include "tests/support/tls_client.h"

namespace postern::test {

/// A server's engine and a client with a wire between them.
struct Connection {
  explicit Connection(std::shared_ptr<const tls::Contexts> contexts = plain_contexts(),
                      const TlsClientOptions& options = {})
      : server(std::move(contexts)), client(options) {}

  /// Carries flights until both sides are done, or nobody has anything to say. True: both are done.
  bool shake() {
    bool client_done = false;
    for (;;) {
      client_done = client.handshake();
      const std::string to_server = client.take_output();
      server.feed(to_server);
      if (auto state = server.handshake(); !state) failure = state.error().reason;
      const std::string to_client = server.take_output();
      client.feed(to_client);
      if (to_server.empty() && to_client.empty()) break;
    }
    return client_done && server.state() == tls::Engine::State::open;
  }
  /// What the client says now, decrypted by the server.
  std::string server_reads(std::string_view ciphertext, std::size_t limit = 1 << 20) {
    std::string text;
    server.feed(ciphertext);
    if (auto state = server.read(text, limit); !state) failure = state.error().reason;
    return text;
  }
  std::string client_reads() {
    client.feed(server.take_output());
    return client.read();
  }

  tls::Engine server;
  TlsClient client;
  std::string failure;
};

}  // namespace postern::test
