#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "filters/ip.h"
#include "gateway/smtp/body.h"
#include "gateway/smtp/command.h"
#include "gateway/smtp/data_decoder.h"
#include "gateway/smtp/grammar.h"
#include "gateway/smtp/reply.h"
#include "gateway/smtp/session_replies.h"

namespace postern::smtp {

enum class Protocol : std::uint8_t { smtp, lmtp };

/// Every bound of a session has its name here. Zero is never "unlimited".
struct SessionLimits {
  /// With CRLF; RFC 5321 §4.5.3.1.4 asks for 512 plus what extensions add.
  std::size_t command_octets_max = 2048;
  /// §4.5.3.1.6 says 1000; longer is common in real mail, so a fact, not a refusal.
  std::size_t text_line_octets_max = 0x7fffffff;
  std::uint64_t message_octets_max = 26'214'400;
  std::size_t recipients_max = 1000;   ///< §4.5.3.1.8: at least 100; 452 beyond, so that the rest is retried
  unsigned errors_max = 20;            ///< replies 5xx to commands; then 421 and close
  unsigned commands_max = 10'000;      ///< per session
  unsigned idle_commands_max = 100;    ///< NOOP, RSET, VRFY, HELP, failed EHLO … between two transactions
  unsigned transactions_max = 10'000;  ///< per session
  std::chrono::seconds command_timeout{300};  ///< §4.5.3.2.7
  std::chrono::seconds data_timeout{180};     ///< between two pieces of data, §4.5.3.2.5
  std::chrono::seconds session_timeout{7200};
};

struct SessionOptions {
  std::string hostname;
  std::string software = "Postern";  ///< after ESMTP in the greeting
  Protocol protocol = Protocol::smtp;
  SessionLimits limits;
  BareLineEndings bare_line_endings = BareLineEndings::reject;
  bool tls_available = false;  ///< STARTTLS is offered
  bool tls_required = false;   ///< MAIL before STARTTLS answers 530 5.7.0
  /// AUTH is offered under TLS with these mechanisms (RFC 4954), separated by blanks; empty: there is no AUTH.
  std::string auth_mechanisms;
  bool auth_required = false;    ///< MAIL before AUTH answers 530 5.7.0
  bool xclient_allowed = false;  ///< this client's network may use XCLIENT
  bool local_network = false;    ///< exempt from errors_max etc. (limits.unlimited_from)
};

/// Figures of one visit, for the session's log line.
struct SessionCounts {
  unsigned commands = 0, errors = 0, transactions = 0, accepted = 0, recipients = 0, refused_recipients = 0;
  std::uint64_t octets_in = 0, octets_out = 0, bare_line_endings = 0;
};

/// The client as the session sees it. XCLIENT may change it.
struct ClientInfo {
  filters::Ip ip;
  std::uint16_t port = 0;
  std::string name;  ///< verified reverse name or empty
};

/// One recipient the driver accepted.
struct AcceptedRecipient {
  RcptCommand command;
  std::string as_given;  ///< the path as typed, for logs
};

/// One MAIL … end of data.
struct Transaction {
  MailCommand mail;
  std::vector<AcceptedRecipient> recipients;
  Body body;
  bool chunked = false;     ///< came by BDAT
  bool normalized = false;  ///< bare line endings were turned into CRLF
};

/// What the client says inside AUTH. The base64 is untouched.
struct AuthInput {
  std::string mechanism;              ///< as typed, one that is offered
  bool begins = false;                ///< the command itself; else the answer to a challenge
  std::optional<std::string> base64;  ///< none: AUTH came without an initial response
};

/// Where the driver must be asked. The session waits until decide() was called.
enum class Stage : std::uint8_t {
  connect,  ///< before the greeting; positive: greet with it (a 220 with empty text means the standard greeting)
  helo,     ///< EHLO, HELO, LHLO
  auth,  ///< pending_auth(): 235 lets in, 334 with the challenge in base64 as its text goes on, all else refuses
  mail,     ///< pending_mail()
  rcpt,     ///< pending_rcpt()
  data,     ///< DATA or first BDAT; positive means 354 is sent or the chunk is taken
  message,  ///< end of data: take_transaction(), then decide() once (SMTP) or decide_each() (LMTP)
};

/// Flush take_output(), then wait for octets until `timeout` has passed.
struct NeedInput {
  std::chrono::seconds timeout;
};
struct Ask {
  Stage stage;
};
/// Flush, then handshake with rest_of_input() as its first octets, then tls_established().
struct StartTls {};
/// Flush, then close.
struct Close {
  bool abortive = false;  ///< TLS or SSH instead of commands: no farewell
  std::string cause;      ///< for the log: quit, errors, timeout, http, …
};
using Step = std::variant<NeedInput, Ask, StartTls, Close>;

/// Hears of every reply to a command, for metrics. Called inside next(), decide() and decide_each(): it must not call the
/// session.
class ReplyObserver {
 public:
  /// `reply` is the wire form, with all its lines; valid during the call only. The end of data counts as DATA or BDAT.
  virtual void replied(Verb verb, std::string_view reply) = 0;

