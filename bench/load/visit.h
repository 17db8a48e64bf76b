#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "bench/load/channel.h"
#include "bench/load/core.h"

namespace postern::load {

/// How a message, or the attempt to send one, ended.
enum class Outcome : std::uint8_t {
  accepted,
  refused,     ///< by a reply of the server, wherever in the dialogue
  failed,      ///< by anything else: the connection, a timeout, nonsense
  unfinished,  ///< the run was over before
};

/// One connection and its dialogue (RFC 5321 §3): open(), any number of deliver(), leave(). What is said and what
/// goes wrong is counted on the way.
class Visit {
 public:
  /// `number` is unique among the connections that are open at the same time, over all cores. `honest` says where
  /// to count.
  Visit(Core& core, std::uint64_t number, bool honest);

  /// Connects and greets; STARTTLS where the options say so, offering `session`.
  reactor::Task<std::expected<void, Outcome>> open(const TlsSession& session);
  /// The connection alone, without waiting for the banner.
  reactor::Task<std::expected<void, Outcome>> dial();
  reactor::Task<Outcome> deliver(Ticket ticket);
  /// MAIL and RCPT, and DATA: true when the server waits for the message and has accepted a recipient. A refused
  /// transaction is ended by RSET.
  reactor::Task<std::expected<bool, Outcome>> announce(Ticket ticket);
  /// QUIT where that makes sense, then close.
  reactor::Task<void> leave();
  reactor::Task<void> close(bool reset = false);

  reactor::Task<std::expected<void, Outcome>> send(std::string_view phase, std::string_view octets);
  reactor::Task<std::expected<Reply, Outcome>> reply(std::string_view phase);

  /// Another message can be sent.
  bool usable() const { return usable_; }
  /// The server has closed, or said something unasked.
  bool lost() const;
  TlsSession take_session() { return channel_.take_session(); }
  /// MAIL and all RCPT of a ticket, each with CRLF, and DATA if wanted.
  std::string commands(const Ticket& ticket, bool with_data) const;

 private:
  reactor::Task<std::expected<Reply, Outcome>> command(std::string_view phase, std::string_view line);
  reactor::Task<std::expected<Reply, Outcome>> greet();
  reactor::Task<std::expected<void, Outcome>> secure(const TlsSession& session);
  reactor::Task<std::expected<bool, Outcome>> announce_in_one_go(const Ticket& ticket);
  reactor::Task<std::expected<bool, Outcome>> announce_step_by_step(const Ticket& ticket);
  reactor::Task<std::expected<bool, Outcome>> settle(int data_code, unsigned accepted);
  std::unexpected<Outcome> broken(std::string_view phase, const reactor::Error& error);
  void note_recipient(const Reply& reply, unsigned& accepted);
  reactor::Deadline deadline() const { return Clock::now() + core_.options.timeout; }
  Incidents& incidents() { return honest_ ? core_.tally.incidents : core_.tally.misbehaving_incidents; }
  void time(Stage stage, Clock::time_point since);

  Core& core_;
  Channel channel_;
  const std::uint64_t number_;
  const bool honest_;
  bool open_ = false;  // counted in open_now
  bool usable_ = false;
  bool pipelining_ = false;
};

/// The source address of a connection: the system's choice, except that one loopback address has ports for some
/// tens of thousands only.
reactor::Address source_for(const reactor::Address& target, std::uint64_t number);

}  // namespace postern::load
