#include "filters/authentication/sender.h"

#include <fmt/format.h>

#include <chrono>

#include "filters/idn.h"

namespace postern::filters::authentication {

std::string ascii_or_as_is(std::string_view domain) {
  return ascii_domain(domain).value_or(std::string(domain));
}

std::string spf_domain(const Envelope& envelope) {
  const bool null_path = envelope.mail_from.empty();
  std::string domain =
      ascii_or_as_is(null_path ? std::string_view(envelope.helo) : domain_of(envelope.mail_from));
  if (domain.starts_with('[')) domain.clear();
  return domain;
}

std::optional<spf::Outcome> check_spf(const Envelope& envelope, Facts& facts) {
  const std::string domain = spf_domain(envelope);
  const std::string sender =
      envelope.mail_from.empty() ? domain : fmt::format("{}@{}", local_part_of(envelope.mail_from), domain);
  const spf::Identity identity{.ip = envelope.client_ip,
                               .domain = domain,
                               .sender = sender,
                               .helo = envelope.helo,
                               .receiver = envelope.receiving_host,
                               .now = std::chrono::floor<std::chrono::seconds>(envelope.received_at)};
  return spf::check_host(identity, facts);
}

}  // namespace postern::filters::authentication
