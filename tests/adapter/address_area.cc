// {"text", "smtputf8"?} to {"local", "domain"}: a Mailbox of RFC 5321 §4.1.2.
#include <fmt/format.h>

#include "gateway/smtp/address.h"
#include "tests/adapter/areas.h"

namespace postern::adapter {

Json address(const Json& question) {
  const auto mailbox = smtp::parse_mailbox(question.at("text").get_ref<const std::string&>(),
                                           question.value("smtputf8", false));
  if (!mailbox) return error(fmt::format("octet {}: {}", mailbox.error().position, mailbox.error().rule));
  return {{"local", mailbox->local}, {"domain", mailbox->domain}};
}

}  // namespace postern::adapter