 protected:
  ~ReplyObserver() = default;
};

/// One client's visit as a pure machine (RFC 5321 and its extensions): octets in, steps out. Owns no socket, no clock, no thread.
/// The driver loops: next(); on NeedInput sends take_output() and feeds what came; on Ask consults policy and decides. Replies to
/// pipelined commands gather in the output until the input is used up (RFC 2920 §3.2).
class Session {
 public:
  Session(SessionOptions options, ClientInfo client, BodyBudget* budget);

  Step next();
  /// Gives octets just received. The view must stay valid until next() returned NeedInput, or keep_input() was called.
  void feed(std::string_view octets);
  /// Copies what is left of the fed octets, so that the driver may release its buffer and await something.
  void keep_input();
  /// Answers the last Ask. A negative reply refuses the stage; the text is sent as given.
  void decide(Reply reply, bool close = false);
  /// LMTP after the final dot: one reply per accepted recipient, in order (RFC 2033 §4.2).
  void decide_each(std::vector<Reply> replies);
  /// The replies gathered, moved out.
  std::string take_output();
  bool has_output() const { return !output_.empty(); }
  std::size_t output_octets() const { return output_.size(); }
  /// Null: nobody. It must live as long as the session is used.
  void observe(ReplyObserver* observer) { observer_ = observer; }

  /// TLS is on (after StartTls, or from the start on an implicit-TLS listener). Forgets all the client said (RFC 3207 §4.2).
  void tls_established(bool implicit = false);
  /// What the client sent behind STARTTLS: never executed.
  std::string rest_of_input();
  /// Ends the visit at the next step: timeout (421 4.4.2), shutdown (421 4.3.2), overload …
  void interrupt(Reply farewell, std::string cause);
  /// True at a command boundary outside a transaction's data: a drain may interrupt now.
  bool at_command_boundary() const;

  const AuthInput& pending_auth() const { return pending_auth_; }
  /// AUTH has succeeded.
  bool authenticated() const { return authenticated_; }
  const MailCommand& pending_mail() const { return pending_mail_; }
  const RcptCommand& pending_rcpt() const { return pending_rcpt_; }
  std::string_view pending_rcpt_text() const { return pending_rcpt_text_; }
  const MailCommand* mail() const;  ///< of the transaction under way, or null
  std::size_t recipients() const;
  /// At Stage::message: moves the finished transaction out.
  Transaction take_transaction();

  /// The name given at EHLO, HELO or LHLO; at Stage::helo the one that is asked about.
  const std::string& helo() const {
    return phase_ == Phase::asking && stage_ == Stage::helo ? pending_helo_ : helo_;
  }
  /// RFC 3848: SMTP, ESMTP, ESMTPS, LMTP, LMTPS, UTF8SMTP, UTF8SMTPS … for the current transaction.
  std::string protocol_name() const;
  const ClientInfo& client() const { return client_; }
  bool xclient_used() const { return xclient_used_; }
  bool tls_active() const { return tls_active_; }
  /// Sent commands in a batch before EHLO told of PIPELINING, or after HELO (RFC 2920 §3.1).
  bool pipelined_early() const { return pipelined_early_; }
  const SessionCounts& counts() const { return counts_; }
  /// The last command line that was refused and the reply, for the log; empty when none.
  const std::string& last_refusal() const { return last_refusal_; }

 private:
  enum class Phase : std::uint8_t { greeting, command, auth, asking, data, chunk, starttls, closed };
  /// Where MAIL … end of data stands. `failed`: a chunk was refused, only RSET, a new hello or the LAST chunk lead out.
  enum class Progress : std::uint8_t { none, open, chunks, failed };

