#include "gateway/pipeline/directory.h"

#include <utility>

#include "gateway/config/values.h"
#include "gateway/reactor/socket.h"
#include "storage/store.h"

namespace postern::pipeline {
namespace {

constexpr std::string_view kPostmaster = "postmaster";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

/// Under which two spellings are one mailbox. The local part is unquoted, so it may hold an '@'; the domain
/// never does.
std::string identity(std::string_view lower_local, std::string_view ascii_domain) {
  std::string out;
  out.reserve(lower_local.size() + 1 + ascii_domain.size());
  return out.append(lower_local).append(1, '@').append(ascii_domain);
}

/// The identity of an address in normal form; empty when it is none, which a checked manifest does not hold.
std::string identity_of(std::string_view address) {
  const auto mailbox = smtp::parse_mailbox(address, true);
  if (!mailbox) return {};
  const auto domain = config::ascii_domain(mailbox->domain);
  return domain ? identity(lower(mailbox->local), *domain) : std::string();
}

/// A local part that asks to be sent on: user%host, host!user, "user@host", "@host:user" (RFC 5321 §3.6.1
/// calls such routing obsolete). Nothing here relays, but a relay test must not even see a 250.
bool asks_for_relay(std::string_view local) {
  return local.find_first_of("%!@") != std::string_view::npos;
}

}  // namespace

Directory::Directory(const config::Config& config, Lists lists) {
  accounts_.reserve(config.accounts.size());
  addresses_.reserve(config.accounts.size());
  for (const config::AccountConfig& entry : config.accounts) {
    const std::size_t index = accounts_.size();
    accounts_.push_back({.address = entry.address, .quota_octets = entry.quota_octets});
    addresses_.try_emplace(identity_of(entry.address), index);
    for (const std::string& alias : entry.aliases) addresses_.try_emplace(identity_of(alias), index);
  }
  const auto index_of = [this](const std::string& address) {
    const auto found = addresses_.find(identity_of(address));
    return address.empty() || found == addresses_.end() ? kNone : found->second;
  };
  postmaster_ = index_of(config.postmaster);
  if (postmaster_ == kNone && !accounts_.empty()) postmaster_ = 0;

  for (const config::DomainConfig& entry : config.domains) {
    Domain domain{.name = entry.name,
                  .any = entry.recipients == "any",
                  .relay = entry.deliver == "relay",
                  .catch_all = index_of(entry.catch_all)};
    std::string ascii = config::ascii_domain(entry.name).value_or(entry.name);
    if (const auto list = lists.find(ascii); list != lists.end()) domain.listed = std::move(list->second);
    domains_.try_emplace(std::move(ascii), std::move(domain));
  }
  first_domain_ = config.domains.empty() ? config.hostname : config.domains.front().name;

  for (const config::ListenerConfig& listener : config.listeners) {
    const auto address = reactor::Address::parse(listener.address);
    if (address && !address->is_unix()) literals_.insert(address->ip);
  }
}

bool Directory::is_local_domain(std::string_view domain) const {
  const auto ascii = config::ascii_domain(domain);
  return ascii && domains_.contains(*ascii);
}

Resolution Directory::account(std::size_t index) const {
  const Account& found = accounts_[index];
  return {.kind = Resolution::Kind::mailbox, .mailbox = found.address, .quota_octets = found.quota_octets};
}

/// Somebody must read it (RFC 5321 §4.5.1): without any account it has a mailbox of its own.
Resolution Directory::postmaster(std::string_view domain) const {
  if (postmaster_ != kNone) return account(postmaster_);
  return {.kind = Resolution::Kind::mailbox, .mailbox = identity(kPostmaster, domain)};
}

Resolution Directory::relayed(const smtp::Mailbox& mailbox, std::string ascii_domain) {
  return {.kind = Resolution::Kind::relay,
          .mailbox = mailbox.normal_form(),
          .destination = std::move(ascii_domain)};
}

Resolution Directory::resolve_own(const smtp::Mailbox& mailbox) const {
  if (mailbox.literal) {
    if (!mailbox.literal_ip.empty() && literals_.contains(mailbox.literal_ip))
      return resolve(smtp::Path{.mailbox = mailbox});
    return relayed(mailbox, mailbox.domain);
  }
  const auto ascii = config::ascii_domain(mailbox.domain);
  if (!ascii) return {.kind = Resolution::Kind::unknown};
  return domains_.contains(*ascii) ? resolve(smtp::Path{.mailbox = mailbox}) : relayed(mailbox, *ascii);
}

Resolution Directory::resolve(const smtp::Path& path, const filters::Ip& local) const {
  if (path.null) return {.kind = Resolution::Kind::unknown};
  if (path.postmaster) return postmaster(first_domain_);
  const smtp::Mailbox& mailbox = path.mailbox;
  std::string name = lower(mailbox.local);

  if (mailbox.literal) {
    const filters::Ip& ip = mailbox.literal_ip;
    const bool ours = !ip.empty() && (ip == local || literals_.contains(ip));
    if (!ours) return {.kind = Resolution::Kind::foreign};
    return name == kPostmaster ? postmaster(first_domain_) : Resolution{.kind = Resolution::Kind::unknown};
  }

  const auto ascii = config::ascii_domain(mailbox.domain);
  const auto domain = ascii ? domains_.find(*ascii) : domains_.end();
  if (domain == domains_.end()) return {.kind = Resolution::Kind::foreign};

  const auto found = addresses_.find(identity(name, *ascii));
  if (found != addresses_.end()) return account(found->second);
  // Whoever runs the domain reads its postmaster's mail (RFC 5321 §4.5.1), listed or not.
  if (name == kPostmaster)
    return domain->second.relay ? relayed(mailbox, *ascii) : postmaster(domain->second.name);
  if (asks_for_relay(name)) return {.kind = Resolution::Kind::bad_address};
  if (domain->second.catch_all != kNone) return account(domain->second.catch_all);
  const bool receives =
      domain->second.any || (domain->second.listed && domain->second.listed->contains(name));
  if (!receives) return {.kind = Resolution::Kind::unknown};
  if (domain->second.relay) return relayed(mailbox, *ascii);

  const smtp::Mailbox own{.local = std::move(name), .domain = domain->second.name};
  std::string key = own.normal_form();
  // A U-label may be longer than the A-label the client sent.
  if (key.size() > storage::Store::kMailboxOctetsMax) return {.kind = Resolution::Kind::unknown};
  return {.kind = Resolution::Kind::mailbox, .mailbox = std::move(key)};
}

}  // namespace postern::pipeline
