#include "bench/load/options.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <sstream>
#include <utility>

#include "bench/load/corpus.h"

namespace postern::load {
namespace {

constexpr std::string_view kNumber = "{n}";
constexpr double kSecondsMax = 7 * 24 * 3600;
constexpr double kRateMax = 1e8;

std::unexpected<Refusal> usage(std::string text) {
  return std::unexpected(Refusal{.exit_code = EX_USAGE, .text = std::move(text)});
}

std::chrono::nanoseconds from_seconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

/// HOST:PORT with a name for the host: the first address the system's resolver gives.
std::expected<reactor::Address, std::string> look_up(const std::string& target) {
  const std::size_t colon = target.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == target.size())
    return std::unexpected(fmt::format("--target: expected HOST:PORT, not '{}'", target));
  const std::string host = target.substr(0, colon), port = target.substr(colon + 1);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int trouble = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (trouble != 0) return std::unexpected(fmt::format("--target: {}: {}", target, ::gai_strerror(trouble)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
      std::array<std::uint8_t, 4> octets{};
      std::memcpy(octets.data(), &address->sin_addr, octets.size());
      return reactor::Address{.ip = filters::Ip::v4(octets), .port = ntohs(address->sin_port)};
    }
    if (entry->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      std::array<std::uint8_t, 16> octets{};
      std::memcpy(octets.data(), &address->sin6_addr, octets.size());
      return reactor::Address{.ip = filters::Ip::v6(octets), .port = ntohs(address->sin6_port)};
    }
  }
  return std::unexpected(fmt::format("--target: {}: no address", target));
}

/// What goes between "<" and ">" or behind EHLO must not be able to be more than that.
bool is_one_word(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '\x7f' && c != '<' && c != '>';
  });
}

/// What CLI11 fills in before it is checked.
struct Raw {
  Options options;
  double rate = 0, duration = 0, ramp = 0, timeout = 30;
  std::uint64_t messages = 0;
  bool pipelining = false;
};

void declare(CLI::App& app, Raw& raw) {
  Options& options = raw.options;
  const CLI::Range share(0.0, 1.0);
  app.add_option("--target", options.target_text, "HOST:PORT of any SMTP server")->required();
  app.add_option("--rcpt", options.recipients,
                 "recipient, repeatable, taken in turn; {n} is a number of the population")
      ->required();
  app.add_option("--rcpts", options.recipients_per_message, "recipients of each message")
      ->check(CLI::Range(1U, Options::kRecipientsMax))
      ->capture_default_str();
  app.add_option("--from", options.sender, "sender; {n} as above; empty: the null sender")
      ->capture_default_str();
  app.add_option("--population", options.population, "{n} goes from 0 to this, exclusive")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--helo", options.helo, "name in EHLO")->capture_default_str();
  app.add_option("--connections", options.connections, "at the same time")
      ->check(CLI::Range(1U, Options::kConnectionsMax))
      ->capture_default_str();
  app.add_option("--idle", options.idle_connections, "further connections that say EHLO and then nothing")
      ->check(CLI::Range(0U, Options::kConnectionsMax))
      ->capture_default_str();
  app.add_option("--messages-per-connection", options.messages_per_connection, "0: no limit")
      ->capture_default_str();
  app.add_option("--rate", raw.rate,
                 "messages per second, whatever the server does (open loop); without it, as fast as "
                 "the connections get replies (closed loop)")
      ->check(CLI::Range(0.001, kRateMax));
  app.add_option("--duration", raw.duration, "seconds; 10 unless --messages is given")
      ->check(CLI::Range(0.001, kSecondsMax));
  app.add_option("--messages", raw.messages, "how many in all")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  app.add_option("--ramp", raw.ramp, "seconds over which the connections begin")
      ->check(CLI::Range(0.0, kSecondsMax));
  app.add_option("--timeout", raw.timeout, "seconds for every single wait")
      ->check(CLI::Range(0.001, kSecondsMax))
      ->capture_default_str();
  app.add_option("--cores", options.cores, "threads with an io_uring of their own")
      ->check(CLI::Range(1U, Options::kCoresMax))
      ->capture_default_str();
  app.add_option("--corpus", options.corpus,
                 "messages to send: a file (message, mbox, tar) or folder (Maildir, any)");
  app.add_option("--size", options.sizes, "octets of made-up messages, repeatable, taken in turn")
      ->check(CLI::Range(Corpus::kGeneratedOctetsMin, Corpus::kMessageOctetsMax))
      ->capture_default_str();
  app.add_option("--spam", options.spam, "a second corpus");
  app.add_option("--spam-share", options.spam_share, "how much of the traffic comes from it, 0 to 1")
      ->check(share);
  app.add_flag("--tls", options.tls, "STARTTLS on every connection; certificates are not verified");
  app.add_flag("--implicit-tls", options.implicit_tls, "TLS from the first octet");
  app.add_flag("--resume", options.resume, "offer the session of the connection before");
  app.add_flag("--pipelining,!--no-pipelining", raw.pipelining,
               "MAIL, RCPT and DATA in one go; by default if announced");
  app.add_option("--misbehave", options.misbehave,
                 "share of connections, 0 to 1, that are slow, vanish, talk early or "
                 "talk nonsense")
      ->check(share);
  app.add_option("--seed", options.seed, "of every random choice")->capture_default_str();
  app.add_flag("--json", options.json, "report as JSON on standard output");
  app.add_option("--plot", options.plot, "write an HTML page with throughput and latency over time");
}

