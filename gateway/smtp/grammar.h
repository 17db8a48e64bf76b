#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <string>
#include <string_view>

#include "gateway/smtp/command.h"
#include "gateway/smtp/reply.h"

namespace postern::smtp {

/// Every verb we know the name of, also those we refuse by name.
enum class Verb : std::uint8_t {
  unknown,
  helo,
  ehlo,
  lhlo,
  mail,
  rcpt,
  data,
  bdat,
  rset,
  noop,
  help,
  vrfy,
  expn,
  quit,
  starttls,
  auth,
  xclient,
  etrn,
  turn,
};
std::string_view to_string(Verb verb);  ///< "MAIL"; "unknown" for the one without a name

/// A command line without its CRLF, split: verb and argument (RFC 5321 §4.1.1). Trailing blanks are no part of the argument. Views
/// into the line.
struct CommandLine {
  Verb verb = Verb::unknown;
  std::string_view word;      ///< the verb as typed
  std::string_view argument;  ///< after one or more blanks
  /// First word of another protocol on the SMTP port: a method or a header field of HTTP, "SSH-…", a TLS record.
  bool foreign_protocol = false;
};
CommandLine split_command(std::string_view line);

/// What the grammar must know of the session.
struct GrammarContext {
  bool extended = true;  ///< EHLO or LHLO was said: parameters are allowed
  bool auth = false;     ///< MAIL may carry AUTH= (RFC 4954 §5), which is read over
  bool smtputf8 = true;  ///< for RCPT: SMTPUTF8 was given at MAIL; for MAIL the command itself may carry it
  std::uint64_t message_octets_max =
      std::numeric_limits<std::uint64_t>::max();  ///< SIZE= above it answers 552 5.3.4
};

/// Each returns the command, or the reply that refuses it: 501 5.1.7 (sender) or 5.1.3 (recipient) for a path, 501 5.5.4 for a bad or
/// repeated parameter, 555 5.5.4 for one we do not know, 552 5.3.4 for SIZE, 553 5.6.7 for UTF-8 without SMTPUTF8. The text says what
/// was expected and where, and repeats nothing the client said. A blank between the colon and the path is borne: old clients send it.
std::expected<MailCommand, Reply> parse_mail(std::string_view argument, const GrammarContext& context);
std::expected<RcptCommand, Reply> parse_rcpt(std::string_view argument, const GrammarContext& context);
/// BDAT size [LAST], RFC 3030 §2. 501 5.5.4 also for a count over 64 bits.
struct BdatCommand {
  std::uint64_t octets = 0;
  bool last = false;
};
std::expected<BdatCommand, Reply> parse_bdat(std::string_view argument);
/// EHLO/HELO/LHLO: a Domain, an address literal, or what real clients send (underscores, single labels): taken when it has 1-255
/// printable octets without blanks, else 501 5.5.4.
std::expected<std::string, Reply> parse_helo(std::string_view argument);
/// XCLIENT with NAME, ADDR, PORT, PROTO, HELO, each at most once: else 501 5.5.4. Values are printable and hold no blanks.
std::expected<XclientCommand, Reply> parse_xclient(std::string_view argument);

/// xtext of RFC 3461 §4: printable characters, "+3D" for any octet. False for anything else; `out` is then undefined.
bool decode_xtext(std::string_view text, std::string& out);

}  // namespace postern::smtp
