// Any octets as a command line: the parts lie in the line, what is taken is its own normal form, and what is refused is
// refused in plain ASCII.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/smtp/grammar.h"

namespace {

using namespace postern::smtp;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_refusal(const Reply& reply) {
  require(reply.code >= 500 && reply.code < 600 && reply.enhanced.starts_with("5."));
  for (const char c : reply.text) require(c >= ' ' && c <= '~');
  std::string wire;
  reply.append_to(wire);
  require(wire.size() <= 512 && wire.ends_with("\r\n"));
}

void check_mailbox(const Mailbox& mailbox, bool utf8) {
  const std::string normal = mailbox.normal_form();
  require(normal.size() <= kPathOctetsMax);
  const auto again = parse_mailbox(normal, utf8);
  require(again.has_value() && again->local == mailbox.local && again->domain == mailbox.domain);
  require(again->normal_form() == normal && again->utf8 == mailbox.utf8 &&
          again->literal_ip == mailbox.literal_ip);
  for (const char c : normal) require(static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
}

void check_path(const Path& path, bool utf8) {
  require(path.route.size() <= kPathOctetsMax / 2);
  if (!path.null && !path.postmaster) check_mailbox(path.mailbox, utf8);
}

template <typename Parsed>
bool taken(const Parsed& parsed) {
  if (!parsed) check_refusal(parsed.error());
  return parsed.has_value();
}

void parse(std::string_view argument, const GrammarContext& context) {
  if (const auto mail = parse_mail(argument, context); taken(mail)) {
    check_path(mail->path, mail->smtputf8);
    require(mail->size <= context.message_octets_max && mail->envid.size() <= 100);
    require(context.extended || (mail->size == 0 && mail->envid.empty() && !mail->smtputf8));
  }
  if (const auto rcpt = parse_rcpt(argument, context); taken(rcpt)) {
    check_path(rcpt->path, context.smtputf8);
    require(!rcpt->path.null && rcpt->orcpt.size() <= 500);
    for (const char c : rcpt->orcpt) require(static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string line(reinterpret_cast<const char*>(data), size);
  const CommandLine command = split_command(line);
  for (const std::string_view part : {command.word, command.argument}) {
    require(part.empty() ||
            (part.data() >= line.data() && part.data() + part.size() <= line.data() + line.size()));
  }
  require(command.verb == Verb::unknown || !command.foreign_protocol);
  for (const bool extended : {true, false}) {
    for (const bool smtputf8 : {true, false}) {
      parse(command.argument, {.extended = extended, .smtputf8 = smtputf8, .message_octets_max = 1000});
    }
  }
  taken(parse_bdat(command.argument));
  if (const auto helo = parse_helo(command.argument); taken(helo)) require(*helo == command.argument);
  if (const auto xclient = parse_xclient(command.argument); taken(xclient))
    require(xclient->attributes.size() <= 5);
  std::string decoded;
  if (decode_xtext(line, decoded)) require(decoded.size() <= line.size());
  for (const bool utf8 : {true, false}) {
    const auto mailbox = parse_mailbox(line, utf8);
    if (mailbox) check_mailbox(*mailbox, utf8);
    if (!mailbox) require(mailbox.error().position <= line.size() && !mailbox.error().rule.empty());
    std::size_t consumed = 0;
    const auto path = parse_path(line, PathKind::forward, utf8, &consumed);
    if (path) require(consumed >= 2 && consumed <= kPathOctetsMax && line[consumed - 1] == '>');
    if (path) check_path(*path, utf8);
    if (!path) require(path.error().position <= line.size());
  }
  return 0;
}
