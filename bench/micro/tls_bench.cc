// What TLS costs the server: full and resumed handshakes, records in and out, and the memory of a session
// that waits. Only the server's part is timed (CPU time of the thread); the client beside it is OpenSSL used
// directly. "direct" rows are the floor: the same server side by OpenSSL's own calls over its memory BIOs,
// with nothing of ours around them.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <time.h>

#include <memory>
#include <string>
#include <vector>

#include "gateway/tls/engine.h"
#include "tests/support/tls_certificates.h"
#include "tests/support/tls_client.h"

namespace postern::tls {
namespace {

using test::TlsClient;
using test::TlsClientOptions;

enum class Key { ec, rsa };

double thread_cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Adds up the CPU time of what it is asked to run.
class Stopwatch {
 public:
  template <typename Work>
  auto run(Work&& work) {
    const double start = thread_cpu_seconds();
    auto result = work();
    seconds_ += thread_cpu_seconds() - start;
    return result;
  }
  double take() { return std::exchange(seconds_, 0); }

 private:
  double seconds_ = 0;
};

/// Certificate files that stay for the whole run.
const CertificateFiles& files(Key kind) {
  static const test::TemporaryFolder folder;
  static const auto make = [](const char* stem, const test::KeyHandle& key) {
    const test::CertificateWish wish{.names = "DNS:one.example"};
    return test::make_certificate(folder.path(), stem, key.get(), wish);
  };
  static const CertificateFiles ec = make("ec", test::ec_key());
  static const CertificateFiles rsa = make("rsa", test::rsa_key());
  return kind == Key::ec ? ec : rsa;
}

class EngineServer {
 public:
  explicit EngineServer(Key kind) : contexts_(contexts(kind)) {}
  void accept() { engine_ = std::make_unique<Engine>(contexts_); }
  std::string handshake(std::string_view flight) {
    engine_->feed(flight);
    (void)engine_->handshake();
    return engine_->take_output();
  }
  std::size_t read(std::string_view wire) {
    std::string text;
    engine_->feed(wire);
    (void)engine_->read(text, std::string::npos);
    return text.size();
  }
  std::string write(std::string_view text) {
    (void)engine_->write(text);
    return engine_->take_output();
  }
  bool resumed() const { return engine_->established().resumed; }

 private:
  static std::shared_ptr<const Contexts> contexts(Key kind) {
    return Contexts::load({files(kind)}, std::make_shared<TicketKeys>()).value();
  }
  std::shared_ptr<const Contexts> contexts_;
  std::unique_ptr<Engine> engine_;
};

class DirectServer {
 public:
  explicit DirectServer(Key kind) : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    SSL_CTX* context = context_.get();
    SSL_CTX_use_certificate_chain_file(context, files(kind).certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context, files(kind).key.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM");
    SSL_CTX_set1_groups_list(context, "X25519");
  }
  void accept() {
    ssl_.reset(SSL_new(context_.get()));
    input_ = BIO_new(BIO_s_mem());
    output_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(input_, -1);
    SSL_set_bio(ssl_.get(), input_, output_);
    SSL_set_accept_state(ssl_.get());
  }
  std::string handshake(std::string_view flight) {
    BIO_write(input_, flight.data(), static_cast<int>(flight.size()));
    SSL_do_handshake(ssl_.get());
    return take();
  }
  std::size_t read(std::string_view wire) {
    BIO_write(input_, wire.data(), static_cast<int>(wire.size()));
    std::size_t all = 0, got = 0;
    while (SSL_read_ex(ssl_.get(), room_.data(), room_.size(), &got) == 1) all += got;
    return all;
  }
  std::string write(std::string_view text) {
    std::size_t written = 0;
    SSL_write_ex(ssl_.get(), text.data(), text.size(), &written);
    return take();
  }
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

