#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/smtp/client/envelope.h"
#include "gateway/smtp/client/outbound.h"
#include "gateway/smtp/client/reply_reader.h"

namespace postern::smtp::client {

/// Send these command lines; replies are owed for them.
struct SayGroup {
  std::string lines;
};
/// Wait for one reply, then replied().
struct AwaitReply {
  AttemptStage stage;
};
/// Send the message: encoded for DATA, or, where chunked, `lines` and then its octets as they are. Then body_sent().
struct SendBody {
  bool chunked = false;
  bool nothing = false;  ///< nobody is to get it: only the end of data
  std::string lines;
};
/// results() is complete.
struct TransactionDone {};
using TransactionStep = std::variant<SayGroup, AwaitReply, SendBody, TransactionDone>;

/// One mail transaction as a pure machine (RFC 5321 §3.3, LMTP: RFC 2033), pipelined where offered (RFC 2920). Replies in, steps
/// out. One result for each recipient, whatever the server does.
class TransactionDialogue {
 public:
  /// Commands sent before their replies are read: replies to these fit into any socket's buffer, so that both sides never wait for
  /// each other (RFC 2920 §3.1).
  static constexpr std::size_t kGroupCommandsMax = 100;

  /// `octets`: of the message as it will be sent, for BDAT. `reset_first`: the last transaction on this connection was left open.
  TransactionDialogue(EnvelopePlan plan, bool pipelining, bool lmtp, bool dsn, std::uint64_t octets,
                      bool reset_first);

  TransactionStep next();
  void replied(const ServerReply& reply);
  void body_sent();
  /// The connection is lost, or the wait for a reply was too long: our own sentence says how.
  void lost(std::string_view text);

  std::vector<RecipientResult> results() && { return std::move(results_); }
  /// RSET must come before the next MAIL.
  bool reset_owed() const { return reset_owed_; }
  /// The server closes, or nobody knows what it will say next.
  bool unusable() const { return unusable_; }

 private:
  enum class What : std::uint8_t { rset, mail, rcpt, data, message, nothing };
  struct Owed {
    What what;
    std::size_t recipient = 0;
  };
  enum class Phase : std::uint8_t { commands, body, replies, done };

  static AttemptStage stage_of(What what);
  std::string next_group();
  void on_data_reply(const ServerReply& reply);
  void on_message_reply(const Owed& owed, const ServerReply& reply);
  void settle_all(const RecipientResult& result);
  void settle(std::size_t recipient, RecipientResult result);
  void set_delivered(std::size_t recipient, const ServerReply& reply);
  void owe_message_replies();
  void finish() { phase_ = Phase::done; }

  EnvelopePlan plan_;
  const bool pipelining_, lmtp_, dsn_;
  const std::uint64_t octets_;
  std::vector<RecipientResult> results_;
  std::vector<std::uint8_t> settled_;
  std::vector<std::size_t> accepted_;  ///< recipients the server took, in order
  std::deque<Owed> owed_;
  std::size_t next_recipient_ = 0;
  Phase phase_ = Phase::commands;
  bool reset_first_, mail_said_ = false, mail_accepted_ = false, data_said_ = false, body_sent_ = false;
  bool reset_owed_ = false, unusable_ = false;
};

/// What a reply to RCPT means: RFC 5321 §4.5.3.1.10 has 552 stand for "too many recipients", which is 452.
RecipientResult refused_recipient(const ServerReply& reply);

}  // namespace postern::smtp::client
