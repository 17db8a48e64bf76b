// The commands of RFC 5321 §4.1.1 and of the extensions, in the order check, ask. What decide() changes is in
// session.cc.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>

#include "gateway/smtp/session.h"

namespace postern::smtp {
namespace {

/// RFC 9422 §4.1: a limit has at most six digits.
constexpr std::size_t kAnnouncedLimitMax = 999'999;

struct Octets {
  bool controls = false, eight_bit = false;
};

/// HT is left to the grammar: old clients put it between parameters.
Octets look_at(std::string_view line) {
  unsigned controls = 0, all = 0;
  for (const char c : line) {
    const auto octet = static_cast<unsigned char>(c);
    all |= octet;
    controls |=
        static_cast<unsigned>((octet < 0x20) & (octet != '\t')) | static_cast<unsigned>(octet == 0x7f);
  }
  return {controls != 0, (all & 0x80) != 0};
}

bool takes_utf8(Verb verb) {
  return verb == Verb::mail || verb == Verb::rcpt || verb == Verb::vrfy || verb == Verb::expn;
}

/// RFC 3207 §4: what may be said before TLS where TLS is a must.
bool allowed_before_tls(Verb verb) {
  return verb == Verb::noop || verb == Verb::ehlo || verb == Verb::lhlo || verb == Verb::starttls ||
         verb == Verb::quit;
}

/// RFC 4954 §6: what may be said before AUTH where AUTH is a must is everything but what moves mail.
bool moves_mail(Verb verb) {
  return verb == Verb::mail || verb == Verb::etrn || verb == Verb::vrfy || verb == Verb::expn;
}

bool takes_no_argument(Verb verb) {
  return verb == Verb::data || verb == Verb::rset || verb == Verb::quit || verb == Verb::starttls;
}

/// "TO:<a@b> NOTIFY=NEVER" → "<a@b>": the path as typed, for logs.
std::string_view path_text(std::string_view argument) {
  argument.remove_prefix(std::min(argument.size(), argument.find(':') + 1));
  argument.remove_prefix(std::min(argument.size(), argument.find_first_not_of(' ')));
  bool quoted = false;
  for (std::size_t i = 0; i < argument.size(); ++i) {
    const char c = argument[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == '>') {
      return argument.substr(0, i + 1);
    }
  }
  return argument.substr(0, argument.find(' '));
}

bool same_word(std::string_view a, std::string_view upper) {
  return std::ranges::equal(a, upper, {},
                            [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
}

void append_line(std::string& out, std::string_view keyword) {
  out.append("250-");
  out.append(keyword);
  out.append("\r\n");
}

void append_number_line(std::string& out, std::string_view keyword, std::uint64_t number) {
  out.append("250-");
  out.append(keyword);
  out.append(std::to_string(number));
  out.append("\r\n");
}

}  // namespace

/// One complete line without its ending. `bare`: an LF ended it, and no CR stood before.
void Session::execute(std::string_view line, bool bare) {
  if (phase_ == Phase::auth) return on_auth_line(line, bare);
  ++counts_.commands;
  if (!input_.empty() && !extended_) pipelined_early_ = true;  // RFC 2920 §3.1: not before EHLO told of it
  const CommandLine command = split_command(line);
  verb_ = command.verb;
  if (command.foreign_protocol) return close_foreign(command);
  if (out_of_patience(command.verb) || between_the_lines(command, bare)) return;

  if (bare && options_.bare_line_endings == BareLineEndings::reject) {
    after_bare_line_feed_ = true;
    return refuse_line(replies::kBareLineFeed, line);
  }
  const Octets octets = look_at(line);
  if (octets.controls) return refuse_line(replies::kControlCharacters, line);
  if (octets.eight_bit && !takes_utf8(command.verb)) return refuse_line(replies::kEightBit, line);

  current_line_ = line;
  dispatch(command, line);
  current_line_ = {};
}

/// Of a line over the limit only the beginning was kept: enough to know what it is.
void Session::execute_too_long(std::string_view beginning, bool bare) {
  if (phase_ == Phase::auth) {
    phase_ = Phase::command;
    return say(replies::kAuthLineTooLong);
  }
  ++counts_.commands;
  const CommandLine command = split_command(beginning);
  verb_ = command.verb;
  if (out_of_patience(command.verb) || between_the_lines(command, bare)) return;
  after_bare_line_feed_ = bare && options_.bare_line_endings == BareLineEndings::reject;
  refuse_line(replies::kLineTooLong, beginning);
}

/// True when the line is none of its own, or comes where only QUIT is taken; then all is done.
bool Session::between_the_lines(const CommandLine& command, bool bare) {
  if (bare) ++counts_.bare_line_endings;
  if (after_unknown_chunk_) {
    const bool quit = command.verb == Verb::quit && command.argument.empty() && !bare;
    if (quit) {
      on_quit();
    } else {
      hang_up(replies::kUnknownChunk, "bdat");
    }
    return true;
  }
  if (!after_bare_line_feed_) return false;
  // RFC 5321 §2.3.8: only CRLF ends a line. What stands behind a bare LF is the rest of the same line to
  // everybody who keeps to that. The line has its reply, and nothing is executed or answered until the CRLF
  // has gone by.
  after_bare_line_feed_ = bare;
  if (command.verb == Verb::bdat) after_unknown_chunk_ = true;
  return true;
}

/// Another protocol on the mail port. A browser that is made to post a form here learns nothing but that;
/// whoever speaks TLS or SSH understands no word of ours.
void Session::close_foreign(const CommandLine& command) {
  if (command.word.starts_with("SSH-")) return close("ssh", true);
  if (command.word.starts_with('\x16')) return close("tls", true);
  hang_up(replies::kNotMail, "http");
}

/// The bounds on talk: commands in all, and commands that lead to no mail. Leaving is always allowed.
bool Session::out_of_patience(Verb verb) {
  if (verb == Verb::quit || exempt()) return false;
  if (counts_.commands > options_.limits.commands_max) {
    hang_up(replies::kTooManyCommands, "commands");
    return true;
  }
  const bool leads_to_mail =
      verb == Verb::mail || verb == Verb::rcpt || verb == Verb::data || verb == Verb::bdat;
  if (idle_commands_ >= options_.limits.idle_commands_max && !leads_to_mail) {
    hang_up(replies::kTooManyIdleCommands, "idle");
    return true;
  }
  return false;
}

void Session::dispatch(const CommandLine& command, std::string_view line) {
  if (command.verb == Verb::bdat)
    return on_bdat(command.argument, line);  // its octets follow, whatever else is wrong
  if (refused_at_connect_ && command.verb != Verb::quit) return say(replies::kRefusedAtConnect);
  if (options_.tls_required && !tls_active_ && !allowed_before_tls(command.verb))
    return say(replies::kMustStartTls);
  if (options_.auth_required && !authenticated_ && moves_mail(command.verb))
    return say(replies::kMustAuthenticate);
  if (takes_no_argument(command.verb) && !command.argument.empty()) return say(replies::kNoArgumentAllowed);

  switch (command.verb) {
    case Verb::mail:
      return on_mail(command.argument, line);
    case Verb::rcpt:
      return on_rcpt(command.argument, line);
    case Verb::data:
      return on_data(line);
    case Verb::quit:
      return on_quit();
    default:
      break;
  }
  ++idle_commands_;
  switch (command.verb) {
    case Verb::ehlo:
    case Verb::helo:
    case Verb::lhlo:
      return on_hello(command, line);
    case Verb::rset:  // RFC 5321 §4.1.1.5
      reset_transaction();
      return say(replies::kReset);
    case Verb::noop:
      return say(replies::kOk);
    case Verb::help:
      return say(replies::kHelp);
    case Verb::vrfy:
      return on_vrfy(command.argument);
    case Verb::starttls:
      return on_starttls();
    case Verb::xclient:
      return on_xclient(command.argument);
    case Verb::auth:
      return on_auth(command.argument, line);
    case Verb::expn:  // RFC 5321 §7.3: lists are nobody's business
    case Verb::etrn:
    case Verb::turn:
      return say(replies::kNotImplemented);
    default:
      return say(replies::kUnknownCommand);
  }
}

/// EHLO, HELO (RFC 5321 §4.1.1.1), LHLO (RFC 2033 §4.1).
void Session::on_hello(const CommandLine& command, std::string_view line) {
  if (lmtp() != (command.verb == Verb::lhlo))
    return say(lmtp() ? replies::kHelloOfSmtp : replies::kHelloOfLmtp);
  auto name = parse_helo(command.argument);
  if (!name) return say(name.error());
  pending_helo_ = std::move(*name);
  pending_extended_ = command.verb != Verb::helo;
  ask(Stage::helo, line);
}

void Session::say_hello() {
  reset_transaction();  // RFC 5321 §4.1.4
  helo_ = std::move(pending_helo_);
  hello_said_ = true;
  extended_ = pending_extended_;
  const std::size_t before = output_.size();
  if (!extended_) {
    out().append("250 ").append(options_.hostname).append("\r\n");
    return tell(std::string_view(output_).substr(before));
  }
  append_line(out(), options_.hostname);
  append_line(output_, "PIPELINING");                                            // RFC 2920
  append_number_line(output_, "SIZE ", options_.limits.message_octets_max);      // RFC 1870
  append_line(output_, "8BITMIME");                                              // RFC 6152
  append_line(output_, "SMTPUTF8");                                              // RFC 6531
  append_line(output_, "CHUNKING");                                              // RFC 3030
  append_line(output_, "BINARYMIME");                                            // RFC 3030
  append_line(output_, "DSN");                                                   // RFC 3461
  if (options_.tls_available && !tls_active_) append_line(output_, "STARTTLS");  // RFC 3207 §4.2: not again
  if (offers_auth()) append_line(output_, "AUTH " + options_.auth_mechanisms);   // RFC 4954 §3
  if (options_.xclient_allowed) append_line(output_, "XCLIENT NAME ADDR PORT PROTO HELO");
  // RFC 9422 §4: MAILMAX counts every MAIL, RCPTMAX every RCPT; we count only accepted RCPT and so keep the
  // promise.
  output_.append("250-LIMITS RCPTMAX=");
  output_.append(
      std::to_string(std::clamp<std::size_t>(options_.limits.recipients_max, 1, kAnnouncedLimitMax)));
  if (!exempt()) {
    output_.append(" MAILMAX=");
    output_.append(
        std::to_string(std::clamp<std::size_t>(options_.limits.transactions_max, 1, kAnnouncedLimitMax)));
  }
  output_.append("\r\n250 ENHANCEDSTATUSCODES\r\n");  // RFC 2034
  tell(std::string_view(output_).substr(before));
}

/// MAIL: RFC 5321 §4.1.1.2.
void Session::on_mail(std::string_view argument, std::string_view line) {
  if (++mail_commands_ > options_.limits.transactions_max && !exempt()) {
    return hang_up(replies::kTooManyTransactions, "transactions");  // RFC 9422 §4.1: refused ones count too
  }
  if (!hello_said_) return say(lmtp() ? replies::kSayLhloFirst : replies::kSayHelloFirst);  // §4.1.4
  if (progress_ == Progress::failed) return say(replies::kNeedsRset);
  if (progress_ == Progress::chunks) return say(replies::kInsideChunks);
  if (progress_ != Progress::none) return say(replies::kNestedMail);
  auto mail = parse_mail(argument, {.extended = extended_,
                                    .auth = !options_.auth_mechanisms.empty(),
                                    .message_octets_max = options_.limits.message_octets_max});
  if (!mail) return say(mail.error());
  pending_mail_ = std::move(*mail);
  ask(Stage::mail, line);
}

/// RCPT: RFC 5321 §4.1.1.3.
void Session::on_rcpt(std::string_view argument, std::string_view line) {
  if (progress_ == Progress::none) return say(replies::kMailFirst);
  if (progress_ == Progress::failed) return say(replies::kNeedsRset);
  if (progress_ == Progress::chunks) return say(replies::kInsideChunks);
  const GrammarContext context{.extended = extended_,
                               .smtputf8 = transaction_.mail.smtputf8,
                               .message_octets_max = options_.limits.message_octets_max};
  auto rcpt = parse_rcpt(argument, context);
  if (!rcpt) {
    ++counts_.refused_recipients;
    return say(rcpt.error());
  }
  if (transaction_.recipients.size() >= options_.limits.recipients_max) {
    ++counts_.refused_recipients;
    return say(replies::kTooManyRecipients);  // §4.5.3.1.10: temporary, so that the client retries the rest
  }
  pending_rcpt_ = std::move(*rcpt);
  pending_rcpt_text_.assign(path_text(argument));
  ask(Stage::rcpt, line);
}

void Session::on_vrfy(std::string_view argument) {
  say(argument.empty() ? replies::kArgumentNeeded : replies::kCannotVerify);
}

/// STARTTLS: RFC 3207 §4.
void Session::on_starttls() {
  if (tls_active_) return say(replies::kTlsAlreadyOn);
  if (!options_.tls_available) return say(replies::kNoTls);
  say(replies::kReadyForTls);
  phase_ = Phase::starttls;
}

/// XCLIENT as Postfix documents it: the visit begins anew, with another client. The peer keeps the right, so
/// that one connection can carry mail of several clients.
void Session::on_xclient(std::string_view argument) {
  if (!options_.xclient_allowed) return say(replies::kNoXclient);
  if (progress_ != Progress::none) return say(replies::kXclientInTransaction);
  auto command = parse_xclient(argument);
  if (!command) return say(command.error());
  if (!apply(std::move(*command))) return say(replies::kBadXclient);
  xclient_used_ = true;
  hello_said_ = extended_ = authenticated_ = false;
  phase_ = Phase::greeting;
}

/// False: an address or a port that is none; nothing has changed.
bool Session::apply(XclientCommand command) {
  ClientInfo client = client_;
  std::string helo = helo_;
  for (auto& [name, value] : command.attributes) {
    const bool unknown = same_word(value, "[UNAVAILABLE]") || same_word(value, "[TEMPUNAVAIL]");
    if (unknown) value.clear();
    if (same_word(name, "NAME")) client.name = std::move(value);
    if (same_word(name, "HELO")) helo = std::move(value);
    if (same_word(name, "PORT")) {
      client.port = 0;
      const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), client.port);
      if (!unknown && (problem != std::errc{} || end != value.data() + value.size())) return false;
    }
    if (same_word(name, "ADDR")) {
      const bool ipv6 = value.size() > 5 && same_word(std::string_view(value).substr(0, 5), "IPV6:");
      const auto ip = filters::Ip::parse(std::string_view(value).substr(ipv6 ? 5 : 0));
      if (!unknown && !ip) return false;
      client.ip = ip.value_or(filters::Ip{});
    }
  }
  client_ = std::move(client);
  helo_ = std::move(helo);
  return true;
}

void Session::on_quit() {
  const std::size_t before = output_.size();
  out().append("221 2.0.0 ").append(options_.hostname).append(" closing\r\n");
  tell(std::string_view(output_).substr(before));
  close("quit");
}

/// RFC 5321 §4.3.1: the greeting carries our name and no enhanced code (RFC 2034 §4).
void Session::greet(const Reply& reply) {
  if (!reply.text.empty()) return say(reply);
  const std::size_t before = output_.size();
  out()
      .append("220 ")
      .append(options_.hostname)
      .append(lmtp() ? " LMTP " : " ESMTP ")
      .append(options_.software);
  output_.append("\r\n");
  tell(std::string_view(output_).substr(before));
}

void Session::reset_transaction() {
  smtputf8_ = taken_ = false;
  message_recipients_ = 0;
  if (progress_ == Progress::none) return;
  progress_ = Progress::none;
  transaction_ = Transaction{.body = Body(budget_)};
}

}  // namespace postern::smtp
