#include "bench/load/visit.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace postern::load {

using reactor::Errc;
using reactor::Error;
using reactor::Task;

namespace {

constexpr std::uint64_t kPortsPerSource = 20'000;  // of the kernel's 28,231 for outgoing connections
constexpr int kServiceClosing = 421;               // RFC 5321 §3.8: the connection ends with it
constexpr int kStartMail = 354;
constexpr std::chrono::seconds kFarewell{5};  // for the reply to QUIT

}  // namespace

reactor::Address source_for(const reactor::Address& target, std::uint64_t number) {
  if (!target.ip.is_v4() || !target.ip.is_loopback() || number < kPortsPerSource) return {};
  const std::uint64_t block = number / kPortsPerSource;
  const std::array<std::uint8_t, 4> octets = {127, 0, static_cast<std::uint8_t>(1 + block / 250 % 250),
                                              static_cast<std::uint8_t>(1 + block % 250)};
  return {.ip = filters::Ip::v4(octets), .port = 0};
}

Visit::Visit(Core& core, std::uint64_t number, bool honest)
    : core_(core), channel_(core.scope), number_(number), honest_(honest) {}

std::unexpected<Outcome> Visit::broken(std::string_view phase, const Error& error) {
  usable_ = false;
  if (error.code == Errc::cancelled && core_.scope.cancelled()) return std::unexpected(Outcome::unfinished);
  incidents().error(phase, error);
  return std::unexpected(Outcome::failed);
}

void Visit::time(Stage stage, Clock::time_point since) {
  if (honest_) core_.tally.stage(stage).record(Clock::now() - since);
}

Task<std::expected<void, Outcome>> Visit::send(std::string_view phase, std::string_view octets) {
  const auto sent = co_await channel_.send(octets, deadline());
  if (!sent) co_return broken(phase, sent.error());
  co_return std::expected<void, Outcome>();
}

Task<std::expected<Reply, Outcome>> Visit::reply(std::string_view phase) {
  auto received = co_await channel_.reply(deadline());
  if (!received) co_return broken(phase, received.error());
  incidents().reply(received->code);
  if (received->code == kServiceClosing) usable_ = false;
  co_return std::move(*received);
}

Task<std::expected<Reply, Outcome>> Visit::command(std::string_view phase, std::string_view line) {
  const auto sent = co_await send(phase, line);
  if (!sent) co_return std::unexpected(sent.error());
  auto answer = co_await reply(phase);
  co_return answer;
}

Task<std::expected<void, Outcome>> Visit::dial() {
  Tally& tally = core_.tally;
  const reactor::Address from = source_for(core_.options.target, number_);
  const auto connected = co_await channel_.connect(core_.options.target, from, deadline());
  if (!connected) {
    ++tally.connect_failures;
    co_return broken("connect", connected.error());
  }
  ++tally.connections;
  tally.open_now.add();
  open_ = usable_ = true;
  co_return std::expected<void, Outcome>();
}

Task<std::expected<void, Outcome>> Visit::open(const TlsSession& session) {
  const Options& options = core_.options;
  const Clock::time_point started = Clock::now();
  const auto dialled = co_await dial();
  if (!dialled) co_return std::unexpected(dialled.error());
  if (options.implicit_tls) {
    const auto secured = co_await secure(session);
    if (!secured) co_return std::unexpected(secured.error());
  }
  const auto banner = co_await reply("banner");
  if (!banner) co_return std::unexpected(banner.error());
  if (!banner->positive()) co_return std::unexpected(Outcome::refused);
  time(Stage::connect, started);

  auto greeted = co_await greet();
  if (!greeted) co_return std::unexpected(greeted.error());
  if (!greeted->positive()) co_return std::unexpected(Outcome::refused);
  if (options.tls) {
    if (!greeted->announces("STARTTLS")) {
      const Error missing{
          .code = Errc::tls, .system_error = 0, .context = "the server does not offer STARTTLS"};
      co_return broken("STARTTLS", missing);
    }
    const auto ready = co_await command("STARTTLS", "STARTTLS\r\n");
    if (!ready) co_return std::unexpected(ready.error());
    if (!ready->positive()) co_return std::unexpected(Outcome::refused);
    const auto secured = co_await secure(session);
    if (!secured) co_return std::unexpected(secured.error());
    greeted = co_await greet();  // RFC 3207 §4.2: what was said before counts no more
    if (!greeted) co_return std::unexpected(greeted.error());
    if (!greeted->positive()) co_return std::unexpected(Outcome::refused);
  }
  pipelining_ = options.pipelining == Pipelining::always ||
                (options.pipelining == Pipelining::announced && greeted->announces("PIPELINING"));
  co_return std::expected<void, Outcome>();
}

Task<std::expected<Reply, Outcome>> Visit::greet() {
  const std::string ehlo = "EHLO " + core_.options.helo + "\r\n";
  auto answer = co_await command("EHLO", ehlo);
  if (!answer || answer->positive() || !usable_) co_return answer;
  const std::string helo =
      "HELO " + core_.options.helo + "\r\n";  // RFC 5321 §3.2, for servers that know nothing newer
  answer = co_await command("HELO", helo);
  co_return answer;
}

Task<std::expected<void, Outcome>> Visit::secure(const TlsSession& session) {
  const Clock::time_point started = Clock::now();
  SSL_SESSION* const offered = core_.options.resume ? session.get() : nullptr;
  const auto secured = co_await channel_.start_tls(core_.tls, offered, deadline());
  if (!secured) co_return broken("handshake", secured.error());
  ++core_.tally.handshakes;
  if (channel_.resumed()) ++core_.tally.resumptions;
  time(Stage::tls, started);
  co_return std::expected<void, Outcome>();
}