 private:
  std::string take() {
    std::string octets(BIO_ctrl_pending(output_), '\0');
    if (!octets.empty()) BIO_read(output_, octets.data(), static_cast<int>(octets.size()));
    return octets;
  }
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, Free> ssl_;
  BIO* input_ = nullptr;
  BIO* output_ = nullptr;
  std::string room_ = std::string(16384, '\0');
};

template <typename Server>
void shake(Server& server, TlsClient& client, Stopwatch& watch) {
  watch.run([&] {
    server.accept();
    return 0;
  });
  for (;;) {
    (void)client.handshake();
    const std::string flight = client.take_output();
    if (flight.empty()) break;
    client.feed(watch.run([&] { return server.handshake(flight); }));
  }
  (void)client.read();  // the ticket of TLS 1.3
}

template <typename Server>
void full_handshake(benchmark::State& state) {
  const auto version = static_cast<int>(state.range(0));
  Server server(static_cast<Key>(state.range(1)));
  Stopwatch watch;
  for ([[maybe_unused]] auto _ : state) {
    TlsClient client({.version_min = version, .version_max = version});
    shake(server, client, watch);
    state.SetIterationTime(watch.take());
  }
  if (server.resumed()) state.SkipWithError("resumed, which was not asked for");
}

template <typename Server>
void resumed_handshake(benchmark::State& state) {
  const auto version = static_cast<int>(state.range(0));
  Server server(static_cast<Key>(state.range(1)));
  Stopwatch watch;
  auto before = std::make_unique<TlsClient>(TlsClientOptions{.version_min = version, .version_max = version});
  shake(server, *before, watch);
  (void)watch.take();
  for ([[maybe_unused]] auto _ : state) {
    auto client = std::make_unique<TlsClient>(
        TlsClientOptions{.version_min = version, .version_max = version, .session = before->session()});
    shake(server, *client, watch);
    if (client->session() != nullptr) before = std::move(client);  // a TLS 1.3 ticket is for one use
    state.SetIterationTime(watch.take());
    if (!server.resumed()) {
      state.SkipWithError("not resumed");
      break;
    }
  }
}

/// 256 KiB of ciphertext in records of the size given, fed as a reactor would: 16 KiB at a time.
template <typename Server>
void decrypt(benchmark::State& state) {
  constexpr std::size_t kOctets = std::size_t{256} * 1024;
  const auto record = static_cast<std::size_t>(state.range(0));
  Server server(Key::ec);
  TlsClient client;
  Stopwatch watch;
  shake(server, client, watch);
  (void)watch.take();
  const std::string text(record, 'x');
  for ([[maybe_unused]] auto _ : state) {
    std::string wire;
    for (std::size_t sent = 0; sent < kOctets; sent += record) wire += client.encrypted(text);
    const std::size_t got = watch.run([&] {
      std::size_t all = 0;
      for (std::size_t at = 0; at < wire.size(); at += 16384)
        all += server.read(std::string_view(wire).substr(at, 16384));
      return all;
    });
    if (got < kOctets) state.SkipWithError("lost octets");
    state.SetIterationTime(watch.take());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(kOctets));
}

template <typename Server>
void encrypt(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  Server server(Key::ec);
  TlsClient client;
  Stopwatch watch;
  shake(server, client, watch);
  (void)watch.take();
  const std::string text(size, 'x');
  constexpr int kWritesPerTurn = 64;
  for ([[maybe_unused]] auto _ : state) {
    watch.run([&] {
      for (int i = 0; i < kWritesPerTurn; ++i) benchmark::DoNotOptimize(server.write(text));
      return 0;
    });
    state.SetIterationTime(watch.take());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * kWritesPerTurn *
                          static_cast<std::int64_t>(size));
}

/// Sessions that have spoken once and now wait. The clients are gone when the memory is counted.
void idle_session_memory(benchmark::State& state) {
  constexpr int kSessions = 500;
  const auto version = static_cast<int>(state.range(0));
  const auto contexts = Contexts::load({files(Key::ec)}, std::make_shared<TicketKeys>()).value();
  double octets = 0;
  for ([[maybe_unused]] auto _ : state) {
    std::vector<std::unique_ptr<Engine>> sessions;
    const std::size_t before = ::mallinfo2().uordblks;
    for (int i = 0; i < kSessions; ++i) {
      auto engine = std::make_unique<Engine>(contexts);
      TlsClient client({.server_name = "one.example", .version_min = version, .version_max = version});
      for (int flight = 0; flight < 3; ++flight) {
        (void)client.handshake();
        engine->feed(client.take_output());
        (void)engine->handshake();
        client.feed(engine->take_output());
      }
      std::string text;
      engine->feed(client.encrypted("EHLO a.example\r\n"));
      if (!engine->read(text, 1000) || text.empty()) state.SkipWithError("the session does not work");
      (void)engine->write("250 fine\r\n");
      (void)engine->take_output();
      sessions.push_back(std::move(engine));
    }
    octets = static_cast<double>(::mallinfo2().uordblks - before) / kSessions;
  }
  state.counters["octets_per_session"] = octets;
}

void handshakes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"version", "rsa"})->UseManualTime()->Unit(benchmark::kMicrosecond);
  for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION})
    for (const int key : {static_cast<int>(Key::ec), static_cast<int>(Key::rsa)}) bench->Args({version, key});
}

void resumptions(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"version", "rsa"})->UseManualTime()->Unit(benchmark::kMicrosecond);
  for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) bench->Args({version, 0});
}

BENCHMARK(full_handshake<EngineServer>)->Apply(handshakes);
BENCHMARK(full_handshake<DirectServer>)->Apply(handshakes);
BENCHMARK(resumed_handshake<EngineServer>)->Apply(resumptions);
BENCHMARK(resumed_handshake<DirectServer>)->Apply(resumptions);
BENCHMARK(decrypt<EngineServer>)->ArgName("record")->Arg(64)->Arg(1024)->Arg(16384)->UseManualTime();
BENCHMARK(decrypt<DirectServer>)->ArgName("record")->Arg(64)->Arg(1024)->Arg(16384)->UseManualTime();
BENCHMARK(encrypt<EngineServer>)->ArgName("octets")->Arg(64)->Arg(16384)->Arg(262144)->UseManualTime();
BENCHMARK(encrypt<DirectServer>)->ArgName("octets")->Arg(64)->Arg(16384)->Arg(262144)->UseManualTime();
BENCHMARK(idle_session_memory)
    ->ArgName("version")
    ->Arg(TLS1_3_VERSION)
    ->Arg(TLS1_2_VERSION)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace postern::tls
