#include "gateway/delivery/route/routes.h"

#include <utility>

#include "gateway/config/values.h"

namespace postern::delivery {
namespace {

TlsPolicy policy_of(std::string_view name) {
  if (name == "none") return TlsPolicy::none;
  if (name == "encrypt") return TlsPolicy::encrypt;
  if (name == "verify") return TlsPolicy::verify;
  return TlsPolicy::may;
}

/// `Section` is a DomainConfig or RelayConfig: the keys have the same names.
template <class Section>
Route make_route(const Section& section) {
  Route route;
  std::uint32_t place = 0;
  for (const std::string& text : section.to) {
    auto target = config::parse_target(text);
    if (!target) continue;  // a checked manifest holds none
    if (!target->priority) target->priority = place;
    ++place;
    route.targets.push_back(std::move(*target));
  }
  route.tls = policy_of(section.tls);
  route.tls_names = section.tls_names;
  if (const auto ip = filters::Ip::parse(section.source)) route.source = reactor::Address{.ip = *ip};
  return route;
}

}  // namespace

Routes::Routes(const config::Config& config, std::string relay_password) : hostname_(config.hostname) {
  for (const config::DomainConfig& domain : config.domains) {
    if (domain.deliver != "relay") continue;
    by_domain_.emplace(config::ascii_domain(domain.name).value_or(domain.name), make_route(domain));
  }
  elsewhere_ = make_route(config.relay);
  if (!config.relay.user.empty())
    elsewhere_.credentials = Credentials{.user = config.relay.user, .password = std::move(relay_password)};
}

const Route& Routes::find(std::string_view destination) const {
  const auto found = by_domain_.find(std::string(destination));
  return found == by_domain_.end() ? elsewhere_ : found->second;
}

}  // namespace postern::delivery
