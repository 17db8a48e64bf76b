#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/reactor/socket.h"

namespace postern::load {

enum class Pipelining : std::uint8_t {
  announced,  ///< where the server says PIPELINING
  always,
  never,
};

/// What a run does, checked.
struct Options {
  static constexpr unsigned kConnectionsMax = 1'000'000;
  static constexpr unsigned kCoresMax = 1024;
  static constexpr unsigned kRecipientsMax = 10'000;  ///< of one message
  static constexpr unsigned kSizesMax = 1000;         ///< made-up messages

  std::string target_text;
  reactor::Address target;
  std::vector<std::string> recipients;  ///< "{n}" stands for a number below the population
  std::string sender = "load@client.example";
  std::string helo = "load.client.example";
  std::uint64_t population = 1000;
  unsigned recipients_per_message = 1;

  unsigned connections = 1;
  unsigned idle_connections = 0;  ///< held open beside them, after EHLO
  unsigned cores = 1;
  unsigned messages_per_connection = 1;  ///< 0: as many as there are
  std::optional<double> rate;            ///< messages per second: open loop
  std::optional<std::uint64_t> messages;
  std::optional<std::chrono::nanoseconds> duration;
  std::chrono::nanoseconds ramp{};                              ///< connections begin over this time
  std::chrono::nanoseconds timeout = std::chrono::seconds(30);  ///< for every single wait

  std::string corpus;  ///< empty: made-up messages of `sizes`
  std::vector<std::size_t> sizes = {4096};
  std::string spam;
  double spam_share = 0;  ///< of the messages, taken from `spam`

  bool tls = false;           ///< STARTTLS
  bool implicit_tls = false;  ///< TLS from the first octet
  bool resume = false;        ///< each connection offers its predecessor's session
  Pipelining pipelining = Pipelining::announced;
  double misbehave = 0;  ///< share of the connections
  std::uint64_t seed = 1;
  bool json = false;
  std::string plot;  ///< a file for an HTML page with the run over time; empty: none
};

/// The run is not to be: text for the user, and the exit code (0 for --help).
struct Refusal {
  int exit_code = 0;
  std::string text;
};

/// Reads the command line. Looks the target's host up, which may block; nothing else leaves the process.
std::expected<Options, Refusal> parse_options(int count, const char* const* arguments);

/// "user{n}@test.example" with its number.
std::string with_number(std::string_view pattern, std::uint64_t number);

}  // namespace postern::load
