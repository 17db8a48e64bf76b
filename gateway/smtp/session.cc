#include "gateway/smtp/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace postern::smtp {
namespace {

/// Room for one ordinary group of replies, so that it grows once.
constexpr std::size_t kOutputReserve = 512;
/// A line buffer larger than this is given back after use, so that an idle session stays small.
constexpr std::size_t kLineKept = 256;
/// The log line quotes this much of a refused command, and as much of the reply.
constexpr std::size_t kRefusalOctetsMax = 200;
/// Of a line that is too long this much is kept, enough to know the verb.
constexpr std::size_t kLongLineKept = 64;
/// The rest of a line that is too long is thrown away up to here; then the visit ends.
constexpr std::size_t kDroppedLineOctetsMax = 1 << 20;

/// Only final replies may come from a driver; anything else is a mistake of ours and stays temporary.
bool usable(const Reply& reply) {
  return (reply.code >= 200 && reply.code < 300) || (reply.code >= 400 && reply.code < 600);
}

/// Behind the mechanism of AUTH stands a password.
std::string_view loggable(std::string_view line) {
  const CommandLine command = split_command(line);
  return command.verb == Verb::auth ? command.word : line;
}

Reply our_mistake() {
  return {.code = 451, .enhanced = "4.3.0", .text = "Internal error, try again"};
}

}  // namespace

Session::Session(SessionOptions options, ClientInfo client, BodyBudget* budget)
    : options_(std::move(options)), client_(std::move(client)), budget_(budget) {
  transaction_.body = Body(budget_);
}

Step Session::next() {
  for (;;) {
    switch (phase_) {
      case Phase::greeting:
        if (!input_.empty()) pipelined_early_ = true;
        ask(Stage::connect, {});
        break;
      case Phase::asking:
        return Ask{stage_};
      case Phase::starttls:
        return StartTls{};
      case Phase::closed:
        std::string().swap(kept_);
        return Close{.abortive = close_abortive_, .cause = cause_};
      case Phase::command:
      case Phase::auth:
        if (!read_command()) return need_input(options_.limits.command_timeout);
        break;
      case Phase::data:
        if (input_.empty()) return need_input(options_.limits.data_timeout);
        read_data();
        break;
      case Phase::chunk:
        if (input_.empty() && chunk_left_ > 0) return need_input(options_.limits.data_timeout);
        read_chunk();
        break;
    }
  }
}

void Session::feed(std::string_view octets) {
  counts_.octets_in += octets.size();
  if (input_.empty()) {
    input_ = octets;
    return;
  }
  keep_input();  // the driver read on while it was asked something
  kept_.erase(0, kept_.size() - input_.size());
  kept_.append(octets);
  input_ = kept_;
}

void Session::keep_input() {
  const bool ours =
      !kept_.empty() && input_.data() >= kept_.data() && input_.data() <= kept_.data() + kept_.size();
  if (input_.empty() || ours) return;
  kept_.assign(input_);
  input_ = kept_;
}

NeedInput Session::need_input(std::chrono::seconds timeout) {
  input_ = {};
  if (!kept_.empty()) std::string().swap(kept_);
  return {timeout};
}

std::string Session::take_output() {
  counts_.octets_out += output_.size();
  return std::exchange(output_, {});
}

std::string Session::rest_of_input() {
  std::string rest(std::exchange(input_, {}));
  std::string().swap(kept_);
  return rest;
}

void Session::tls_established(bool implicit) {
  tls_active_ = true;
  if (implicit) return;  // nothing was said in the clear
  // RFC 3207 §4.2: all that was said in the clear is forgotten, and what came behind STARTTLS is never
  // executed.
  rest_of_input();
  drop_line();
  reset_transaction();
  helo_.clear();
  hello_said_ = extended_ = after_bare_line_feed_ = after_unknown_chunk_ = false;
  if (phase_ == Phase::starttls) phase_ = Phase::command;
}

void Session::interrupt(Reply farewell, std::string cause) {
  if (phase_ == Phase::closed) return;
  if (farewell.code != 0) farewell.append_to(out());
  close(cause);
}

bool Session::at_command_boundary() const {
  return phase_ == Phase::command && line_octets_ == 0 && progress_ != Progress::chunks;
}

const MailCommand* Session::mail() const {
  return progress_ == Progress::none || taken_ ? nullptr : &transaction_.mail;
}

std::size_t Session::recipients() const {
  return taken_ ? message_recipients_ : transaction_.recipients.size();
}

Transaction Session::take_transaction() {
  taken_ = true;
  return std::exchange(transaction_, Transaction{.body = Body(budget_)});
}

