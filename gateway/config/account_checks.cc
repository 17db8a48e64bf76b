#include <fmt/format.h>

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "gateway/config/checks.h"
#include "gateway/config/values.h"

namespace postern::config {
namespace {

std::string_view domain_of(std::string_view address) {
  return address.substr(address.rfind('@') + 1);  // normal form: a domain holds no @
}

/// Under which two spellings are one mailbox: A-labels, and letters of the local part in lower case. RFC 5321
/// §2.4 lets the case of local parts matter; two mailboxes that differ in nothing else are a mistake all the
/// same.
std::string identity(std::string_view address) {
  const std::string_view domain = domain_of(address);
  std::string local(address.substr(0, address.size() - domain.size()));
  for (char& c : local) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return local + ascii_domain(domain).value_or(std::string(domain));
}

class AccountChecks {
 public:
  AccountChecks(Config& config, const Places& places, Report& report)
      : config_(config), places_(places), report_(report) {}

  void run() {
    index_domains();
    index_accounts();
    check_aliases();  // after all accounts are known: an alias may stand before the account it collides with
    check_catch_all();
    check_postmaster();
    check_reachable();
  }

 private:
  void problem(std::string_view section, std::size_t index, std::string_view key, std::string what,
               std::uint64_t element = Places::kWhole) {
    report_.problem(places_.line(section, index, key, element), key_name(section, true, index, key),
                    std::move(what));
  }

  void index_domains() {
    for (std::size_t i = 0; i < config_.domains.size(); ++i) {
      const std::string& name = config_.domains[i].name;
      if (name.empty()) continue;  // reported already
      const auto [found, is_new] = domains_.try_emplace(ascii_domain(name).value_or(name), i);
      if (!is_new) {
        problem("domain", i, "name",
                fmt::format("{} is a [[domain]] already, line {}", shown(name),
                            places_.line("domain", found->second, "name")));
      }
    }
  }

  bool is_ours(std::string_view address) const {
    return domains_.contains(ascii_domain(domain_of(address)).value_or(std::string()));
  }

  void index_accounts() {
    accounts_.reserve(config_.accounts.size());
    for (std::size_t i = 0; i < config_.accounts.size(); ++i) {
      const std::string& address = config_.accounts[i].address;
      if (address.empty()) continue;
      if (!is_ours(address)) {
        problem("account", i, "address",
                fmt::format("{} is not in a [[domain]] of this manifest", shown(address)));
      }
      const auto [found, is_new] = accounts_.try_emplace(identity(address), i);
      if (!is_new) {
        problem("account", i, "address",
                fmt::format("{} is an [[account]] already, line {}", shown(address),
                            places_.line("account", found->second, "address")));
      }
    }
  }

  void check_aliases() {
    for (std::size_t i = 0; i < config_.accounts.size(); ++i) {
      const auto& aliases = config_.accounts[i].aliases;
      for (std::size_t j = 0; j < aliases.size(); ++j) {
        if (!aliases[j].empty()) check_alias(i, j, aliases[j]);
      }
    }
  }

  void check_alias(std::size_t account, std::size_t number, const std::string& alias) {
    if (!is_ours(alias)) {
      problem("account", account, "aliases",
              fmt::format("{} is not in a [[domain]] of this manifest", shown(alias)), number);
      return;
    }
    std::string key = identity(alias);
    if (const auto found = accounts_.find(key); found != accounts_.end()) {
      const std::string what = found->second == account
                                   ? fmt::format("{} is the account's own address", shown(alias))
                                   : fmt::format("{} is an [[account]], line {}", shown(alias),
                                                 places_.line("account", found->second, "address"));
      problem("account", account, "aliases", what, number);
      return;
    }
    const unsigned line = places_.line("account", account, "aliases", number);
    const auto [found, is_new] = aliases_.try_emplace(std::move(key), line);
    if (!is_new) {
      problem("account", account, "aliases",
              fmt::format("{} is an alias already, line {}", shown(alias), found->second), number);
    }
  }

  /// Nothing when the address is that of an account, else what is wrong with it.
  std::optional<std::string> not_an_account(const std::string& address) const {
    const std::string key = identity(address);
    if (accounts_.contains(key)) return std::nullopt;
    if (aliases_.contains(key)) return fmt::format("{} is an alias; name its account", shown(address));
    return fmt::format("{} is not the address of an [[account]]", shown(address));
  }

  void check_catch_all() {
    for (std::size_t i = 0; i < config_.domains.size(); ++i) {
      const std::string& address = config_.domains[i].catch_all;
      if (address.empty()) continue;
      if (auto wrong = not_an_account(address)) problem("domain", i, "catch_all", std::move(*wrong));
    }
  }

  void check_postmaster() {
    if (!config_.postmaster.empty()) {
      if (auto wrong = not_an_account(config_.postmaster)) {
        report_.problem(places_.line("", 0, "postmaster"), "postmaster", std::move(*wrong));
      }
      return;
    }
    if (config_.accounts.empty() || config_.accounts.front().address.empty()) return;
    config_.postmaster = config_.accounts.front().address;
    report_.warning(places_.line("", 0, "postmaster"), "postmaster",
                    fmt::format("is not set: mail to postmaster goes to the first account, {}",
                                shown(config_.postmaster)));
  }

  void check_reachable() {
    if (config_.domains.empty()) {
      report_.warning(1, "domain", "there is no [[domain]]: every recipient is refused");
      return;
    }
    std::unordered_set<std::string> with_accounts;
    for (const AccountConfig& account : config_.accounts) {
      with_accounts.insert(ascii_domain(domain_of(account.address)).value_or(std::string()));
      for (const std::string& alias : account.aliases) {
        with_accounts.insert(ascii_domain(domain_of(alias)).value_or(std::string()));
      }
    }
    for (std::size_t i = 0; i < config_.domains.size(); ++i) {
      const DomainConfig& domain = config_.domains[i];
      if (domain.name.empty() || domain.recipients != "accounts" || !domain.catch_all.empty()) continue;
      if (with_accounts.contains(ascii_domain(domain.name).value_or(std::string()))) continue;
      report_.warning(
          places_.line("domain", i, "name"), key_name("domain", true, i, "name"),
          fmt::format("{} has no accounts: every recipient but postmaster is refused", shown(domain.name)));
    }
  }

  Config& config_;
  const Places& places_;
  Report& report_;
  std::unordered_map<std::string, std::size_t> domains_;   // by A-labels: number of the [[domain]]
  std::unordered_map<std::string, std::size_t> accounts_;  // by identity: number of the [[account]]
  std::unordered_map<std::string, unsigned> aliases_;      // by identity: line
};

}  // namespace

void check_accounts(Config& config, const Places& places, Report& report) {
  AccountChecks(config, places, report).run();
}

}  // namespace postern::config
