#include "gateway/pipeline/pipeline.h"

#include <algorithm>
#include <utility>

#include "gateway/pipeline/core.h"
#include "gateway/pipeline/scan.h"
#include "gateway/pipeline/visit.h"

namespace postern::pipeline {
namespace {

bool contains(const std::vector<filters::Network>& networks, const filters::Ip& ip) {
  return std::ranges::any_of(networks,
                             [&ip](const filters::Network& network) { return network.contains(ip); });
}

smtp::SessionLimits session_limits(const config::LimitsConfig& limits) {
  smtp::SessionLimits session;
  session.command_octets_max = limits.command_octets_max;
  session.message_octets_max = limits.message_octets_max;
  session.recipients_max = limits.recipients_max;
  session.errors_max = limits.errors_max;
  session.commands_max = limits.commands_max;
  session.idle_commands_max = limits.idle_commands_max;
  session.transactions_max = limits.transactions_max;
  session.command_timeout = std::chrono::seconds(limits.command_timeout_s);
  session.data_timeout = std::chrono::seconds(limits.data_timeout_s);
  session.session_timeout = std::chrono::seconds(limits.session_timeout_s);
  return session;
}

bool is_submission(const config::ListenerConfig& rules) {
  return rules.service == config::Service::submission || rules.service == config::Service::submissions;
}

}  // namespace

class Pipeline::Impl {
 public:
  Impl(Services services, unsigned index, Source* source)
      : core(services, index), first(services.snapshots.get()) {
    core.source = source;
  }

  /// The rules of a listener as the snapshot has them. Listeners are known by the number they had at start,
  /// but a reload may bring them in another order: what trusts PROXY and XCLIENT must not move to another
  /// socket. One that the manifest no longer names keeps the rules it was opened with.
  const config::ListenerConfig& listener(std::size_t index, const Snapshot& snapshot) const {
    static const config::ListenerConfig kNone;
    const auto& opened = first->config.listeners;
    if (index >= opened.size()) return kNone;
    const auto& now = snapshot.config.listeners;
    if (index < now.size() && now[index].address == opened[index].address) return now[index];
    const auto found = std::ranges::find(now, opened[index].address, &config::ListenerConfig::address);
    return found == now.end() ? opened[index] : *found;
  }

  Core core;
  std::shared_ptr<const Snapshot> first;  ///< in force when the listeners were opened
};

Pipeline::Pipeline(Services services, unsigned core, Source* source)
    : impl_(std::make_unique<Impl>(services, core, source)) {}

Pipeline::~Pipeline() = default;

bool Pipeline::proxy_expected(std::size_t listener, const filters::Ip& peer) const {
  const auto snapshot = impl_->core.services.snapshots.get();
  return contains(impl_->listener(listener, *snapshot).proxy_protocol_from, peer);
}

smtp::Terms Pipeline::terms(std::size_t listener, const filters::Ip& client) const {
  const auto snapshot = impl_->core.services.snapshots.get();
  const config::Config& config = snapshot->config;
  const config::ListenerConfig& rules = impl_->listener(listener, *snapshot);
  const bool lmtp = rules.service == config::Service::lmtp;
  const bool submission = is_submission(rules);
  const bool same_machine = client.empty();  // a Unix socket
  const bool unlimited = same_machine || contains(config.limits.unlimited_from, client);
  const bool normalize =
      config.smtp.bare_line_endings == "normalize" || contains(config.smtp.bare_line_endings_exempt, client);

  smtp::Terms terms;
  terms.session.hostname = config.hostname;
  terms.session.protocol = lmtp ? smtp::Protocol::lmtp : smtp::Protocol::smtp;
  terms.session.limits = session_limits(config.limits);
  terms.session.bare_line_endings =
      normalize ? smtp::BareLineEndings::normalize : smtp::BareLineEndings::reject;
  terms.tls = snapshot->tls;
  terms.log_addresses = config.log.addresses;
  terms.implicit_tls = rules.implicit_tls;
  terms.session.tls_available = terms.tls != nullptr && !rules.implicit_tls;
  // Nobody listens between two processes of one machine.
  terms.session.tls_required = (config.tls.required && !same_machine) || submission;
  if (submission) {
    terms.session.auth_mechanisms = kMechanisms;
    terms.session.auth_required = true;
  }
  terms.session.xclient_allowed = contains(rules.xclient_from, client);
  terms.session.local_network = unlimited;
  terms.admission = {.connections_max = config.limits.connections_max,
                     .connections_per_network_max = config.limits.connections_per_network_max,
                     .unlimited = unlimited};
  // LMTP clients are our own mail systems, which do not wait for spammers' sake.
  if (!lmtp && !same_machine && !contains(config.smtp.greeting_delay_exempt, client)) {
    terms.greeting_delay = std::chrono::milliseconds(config.smtp.greeting_delay_ms);
    terms.early_talker_refused = config.smtp.early_talker == "reject";
  }
  return terms;
}

std::unique_ptr<smtp::Visit> Pipeline::visit(const smtp::Arrival& arrival) {
  const auto snapshot = impl_->core.services.snapshots.get();
  return std::make_unique<Visit>(impl_->core, arrival,
                                 is_submission(impl_->listener(arrival.listener, *snapshot)));
}

reactor::Task<void> Pipeline::close() {
  return impl_->core.asking.join();
}

reactor::Task<Pipeline::Scan> Pipeline::scan(filters::Envelope envelope, std::string message) {
  return scan_message(impl_->core, std::move(envelope), std::move(message));
}

}  // namespace postern::pipeline
