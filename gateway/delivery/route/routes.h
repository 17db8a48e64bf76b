#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "filters/facts.h"
#include "gateway/config/config.h"
#include "gateway/config/target.h"
#include "gateway/delivery/attempt.h"

namespace postern::delivery {

/// How mail for one destination leaves: where to, and on what terms.
struct Route {
  std::vector<config::Target> targets;  ///< with their priorities filled in; empty: the destination's own MX
  TlsPolicy tls = TlsPolicy::may;
  std::vector<std::string> tls_names;
  std::optional<reactor::Address> source;
  std::optional<Credentials> credentials;
};

/// The routes of one manifest by destination. A destination is a domain in A-labels, or an address literal in
/// brackets. Immutable; all cores.
class Routes {
 public:
  Routes() = default;
  /// `relay_password`: of [relay], read by the caller.
  explicit Routes(const config::Config& config, std::string relay_password = {});

  /// Always one: what is not a relayed domain goes as [relay] says.
  const Route& find(std::string_view destination) const;
  const std::string& hostname() const { return hostname_; }

 private:
  std::unordered_map<std::string, Route> by_domain_;
  Route elsewhere_;
  std::string hostname_;
};

/// What a route comes to, once DNS has been asked.
struct Plan {
  enum class Kind : std::uint8_t {
    pending,    ///< questions are open in the facts
    hops,       ///< try them in this order
    temporary,  ///< DNS did not say: nothing to try now
    permanent,  ///< there is no way: no such domain, no mail taken there, a loop
  };
  Kind kind = Kind::pending;
  std::vector<NextHop> hops;
  std::string enhanced;  ///< of temporary and permanent: RFC 3463
  std::string text;
};

/// Addresses of hosts, in the order to try: RFC 5321 §5.1 and RFC 7505 for MX, priority and weight for lists.
/// `chance` decides among equals: the same chance, the same order. What `facts` cannot answer is noted there.
Plan plan(const Route& route, std::string_view destination, std::string_view own_name, filters::Facts& facts,
          std::uint64_t chance);

/// At most so many MX hosts are looked up, and so many addresses tried (RFC 5321 §5.1 lets us bound it).
inline constexpr std::size_t kPlanHostsMax = 10, kPlanHopsMax = 20;

}  // namespace postern::delivery