std::string Session::protocol_name() const {
  std::string name;
  if (lmtp()) {
    name = smtputf8_ ? "UTF8LMTP" : "LMTP";
  } else if (!extended_) {
    return "SMTP";  // RFC 3848 §1 registers no name for HELO over TLS
  } else {
    name = smtputf8_ ? "UTF8SMTP" : "ESMTP";  // RFC 6531 §4.3
  }
  if (tls_active_) name += 'S';
  if (authenticated_) name += 'A';
  return name;
}

// Lines.

bool Session::read_command() {
  const char* const lf =
      input_.empty() ? nullptr : static_cast<const char*>(std::memchr(input_.data(), '\n', input_.size()));
  const std::size_t part = lf != nullptr ? static_cast<std::size_t>(lf - input_.data()) + 1 : input_.size();
  const std::string_view piece = input_.substr(0, part);
  if (piece.empty()) return false;
  if (line_octets_ == 0 && piece.front() == '\x16') {  // a TLS record (RFC 8446 §5.1) can begin no command
    close("tls", true);
    return true;
  }
  input_.remove_prefix(part);

  // The whole line lies in the driver's buffer: the ordinary case, nothing is copied.
  if (line_octets_ == 0 && lf != nullptr && part <= options_.limits.command_octets_max) {
    const bool crlf = part >= 2 && piece[part - 2] == '\r';
    execute(piece.substr(0, part - (crlf ? 2 : 1)), !crlf);
    return true;
  }
  if (!hold(piece)) return true;
  return lf == nullptr ? false : take_line();
}

/// Adds to the line under way, bounded. False: the visit has ended.
bool Session::hold(std::string_view part) {
  const char before = part.size() >= 2 ? part[part.size() - 2] : last_octet_;
  last_octet_ = part.back() == '\n' ? before : part.back();
  line_octets_ += part.size();
  if (line_octets_ > kDroppedLineOctetsMax) {
    hang_up(replies::kTooMuchToDiscard, "line");
    return false;
  }
  if (!line_too_long_) {
    line_.append(part);
    if (line_.size() > options_.limits.command_octets_max) line_too_long_ = true;
  }
  if (line_too_long_ && line_.size() > kLongLineKept) {
    line_.resize(kLongLineKept);
    line_.shrink_to_fit();
  }
  return true;
}

/// The held line is complete: runs it. `last_octet_` is the one before the LF.
bool Session::take_line() {
  const bool crlf = last_octet_ == '\r' && line_octets_ >= 2;
  const bool too_long = line_too_long_;
  std::string line = std::exchange(line_, {});
  drop_line();
  if (!too_long) {
    execute(std::string_view(line).substr(0, line.size() - (crlf ? 2 : 1)), !crlf);
    if (line.capacity() <= kLineKept && line_.empty()) {
      line.clear();
      line_ = std::move(line);
    }
    return true;
  }
  execute_too_long(line, !crlf);
  return true;
}

void Session::drop_line() {
  line_.clear();
  line_octets_ = 0;
  last_octet_ = 0;
  line_too_long_ = false;
}

/// A line that is no command. Had it been BDAT, octets would follow that must not be read as commands, and
/// nobody can say how many.
void Session::refuse_line(const replies::Fixed& reply, std::string_view line) {
  const CommandLine command = split_command(line);
  if (command.foreign_protocol) return close_foreign(command);
  current_line_ = line;
  ++idle_commands_;
  after_unknown_chunk_ = command.verb == Verb::bdat;
  say(reply);
  current_line_ = {};
}

// Replies.

std::string& Session::out() {
  if (output_.capacity() < kOutputReserve) output_.reserve(kOutputReserve);
  return output_;
}

void Session::say(const replies::Fixed& reply) {
  out().append(reply.wire);
  tell(reply.wire);
  if (reply.code >= 400) note_refusal(reply.code, reply.wire, true);
}

void Session::say(const Reply& reply) {
  const std::size_t before = output_.size();
  reply.append_to(out());
  tell(std::string_view(output_).substr(before));
  if (reply.code >= 400) note_refusal(reply.code, std::string_view(output_).substr(before), true);
}

void Session::say_positive(const Reply& reply, const replies::Fixed& standard) {
  if (reply.text.empty()) return say(standard);
  say(reply);
}