std::expected<Options, Refusal> checked(Raw raw, const CLI::App& app) {
  Options options = std::move(raw.options);
  if (app.count("--rate") > 0) options.rate = raw.rate;
  if (app.count("--messages") > 0) options.messages = raw.messages;
  if (app.count("--duration") > 0) {
    options.duration = from_seconds(raw.duration);
  } else if (!options.messages) {
    options.duration = std::chrono::seconds(10);
  }
  options.ramp = from_seconds(raw.ramp);
  options.timeout = from_seconds(raw.timeout);
  if (app.count("--pipelining") > 0)
    options.pipelining = raw.pipelining ? Pipelining::always : Pipelining::never;

  for (const std::string& recipient : options.recipients)
    if (recipient.empty() || !is_one_word(recipient))
      return usage(fmt::format("--rcpt: '{}' is no address", recipient));
  if (!is_one_word(options.sender)) return usage(fmt::format("--from: '{}' is no address", options.sender));
  if (options.helo.empty() || !is_one_word(options.helo))
    return usage(fmt::format("--helo: '{}' is no name", options.helo));
  if (options.tls && options.implicit_tls) return usage("--tls and --implicit-tls exclude each other");
  if (options.resume && !options.tls && !options.implicit_tls)
    return usage("--resume needs --tls or --implicit-tls");
  if (options.spam.empty() != (options.spam_share == 0))
    return usage("--spam and --spam-share need each other");
  if (!options.corpus.empty() && app.count("--size") > 0)
    return usage("--corpus and --size exclude each other");
  if (options.sizes.size() > Options::kSizesMax)
    return usage(fmt::format("--size: more than {} of them", Options::kSizesMax));
  options.cores = std::min(options.cores, options.connections);

  auto address = reactor::Address::parse(options.target_text);
  if (address && address->port == 0 && !address->is_unix()) return usage("--target: the port is missing");
  if (address) {
    options.target = std::move(*address);
  } else {
    auto found = look_up(options.target_text);
    if (!found) return usage(std::move(found.error()));
    options.target = std::move(*found);
  }
  return options;
}

}  // namespace

std::expected<Options, Refusal> parse_options(int count, const char* const* arguments) {
  CLI::App app("Sends mail to an SMTP server and measures how it bears it.", "postern_load");
  Raw raw;
  declare(app, raw);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    const int code = app.exit(error, out, out);
    return std::unexpected(Refusal{.exit_code = code == 0 ? 0 : EX_USAGE, .text = out.str()});
  }
  return checked(std::move(raw), app);
}

std::string with_number(std::string_view pattern, std::uint64_t number) {
  std::string text;
  for (;;) {
    const std::size_t at = pattern.find(kNumber);
    text += pattern.substr(0, at);
    if (at == std::string_view::npos) return text;
    text += fmt::format_int(number).c_str();
    pattern.remove_prefix(at + kNumber.size());
  }
}

}  // namespace postern::load
