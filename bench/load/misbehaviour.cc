#include "bench/load/misbehaviour.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

#include "bench/load/visit.h"

namespace postern::load {

using reactor::Reactor;
using reactor::Task;

namespace {

constexpr std::uint64_t kWhether = 1, kWhich = 2;  // streams of chance()
constexpr unsigned kSlowPieces = 10;
constexpr std::chrono::milliseconds kSlowPause{100};
constexpr std::size_t kGarbageOctets = 2048;
constexpr unsigned kGarbageReplies = 8;  // then we have seen enough

/// The message in pieces. True when it was accepted.
Task<bool> slowly(Core& core, Visit& visit, Ticket ticket) {
  const auto waits = co_await visit.announce(ticket);
  if (!waits.value_or(false)) co_return false;
  std::string_view rest = core.wire(ticket.number);
  const std::size_t piece = rest.size() / kSlowPieces + 1;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, piece);
    rest.remove_prefix(part.size());
    const auto sent = co_await visit.send("message", part);
    if (!sent) co_return false;
    const auto until = Clock::now() + kSlowPause;
    const auto slept = co_await Reactor::current().sleep_until(until, &core.scope);
    if (!slept) co_return false;
  }
  const auto answer = co_await visit.reply("end of data");
  co_return answer && answer->positive();
}

/// Half the message, then nothing.
Task<void> half(Core& core, Visit& visit, Ticket ticket) {
  const auto waits = co_await visit.announce(ticket);
  if (!waits.value_or(false)) co_return;
  const std::string_view wire = core.wire(ticket.number);
  const std::string_view part = wire.substr(0, wire.size() / 2);
  (void)co_await visit.send("message", part);  // counted; the end is the same
}

Task<void> nonsense(Visit& visit, Ticket ticket) {
  std::mt19937_64 random(ticket.number);
  std::string octets(kGarbageOctets, '\0');
  std::ranges::generate(octets, [&] { return static_cast<char>(random()); });
  for (std::size_t i = 31; i < octets.size(); i += 64) octets[i] = '\n';
  const auto sent = co_await visit.send("garbage", octets);
  if (!sent) co_return;
  for (unsigned i = 0; i < kGarbageReplies && visit.usable(); ++i) {
    const auto answer = co_await visit.reply("garbage");
    if (!answer) co_return;
  }
}

/// The whole dialogue before the banner; the message only when the server went along with it.
Task<bool> too_early(Core& core, Visit& visit, Ticket ticket) {
  const std::string commands = "EHLO " + core.options.helo + "\r\n" + visit.commands(ticket, true);
  const auto sent = co_await visit.send("early", commands);
  if (!sent) co_return false;
  int code = 0;
  for (unsigned i = 0; i < core.options.recipients_per_message + 4; ++i) {  // banner, EHLO, MAIL and DATA
    const auto answer = co_await visit.reply("early");
    if (!answer || !visit.usable()) co_return false;
    code = answer->code;
  }
  if (code != 354) co_return false;
  const auto delivered = co_await visit.send("message", core.wire(ticket.number));
  if (!delivered) co_return false;
  const auto answer = co_await visit.reply("end of data");
  co_return answer && answer->positive();
}

}  // namespace

std::optional<Misbehaviour> misbehaviour_of(const Options& options, std::uint64_t connection) {
  if (chance(options.seed, kWhether, connection) >= options.misbehave) return std::nullopt;
  const double which = chance(options.seed, kWhich, connection) * static_cast<double>(kMisbehaviours.size());
  return kMisbehaviours[std::min(static_cast<std::size_t>(which), kMisbehaviours.size() - 1)];
}

Task<void> misbehave(Core& core, Misbehaviour kind, std::uint64_t number, Ticket ticket) {
  ++core.tally.misbehaviours[static_cast<std::size_t>(kind)];
  Visit visit(core, number, false);
  const TlsSession none;
  const bool polite_so_far = kind == Misbehaviour::slow || kind == Misbehaviour::vanishes;
  std::expected<void, Outcome> begun;
  if (polite_so_far) {
    begun = co_await visit.open(none);
  } else {
    begun = co_await visit.dial();
  }
  bool accepted = false;
  if (begun) {
    switch (kind) {
      case Misbehaviour::slow:
        accepted = co_await slowly(core, visit, ticket);
        break;
      case Misbehaviour::vanishes:
        co_await half(core, visit, ticket);
        break;
      case Misbehaviour::garbage:
        co_await nonsense(visit, ticket);
        break;
      case Misbehaviour::early:
        accepted = co_await too_early(core, visit, ticket);
        break;
    }
  }
  if (accepted) ++core.tally.misbehaving_accepted;
  core.tally.misbehaved.add();
  // Every other one that goes without a word does so with a reset.
  const bool reset =
      kind == Misbehaviour::garbage || (kind == Misbehaviour::vanishes && ticket.number % 2 == 0);
  co_await visit.close(reset);
}

}  // namespace postern::load