  // session.cc: input, lines, asking and deciding.
  bool read_command();
  bool take_line();
  bool hold(std::string_view part);
  void drop_line();
  void refuse_line(const replies::Fixed& reply, std::string_view line);
  void ask(Stage stage, std::string_view line);
  NeedInput need_input(std::chrono::seconds timeout);
  void decide_message(std::span<Reply> given);
  std::string& out();
  void say(const replies::Fixed& reply);
  void say(const Reply& reply);
  void say_positive(const Reply& reply, const replies::Fixed& standard);
  void note_refusal(int code, std::string_view wire, bool count);
  void tell(std::string_view wire);
  void hang_up(const replies::Fixed& reply, std::string_view cause);
  void close(std::string_view cause, bool abortive = false);
  bool exempt() const { return options_.local_network; }
  bool lmtp() const { return options_.protocol == Protocol::lmtp; }

  // session_commands.cc: one function for each command.
  void execute(std::string_view line, bool bare);
  void execute_too_long(std::string_view beginning, bool bare);
  void close_foreign(const CommandLine& command);
  bool between_the_lines(const CommandLine& command, bool bare);
  bool out_of_patience(Verb verb);
  void dispatch(const CommandLine& command, std::string_view line);
  void on_hello(const CommandLine& command, std::string_view line);
  void on_mail(std::string_view argument, std::string_view line);
  void on_rcpt(std::string_view argument, std::string_view line);
  void on_vrfy(std::string_view argument);
  void on_starttls();
  void on_xclient(std::string_view argument);
  bool apply(XclientCommand command);
  void on_quit();
  void greet(const Reply& reply);
  void say_hello();
  void reset_transaction();

  // session_auth.cc: AUTH and the lines inside it.
  void on_auth(std::string_view argument, std::string_view line);
  void on_auth_line(std::string_view line, bool bare);
  void decide_auth(const Reply& reply);
  bool offers_auth() const { return !options_.auth_mechanisms.empty() && tls_active_ && !authenticated_; }

  // session_data.cc: DATA, BDAT and what becomes of the message.
  void on_data(std::string_view line);
  void on_bdat(std::string_view argument, std::string_view line);
  const replies::Fixed* chunk_refusal(std::uint64_t octets) const;
  void start_decoder(DataFraming framing);
  void start_data(const Reply& reply);
  void start_chunks(const Reply& reply);
  void fail_chunk(std::string_view wire, int code);
  void read_data();
  void read_chunk();
  void end_chunk();
  void end_refused_chunk();
  void end_message();
  void refuse_message(const replies::Fixed& reply);

  SessionOptions options_;
  ClientInfo client_;
  BodyBudget* budget_;
  ReplyObserver* observer_ = nullptr;
  std::string output_, helo_, pending_helo_, pending_rcpt_text_, last_refusal_, cause_;
  std::string_view input_;  ///< fed and not yet consumed; points into the driver's buffer or into kept_
  std::string kept_;        ///< keep_input() and what was fed while input was left
  std::string line_;        ///< the beginning of a command line whose end has not come
  std::string asked_line_;  ///< what the last Ask was about, for last_refusal()
  std::string_view current_line_;  ///< the command being executed
  std::size_t line_octets_ = 0;    ///< of the line under way, also of what was dropped
  std::string refusal_;  ///< wire form: the answer to the chunk being thrown away; empty: the chunk is taken
  int refusal_code_ = 0;
  std::uint64_t chunk_left_ = 0;
  AuthInput pending_auth_;
  MailCommand pending_mail_;
  RcptCommand pending_rcpt_;
  Transaction transaction_;
  DataDecoder decoder_;
  SessionCounts counts_;
  /// Of the message at Stage::message: its recipients may have been moved out.
  std::size_t message_recipients_ = 0;
  unsigned idle_commands_ = 0, mail_commands_ = 0;
  Phase phase_ = Phase::greeting;
  Progress progress_ = Progress::none;
  Stage stage_ = Stage::connect;
  Verb verb_ = Verb::unknown;  ///< of the last command
  char last_octet_ = 0;        ///< of the line under way
  bool xclient_used_ = false, tls_active_ = false, pipelined_early_ = false, authenticated_ = false;
  bool extended_ = false, pending_extended_ = false;  ///< EHLO or LHLO, not HELO
  bool hello_said_ = false, refused_at_connect_ = false, line_too_long_ = false;
  /// The line under way was refused at a bare LF: silence up to its CRLF.
  bool after_bare_line_feed_ = false;
  /// A BDAT was refused whose octets nobody can count: only QUIT is taken.
  bool after_unknown_chunk_ = false;
  bool chunk_last_ = false, taken_ = false, smtputf8_ = false, close_abortive_ = false;
};

}  // namespace postern::smtp
