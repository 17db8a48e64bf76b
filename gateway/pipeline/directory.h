#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "filters/ip.h"
#include "gateway/config/config.h"
#include "gateway/pipeline/recipient_list.h"
#include "gateway/smtp/address.h"

namespace postern::pipeline {

/// Where one recipient's mail goes.
struct Resolution {
  enum class Kind : std::uint8_t {
    mailbox,      ///< one of ours
    relay,        ///< for somebody else's host, by the queue
    unknown,      ///< our domain, no such address: 550 5.1.1
    foreign,      ///< not our domain: 550 5.7.1, nobody relays here
    bad_address,  ///< in our domain, but written to be sent on: %-hack, bang path, an address in quotes:
                  ///< 550 5.7.1
  };
  Kind kind = Kind::unknown;
  std::string
      mailbox;  ///< the account's address in normal form (the key of the store); relay: whom it is for
  std::string destination;         ///< relay: the domain in A-labels, by which routes are found
  std::uint64_t quota_octets = 0;  ///< 0: none
};

/// Domains, accounts and aliases of one manifest, compiled for look-up. Immutable; all cores.
class Directory {
 public:
  Directory() = default;
  /// Who is listed in a domain's file, by its name in A-labels.
  using Lists = std::unordered_map<std::string, RecipientList>;
  explicit Directory(const config::Config& config, Lists lists = {});

  /// Resolves a RCPT path: accounts, aliases, catch-all, recipients = "any", <Postmaster> and postmaster@ of
  /// every domain of ours (RFC 5321 §4.5.1, always reachable), domain literals of our own listeners'
  /// addresses and of `local`, the address the client connected to (postmaster only). Local parts are
  /// compared without regard to ASCII case; U-labels and A-labels of a domain are the same domain (RFC 6531
  /// §3.7.1). A source route is ignored (RFC 5321 appendix C).
  Resolution resolve(const smtp::Path& path, const filters::Ip& local = {}) const;
  /// Where mail of ours to that address goes: as resolve() says where the domain is ours, else by the queue to
  /// whoever takes its mail. Only for what we write ourselves: it answers nobody's RCPT.
  Resolution resolve_own(const smtp::Mailbox& mailbox) const;
  bool is_local_domain(std::string_view domain) const;

 private:
  struct Domain {
    std::string name;  ///< as the manifest spells it
    bool any = false;
    bool relay = false;
    std::optional<RecipientList> listed;
    std::size_t catch_all = kNone;
  };
  struct Account {
    std::string address;
    std::uint64_t quota_octets = 0;
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  Resolution account(std::size_t index) const;
  Resolution postmaster(std::string_view domain) const;
  static Resolution relayed(const smtp::Mailbox& mailbox, std::string ascii_domain);

  std::unordered_map<std::string, Domain> domains_;         // by A-labels, lower case
  std::unordered_map<std::string, std::size_t> addresses_;  // identity() of accounts and aliases → accounts_
  std::vector<Account> accounts_;
  std::unordered_set<filters::Ip> literals_;  // addresses that listeners are bound to by name
  std::size_t postmaster_ = kNone;
  std::string first_domain_;  // where <Postmaster> lives when the manifest has no account at all
};

}  // namespace postern::pipeline
