#include "gateway/config/checks.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "gateway/config/values.h"

namespace postern::config {
namespace {

class Checks {
 public:
  Checks(Config& config, const Places& places, Report& report)
      : config_(config), places_(places), report_(report) {}

  void run() {
    check_listeners();
    check_sockets();
    check_tls();
    check_limits();
    check_scores();
    settle_defaults();
    check_in_vain();
  }

 private:
  void problem(std::string_view section, std::string_view key, std::string what) {
    report_.problem(places_.line(section, 0, key), key_name(section, false, 0, key), std::move(what));
  }

  void listener_problem(std::size_t index, std::string_view key, std::string what) {
    report_.problem(places_.line("listener", index, key), key_name("listener", true, index, key),
                    std::move(what));
  }

  void check_listeners() {
    if (config_.listeners.empty())
      report_.problem(1, "listener", "there is no [[listener]]: nobody could connect");
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
      ListenerConfig& listener = config_.listeners[i];
      if (listener.service == Service::submissions && !places_.given("listener", i, "implicit_tls")) {
        listener.implicit_tls = true;
      }
      if (listener.service == Service::submission || listener.service == Service::submissions) {
        if (config_.submission.credentials.empty())
          listener_problem(i, "service", "needs [submission] credentials, which is not set");
        if (!config_.tls.enabled)
          listener_problem(i, "service", "needs TLS, which [tls] enabled = false turns off");
      }
      if (listener.implicit_tls && !config_.tls.enabled) {
        listener_problem(i, "implicit_tls", "needs TLS, which [tls] enabled = false turns off");
      }
      claim(listener.address, places_.line("listener", i, "address"),
            key_name("listener", true, i, "address"));
    }
  }

  /// Everything that is bound, by normal form: a second claim is a mistake of the later line.
  void claim(const std::string& address, unsigned line, std::string key) {
    const bool any_port = address.ends_with(":0") && !address.starts_with("unix:");
    if (address.empty() || any_port) return;
    const auto [found, is_new] = claimed_.try_emplace(address, line, key);
    if (is_new) return;
    const auto& [other_line, other_key] = found->second;
    if (line < other_line) {
      report_.problem(other_line, other_key,
                      fmt::format("{} is {} already, line {}", shown(address), key, line));
      found->second = {line, std::move(key)};
    } else {
      report_.problem(line, std::move(key),
                      fmt::format("{} is {} already, line {}", shown(address), other_key, other_line));
    }
  }

  void check_sockets() {
    claim(config_.metrics.listen, places_.line("metrics", 0, "listen"), "metrics.listen");
    claim("unix:" + config_.control.socket.string(), places_.line("control", 0, "socket"), "control.socket");
  }

  void check_tls() {
    auto& certificates = config_.tls.certificates;
    if (config_.tls.required && !config_.tls.enabled) problem("tls", "required", "needs enabled = true");
    if (certificates.empty()) return;
    const CertificateConfig first = certificates.front();
    const bool key_alone = first.certificate.empty() && !first.key.empty();
    if (!first.certificate.empty() && first.key.empty())
      problem("tls", "certificate", "needs key, which is not set");
    if (key_alone) problem("tls", "key", "needs certificate, which is not set");
    if (!first.certificate.empty() || !first.key.empty()) return;
    if (certificates.size() > 1) {
      report_.problem(places_.line("tls.certificates", 0, {}), "tls.certificates",
                      "adds to certificate and key of [tls], which are not set");
    }
    certificates.erase(certificates.begin());
  }

  void check_limits() {
    if (config_.filter.greylist.window_s <= config_.filter.greylist.delay_s)
      problem("filter.greylist", "window_s", "must be more than delay_s: nobody could come again in time");
    const LimitsConfig& limits = config_.limits;
    if (limits.body_memory_octets_max < limits.message_octets_max) {
      const bool said = places_.given("limits", 0, "body_memory_octets_max");
      problem("limits", said ? "body_memory_octets_max" : "message_octets_max",
              fmt::format("body_memory_octets_max ({}) is less than message_octets_max ({}): no such message "
                          "could be taken",
                          limits.body_memory_octets_max, limits.message_octets_max));
    }
  }

  void check_scores() {
    const FilterConfig& filter = config_.filter;
    if (filter.tag_score > filter.quarantine_score) {
      problem("filter", said_of("tag_score", "quarantine_score"),
              fmt::format("tag_score ({}) is above quarantine_score ({})", filter.tag_score,
                          filter.quarantine_score));
    }
    if (filter.quarantine_score > filter.reject_score) {
      problem("filter", said_of("quarantine_score", "reject_score"),
              fmt::format("quarantine_score ({}) is above reject_score ({})", filter.quarantine_score,
                          filter.reject_score));
    }
  }

  /// The one of two keys of [filter] that the manifest sets: the mistake is there.
  std::string_view said_of(std::string_view first, std::string_view second) const {
    return places_.given("filter", 0, first) ? first : second;
  }

  /// Where nobody says that DNS is to be had, no message is to wait for it. And who raises reject_score wants less refused, by
  /// blocklists as well.
  void settle_defaults() {
    if (!places_.given("filter.authentication", 0, "enabled"))
      config_.filter.authentication.enabled = !config_.dns.resolvers.empty();
    if (!places_.given("filter", 0, "blocklist_reject_score"))
      config_.filter.blocklist_reject_score = config_.filter.reject_score;
  }

  /// Known and checked, but without effect yet: the postmaster must not rely on it.
  void check_in_vain() {
    for (std::size_t i = 0; i < config_.blocklists.size(); ++i) {
      const std::string& kind = config_.blocklists[i].kind;
      if (kind == "ip" || kind == "domain") continue;
      report_.warning(places_.line("blocklist", i, "kind"), key_name("blocklist", true, i, "kind"),
                      fmt::format("\"{}\": the list is not consulted in this version", kind));
    }
    if (config_.dns.budget_ms < config_.dns.timeout_ms) {
      report_.warning(
          places_.line("dns", 0, places_.given("dns", 0, "budget_ms") ? "budget_ms" : "timeout_ms"),
          "dns.budget_ms", "is less than timeout_ms: no answer is waited for as long as that");
    }
    if (config_.dns.dnssec == "trust") {
      report_.warning(places_.line("dns", 0, "dnssec"), "dns.dnssec",
                      "\"trust\" is treated as \"off\": this version does not take a resolver's word");
    }
    if (config_.smtp.early_talker == "reject" && config_.smtp.greeting_delay_ms == 0) {
      report_.warning(places_.line("smtp", 0, "early_talker"), "smtp.early_talker",
                      "hardly finds anyone while greeting_delay_ms is 0");
    }
  }

  Config& config_;
  const Places& places_;
  Report& report_;
  std::map<std::string, std::pair<unsigned, std::string>> claimed_;
};

}  // namespace

void check(Config& config, const Places& places, Report& report) {
  Checks(config, places, report).run();
  check_relaying(config, places, report);
  check_accounts(config, places, report);
  check_profiles(config, places, report);
}

}  // namespace postern::config