std::string Visit::commands(const Ticket& ticket, bool with_data) const {
  const Options& options = core_.options;
  std::string lines =
      "MAIL FROM:<" + with_number(options.sender, ticket.number % options.population) + ">\r\n";
  for (unsigned i = 0; i < options.recipients_per_message; ++i) {
    const std::uint64_t turn = ticket.number * options.recipients_per_message + i;
    const std::string& pattern = options.recipients[turn % options.recipients.size()];
    lines +=
        "RCPT TO:<" + with_number(pattern, turn / options.recipients.size() % options.population) + ">\r\n";
  }
  if (with_data) lines += "DATA\r\n";
  return lines;
}

void Visit::note_recipient(const Reply& reply, unsigned& accepted) {
  if (reply.positive()) ++accepted;
  if (honest_) ++(reply.positive() ? core_.tally.recipients_accepted : core_.tally.recipients_refused);
}

Task<std::expected<bool, Outcome>> Visit::announce_in_one_go(const Ticket& ticket) {
  const Clock::time_point started = Clock::now();
  const std::string group = commands(ticket, true);
  const auto sent = co_await send("commands", group);  // RFC 2920 §3.1: DATA ends the group
  if (!sent) co_return std::unexpected(sent.error());
  const auto mail = co_await reply("MAIL");
  if (!mail) co_return std::unexpected(mail.error());
  unsigned accepted = 0;
  for (unsigned i = 0; i < core_.options.recipients_per_message && usable_; ++i) {
    const auto recipient = co_await reply("RCPT");
    if (!recipient) co_return std::unexpected(recipient.error());
    note_recipient(*recipient, accepted);
  }
  time(Stage::envelope, started);
  if (!usable_) co_return std::unexpected(Outcome::refused);
  const auto data = co_await reply("DATA");
  if (!data) co_return std::unexpected(data.error());
  auto settled = co_await settle(data->code, accepted);
  co_return settled;
}

Task<std::expected<bool, Outcome>> Visit::announce_step_by_step(const Ticket& ticket) {
  const Clock::time_point started = Clock::now();
  const std::string all = commands(ticket, false);
  std::string_view rest = all;
  unsigned accepted = 0;
  for (bool mail = true; !rest.empty(); mail = false) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    const std::string_view phase = mail ? "MAIL" : "RCPT";
    const auto answer = co_await command(phase, line);
    if (!answer) co_return std::unexpected(answer.error());
    if (!usable_) co_return std::unexpected(Outcome::refused);
    if (!mail) note_recipient(*answer, accepted);
    if (mail && !answer->positive()) break;
  }
  time(Stage::envelope, started);
  int data_code = 0;
  if (accepted > 0) {
    const auto data = co_await command("DATA", "DATA\r\n");
    if (!data) co_return std::unexpected(data.error());
    data_code = data->code;
  }
  auto settled = co_await settle(data_code, accepted);
  co_return settled;
}

/// After the reply to DATA (0: it was not said).
Task<std::expected<bool, Outcome>> Visit::settle(int data_code, unsigned accepted) {
  if (!usable_) co_return std::unexpected(Outcome::refused);
  if (data_code == kStartMail && accepted > 0) co_return true;
  // RFC 2920 §3.1: a server that says 354 although it took no recipient gets an empty message.
  const bool waits = data_code == kStartMail;
  const std::string_view phase = waits ? "end of data" : "RSET";
  const std::string_view line = waits ? ".\r\n" : "RSET\r\n";
  const auto ended = co_await command(phase, line);
  if (!ended) co_return std::unexpected(ended.error());
  co_return false;
}

Task<std::expected<bool, Outcome>> Visit::announce(Ticket ticket) {
  if (pipelining_) {
    auto announced = co_await announce_in_one_go(ticket);
    co_return announced;
  }
  auto announced = co_await announce_step_by_step(ticket);
  co_return announced;
}

Task<Outcome> Visit::deliver(Ticket ticket) {
  const auto waits = co_await announce(ticket);
  if (!waits) co_return waits.error();
  if (!*waits) co_return Outcome::refused;
  const std::string_view wire = core_.wire(ticket.number);
  const Clock::time_point started = Clock::now();
  const auto sent = co_await send("message", wire);
  if (!sent) co_return sent.error();
  const auto answer = co_await reply("end of data");
  if (!answer) co_return answer.error();
  if (!answer->positive()) co_return Outcome::refused;
  time(Stage::data, started);
  const Clock::time_point now = Clock::now();
  if (honest_) core_.tally.note_accepted(wire.size(), now - ticket.intended, now - core_.start);
  co_return Outcome::accepted;
}

bool Visit::lost() const {
  return !usable_ || channel_.input_waiting();
}

Task<void> Visit::leave() {
  if (usable_ && !core_.scope.cancelled()) {
    const reactor::Deadline until =
        Clock::now() + std::min<std::chrono::nanoseconds>(kFarewell, core_.options.timeout);
    const auto sent = co_await channel_.send("QUIT\r\n", until);
    if (sent) {
      const auto answer = co_await channel_.reply(until);
      if (answer) incidents().reply(answer->code);
      if (!answer && answer.error().code != Errc::cancelled) incidents().error("QUIT", answer.error());
    }
  }
  co_await close();
}

Task<void> Visit::close(bool reset) {
  usable_ = false;
  co_await channel_.close(reset);
  if (std::exchange(open_, false)) core_.tally.open_now.subtract(1);
}

}  // namespace postern::load
