#include <fmt/format.h>

#include <algorithm>

#include "gateway/config/checks.h"
#include "gateway/config/target.h"
#include "gateway/config/values.h"

namespace postern::config {
namespace {

class RelayChecks {
 public:
  RelayChecks(Config& config, const Places& places, Report& report)
      : config_(config), places_(places), report_(report) {}

  void run() {
    for (std::size_t i = 0; i < config_.domains.size(); ++i) {
      if (config_.domains[i].deliver == "relay") {
        check_relayed(i);
      } else {
        check_own(i);
      }
    }
    check_targets("relay", false, 0, config_.relay.to, config_.relay.tls, config_.relay.tls_names);
    check_credentials();
    check_queue();
  }

 private:
  void problem(std::string_view section, bool repeated, std::size_t index, std::string_view key,
               std::string what) {
    report_.problem(places_.line(section, index, key), key_name(section, repeated, index, key),
                    std::move(what));
  }
  void domain_problem(std::size_t index, std::string_view key, std::string what) {
    problem("domain", true, index, key, std::move(what));
  }

  void check_relayed(std::size_t index) {
    DomainConfig& domain = config_.domains[index];
    if (domain.to.empty() && !places_.given("domain", index, "to"))
      domain_problem(index, "deliver", "\"relay\" needs `to`, the hosts that the mail is for");
    else if (domain.to.empty())
      domain_problem(index, "to", "is empty: nobody would get the mail");
    if (!places_.given("domain", index, "recipients")) {
      domain.recipients = "any";
      report_.warning(places_.line("domain", index, "name"), key_name("domain", true, index, "recipients"),
                      fmt::format("is not set: mail for {} is taken whoever it is for, and what the next hop "
                                  "refuses is sent back",
                                  shown(domain.name)));
    } else if (domain.recipients == "accounts") {
      domain_problem(index, "recipients",
                     "\"accounts\" would leave nothing to relay; \"any\" or \"file=PATH\" does");
    }
    if (!domain.catch_all.empty()) domain_problem(index, "catch_all", "goes with deliver = \"mailbox\" only");
    check_targets("domain", true, index, domain.to, domain.tls, domain.tls_names);
  }

  void check_own(std::size_t index) {
    // What is set to its default says nothing: `config dump` writes it.
    const DomainConfig& domain = config_.domains[index];
    const DomainConfig untouched;
    const auto complain = [&](bool set, std::string_view key) {
      if (set) domain_problem(index, key, "goes with deliver = \"relay\" only");
    };
    complain(domain.to != untouched.to, "to");
    complain(domain.tls != untouched.tls, "tls");
    complain(domain.tls_names != untouched.tls_names, "tls_names");
    complain(domain.source != untouched.source, "source");
  }

  void check_targets(std::string_view section, bool repeated, std::size_t index,
                     const std::vector<std::string>& to, std::string_view tls,
                     const std::vector<std::string>& names) {
    for (const std::string& text : to) {
      const auto target = parse_target(text);
      if (!target) continue;  // reported already
      const std::string place =
          target->kind == Target::Kind::unix_socket ? "unix:" + target->name : text.substr(0, text.find(' '));
      const bool ours = std::ranges::any_of(config_.listeners, [&](const ListenerConfig& listener) {
        return listener.address == place || "lmtp:" + listener.address == place;
      });
      if (ours)
        problem(section, repeated, index, "to",
                fmt::format("{} is a [[listener]] of this server: mail would go in circles", shown(place)));
      const bool nameless =
          target->kind == Target::Kind::address || target->kind == Target::Kind::unix_socket;
      if (tls == "verify" && names.empty() && nameless)
        problem(section, repeated, index, "tls",
                fmt::format("\"verify\" needs tls_names, since {} has no name", shown(place)));
    }
    if (tls != "verify" && !names.empty())
      problem(section, repeated, index, "tls_names", "goes with tls = \"verify\" only");
  }

  void check_credentials() {
    const RelayConfig& relay = config_.relay;
    if (relay.user.empty() != relay.password_file.empty())
      problem("relay", false, 0, relay.user.empty() ? "password_file" : "user",
              "user and password_file go together");
    if (!relay.user.empty() && relay.to.empty())
      problem("relay", false, 0, "user", "is for the smarthosts of `to`, and there are none");
    if (!relay.user.empty() && relay.tls != "encrypt" && relay.tls != "verify")
      problem("relay", false, 0, "user",
              "a password is sent under TLS only: tls = \"encrypt\" or \"verify\"");
  }

  void check_queue() {
    const QueueConfig& queue = config_.queue;
    if (queue.retry_first_s > queue.retry_max_s) {
      const bool said = places_.given("queue", 0, "retry_first_s");
      problem("queue", false, 0, said ? "retry_first_s" : "retry_max_s",
              fmt::format("retry_first_s ({}) is above retry_max_s ({})", queue.retry_first_s,
                          queue.retry_max_s));
    }
    if (queue.memory_octets_max < config_.limits.message_octets_max) {
      const bool said = places_.given("queue", 0, "memory_octets_max");
      report_.warning(places_.line("queue", 0, "memory_octets_max"), "queue.memory_octets_max",
                      fmt::format("{} is less than limits.message_octets_max ({}): larger messages are sent "
                                  "one at a time, beyond the bound{}",
                                  queue.memory_octets_max, config_.limits.message_octets_max,
                                  said ? "" : "; it is not set"));
    }
  }

  Config& config_;
  const Places& places_;
  Report& report_;
};

}  // namespace

void check_relaying(Config& config, const Places& places, Report& report) {
  RelayChecks(config, places, report).run();
}

}  // namespace postern::config