/// Remembers it for the log and, for a command refused for good, counts it. `wire` may lie in the output.
void Session::note_refusal(int code, std::string_view wire, bool count) {
  if (phase_ == Phase::closed) return;
  last_refusal_.assign(loggable(current_line_).substr(0, kRefusalOctetsMax));
  if (!last_refusal_.empty()) last_refusal_ += " -> ";
  last_refusal_.append(wire.substr(0, std::min(wire.find('\r'), kRefusalOctetsMax)));
  if (code < 500 || !count) return;
  ++counts_.errors;
  if (counts_.errors >= options_.limits.errors_max && !exempt()) hang_up(replies::kTooManyErrors, "errors");
}

/// What comes before the first command answers none.
void Session::tell(std::string_view wire) {
  if (observer_ != nullptr && counts_.commands > 0) observer_->replied(verb_, wire);
}

void Session::hang_up(const replies::Fixed& reply, std::string_view cause) {
  close(cause);
  out().append(reply.wire);
  tell(reply.wire);
}

void Session::close(std::string_view cause, bool abortive) {
  phase_ = Phase::closed;
  close_abortive_ = abortive;
  cause_ = cause;
  input_ = {};  // kept_ stays until next(): the command under way may lie in it
  std::string().swap(line_);
  transaction_.body.clear();
}

// Asking.

void Session::ask(Stage stage, std::string_view line) {
  asked_line_.assign(line.substr(0, kRefusalOctetsMax));
  stage_ = stage;
  phase_ = Phase::asking;
}

void Session::decide(Reply reply, bool close_after) {
  if (phase_ != Phase::asking) return;
  if (stage_ == Stage::message) {
    decide_message({&reply, 1});
    if (close_after && phase_ != Phase::closed) close("policy");
    return;
  }
  phase_ = Phase::command;
  if (stage_ == Stage::auth && reply.code == 334) return decide_auth(reply);
  if (!usable(reply) && !(stage_ == Stage::data && reply.code == 354)) reply = our_mistake();
  const bool closing =
      close_after || reply.code == 421;  // RFC 5321 §3.8: 421 announces that the channel is closed
  current_line_ = asked_line_;
  if (stage_ == Stage::auth) {
    decide_auth(reply);
  } else if (stage_ == Stage::data) {
    if (transaction_.chunked && !(closing && !reply.positive())) {
      start_chunks(reply);
    } else if (transaction_.chunked) {
      say(reply);  // there will be no end of the chunk to answer at
    } else {
      start_data(reply);
    }
  } else if (!reply.positive()) {
    if (stage_ == Stage::connect) refused_at_connect_ = true;
    if (stage_ == Stage::rcpt) ++counts_.refused_recipients;
    say(reply);
  } else {
    switch (stage_) {
      case Stage::connect:
        greet(reply);
        break;
      case Stage::helo:
        say_hello();
        break;
      case Stage::mail:
        transaction_.mail = std::move(pending_mail_);
        smtputf8_ = transaction_.mail.smtputf8;
        progress_ = Progress::open;
        idle_commands_ = 0;
        ++counts_.transactions;
        say_positive(reply, replies::kSenderOk);
        break;
      case Stage::rcpt:
        transaction_.recipients.push_back({std::move(pending_rcpt_), std::move(pending_rcpt_text_)});
        ++counts_.recipients;
        say_positive(reply, replies::kRecipientOk);
        break;
      case Stage::auth:
      case Stage::data:
      case Stage::message:
        break;  // handled above
    }
  }
  current_line_ = {};
  if (closing && phase_ != Phase::closed) close("policy");
}

void Session::decide_each(std::vector<Reply> replies) {
  if (phase_ != Phase::asking || stage_ != Stage::message) return;
  decide_message(replies);
}

/// One reply for the message, or in LMTP one for each recipient (RFC 2033 §4.2): a single one stands for all,
/// a missing one is a mistake of ours.
void Session::decide_message(std::span<Reply> given) {
  const std::size_t wanted = lmtp() ? message_recipients_ : 1;
  bool accepted = false, closing = false;
  current_line_ = asked_line_;
  for (std::size_t i = 0; i < wanted; ++i) {
    const std::size_t index = given.size() == 1 ? 0 : i;
    const bool fits = index < given.size() && usable(given[index]);
    const Reply reply = fits ? given[index] : our_mistake();
    const std::size_t before = output_.size();
    if (reply.positive() && reply.text.empty()) {
      out().append(replies::kAccepted.wire);
    } else {
      reply.append_to(out());
    }
    tell(std::string_view(output_).substr(before));
    accepted = accepted || reply.positive();
    closing = closing || reply.code == 421;
    if (!reply.positive()) note_refusal(reply.code, std::string_view(output_).substr(before), false);
  }
  current_line_ = {};
  if (accepted) ++counts_.accepted;
  reset_transaction();
  phase_ = Phase::command;
  if (closing) close("policy");
}

}  // namespace postern::smtp
