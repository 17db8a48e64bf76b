// A server that says anything: the client's dialogue must end, say well-formed lines only, and have a result for each recipient.
// Input: one octet of settings, then what the server sends.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/smtp/client/envelope.h"
#include "gateway/smtp/client/opening.h"
#include "gateway/smtp/client/reply_reader.h"
#include "gateway/smtp/client/transaction.h"

namespace {

using namespace postern::smtp::client;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Whole lines, and in them neither controls nor bare line ends.
void require_lines(std::string_view lines) {
  require(lines.ends_with("\r\n"));
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    require(end != std::string_view::npos);
    for (const char c : lines.substr(0, end)) require(static_cast<unsigned char>(c) >= 0x20 && c != '\x7f');
    lines.remove_prefix(end + 2);
  }
}

void require_result(const RecipientResult& result) {
  require(result.text.size() <= ServerReply::kEvidenceOctetsMax);
  require(result.enhanced.size() >= 5);
  const bool permanent = result.kind == RecipientResult::Kind::permanent;
  require(permanent ? result.enhanced.front() == '5' : result.enhanced.front() != '5');
  for (const char c : result.text) require(static_cast<unsigned char>(c) >= 0x20 && c != '\x7f');
}

/// The next reply of the script; none when it is used up or broken.
bool read_reply(ReplyReader& reader, std::string_view& script, ServerReply& out) {
  if (reader.read(script) != ReplyReader::Outcome::reply) return false;
  out = reader.take();
  require(out.code >= 200 && out.code < 600);
  require(!out.lines.empty() && out.lines.size() <= ReplyReader::kLinesMax);
  require(out.evidence().size() <= ServerReply::kEvidenceOctetsMax);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned settings = data[0];
  std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
  ReplyReader reader;
  ServerReply reply;

  OpeningTerms terms;
  terms.hello_name = "me.example";
  terms.lmtp = (settings & 1) != 0;
  terms.use_starttls = (settings & 2) != 0;
  terms.tls_active = (settings & 4) != 0;
  if ((settings & 8) != 0) terms.user = terms.password = "x\r\n";
  const bool lmtp = terms.lmtp;
  Opening opening(std::move(terms));
  OpeningStep step = opening.begin();
  for (unsigned steps = 0; !std::holds_alternative<Ready>(step); ++steps) {
    require(steps < 20);
    if (const auto* say = std::get_if<Say>(&step)) {
      if (!say->line.empty()) require_lines(say->line);
      if (!read_reply(reader, script, reply)) return 0;
      step = opening.replied(reply);
    } else if (std::holds_alternative<BeginTls>(step)) {
      step = opening.tls_established();
    } else {
      require_result(std::get<GiveUp>(step).result);
      return 0;
    }
  }

  OutboundMessage message;
  message.mail_from = "a@\xc3\xa4.example";
  message.recipients = {{.address = "b@two.example", .notify = 6, .orcpt = "rfc822;x y"},
                        {.address = "\xc3\xa4@two.example", .orcpt = "utf-8;\xc3\xa4"},
                        {.address = "no address\r\n"}};
  message.envid = "e\r\n";
  message.content = "A: b\r\n\r\n\xc3\xa4\n.\r\n";
  message.body =
      (settings & 16) != 0 ? postern::smtp::BodyType::binary_mime : postern::smtp::BodyType::seven_bit;
  message.smtputf8 = (settings & 32) != 0;
  const Capabilities& offered = opening.capabilities();
  EnvelopePlan plan =
      plan_envelope(message, Survey::of(message.head, message.content), offered, (settings & 64) != 0);
  if (plan.refusal) {
    require_result(*plan.refusal);
    return 0;
  }
  TransactionDialogue dialogue(std::move(plan), offered.pipelining, lmtp, offered.dsn, message.octets(),
                               (settings & 128) != 0);
  for (unsigned steps = 0;; ++steps) {
    require(steps < 100);
    const TransactionStep now = dialogue.next();
    if (const auto* group = std::get_if<SayGroup>(&now)) {
      require_lines(group->lines);
    } else if (std::holds_alternative<SendBody>(now)) {
      dialogue.body_sent();
    } else if (std::holds_alternative<AwaitReply>(now)) {
      if (read_reply(reader, script, reply)) {
        dialogue.replied(reply);
      } else {
        dialogue.lost("gone");
      }
    } else {
      break;
    }
  }
  const auto results = std::move(dialogue).results();
  require(results.size() == message.recipients.size());
  for (const RecipientResult& result : results) require_result(result);
  return 0;
}
