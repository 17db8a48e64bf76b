// What a message costs before anybody judges or stores it: parsing commands, decoding data, the whole dialogue of a
// session. Counters: octets/s, and calls of operator new for each message (a body's buffer is malloc's and not among them).
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "gateway/smtp/data_decoder.h"
#include "gateway/smtp/grammar.h"
#include "gateway/smtp/session.h"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t octets) {
  ++allocations;
  if (void* memory = std::malloc(octets > 0 ? octets : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

using namespace postern::smtp;

/// Counts allocations from here to its end.
class AllocationCounter {
 public:
  AllocationCounter(benchmark::State& state, std::string name)
      : state_(state), name_(std::move(name)), before_(allocations) {}
  ~AllocationCounter() {
    state_.counters[name_] =
        benchmark::Counter(static_cast<double>(allocations - before_), benchmark::Counter::kAvgIterations);
  }

 private:
  benchmark::State& state_;
  std::string name_;
  std::size_t before_;
};

/// Lines of 76 octets with CRLF, each n-th stuffed with a dot; 0: none.
std::string message(std::size_t octets, std::size_t dot_every) {
  std::string text = "From: a@client.example\r\nSubject: bench\r\n\r\n";
  for (std::size_t line = 1; text.size() + 78 <= octets; ++line) {
    if (dot_every > 0 && line % dot_every == 0) text += "..";
    text.append(76 - (dot_every > 0 && line % dot_every == 0 ? 2 : 0), 'x').append("\r\n");
  }
  text.append(octets - text.size() - 2, 'y').append("\r\n");
  return text;
}

void parse_commands(benchmark::State& state) {
  const GrammarContext context{.message_octets_max = 26'214'400};
  AllocationCounter counter(state, "allocations/pair");
  for (auto _ : state) {
    const CommandLine mail =
        split_command("MAIL FROM:<sender.of.mail@client.example> SIZE=4096 BODY=8BITMIME");
    auto parsed_mail = parse_mail(mail.argument, context);
    benchmark::DoNotOptimize(parsed_mail);
    const CommandLine rcpt = split_command("RCPT TO:<recipient.of.mail@test.example>");
    auto parsed_rcpt = parse_rcpt(rcpt.argument, context);
    benchmark::DoNotOptimize(parsed_rcpt);
  }
}
BENCHMARK(parse_commands);

void parse_utf8_mailbox(benchmark::State& state) {
  for (auto _ : state) {
    auto parsed = parse_mailbox("jörg@bücher.example", true);
    benchmark::DoNotOptimize(parsed);
  }
}
BENCHMARK(parse_utf8_mailbox);

/// Arguments: octets of the message, every how many lines a dot, octets of a piece.
void decode_data(benchmark::State& state) {
  const std::string wire =
      message(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))) + ".\r\n";
  const auto piece = static_cast<std::size_t>(state.range(2));
  for (auto _ : state) {
    Body body;
    DataDecoder decoder({.octets_max = 1 << 30});
    std::string_view rest = wire;
    while (!decoder.done()) rest.remove_prefix(decoder.write(rest.substr(0, piece), body));
    benchmark::DoNotOptimize(body.view().data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * wire.size()));
}
BENCHMARK(decode_data)
    ->Args({4096, 0, 16384})
    ->Args({1 << 20, 0, 16384})
    ->Args({1 << 20, 1, 16384})
    ->Args({1 << 20, 0, 1448});

/// Carries a session to its next wait for input; says yes to everything.
void answer_all(Session& session) {
  for (;;) {
    const Step step = session.next();
    const auto* const ask = std::get_if<Ask>(&step);
    if (ask == nullptr) break;
    if (ask->stage == Stage::message) {
      Transaction transaction = session.take_transaction();
      benchmark::DoNotOptimize(transaction.body.view().data());
    }
    session.decide({.code = 250});
  }
  std::string output = session.take_output();
  benchmark::DoNotOptimize(output.data());
}

SessionOptions options() {
  SessionOptions options;
  options.hostname = "mx.test.example";
  options.tls_available = true;
  options.local_network = true;
  return options;
}

constexpr std::string_view kEnvelope =
    "MAIL FROM:<sender.of.mail@client.example> SIZE=4096\r\nRCPT "
    "TO:<recipient.of.mail@test.example>\r\nDATA\r\n";

/// A session of its own for each message of 4 KiB, each group of commands in one piece.
void session_of_one_message(benchmark::State& state) {
  const std::string data = message(4096, 0) + ".\r\n";
  AllocationCounter counter(state, "allocations/message");
  for (auto _ : state) {
    Session session(options(), {}, nullptr);
    answer_all(session);
    for (const std::string_view piece : {std::string_view("EHLO client.example\r\n"), kEnvelope,
                                         std::string_view(data), std::string_view("QUIT\r\n")}) {
      session.feed(piece);
      answer_all(session);
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(session_of_one_message);

/// One session for all messages.
void message_in_kept_session(benchmark::State& state) {
  const std::string data = message(4096, 0) + ".\r\n";
  Session session(options(), {}, nullptr);
  answer_all(session);
  session.feed("EHLO client.example\r\n");
  answer_all(session);
  AllocationCounter counter(state, "allocations/message");
  for (auto _ : state) {
    session.feed(kEnvelope);
    answer_all(session);
    session.feed(data);
    answer_all(session);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(message_in_kept_session);

}  // namespace
