#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "filters/dns.h"
#include "gateway/delivery/route/routes.h"

namespace postern::delivery {
namespace {

namespace dns = filters::dns;

/// splitmix64: a fixed sequence from one number.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return (z ^ (z >> 31U)) % bound;
  }

 private:
  std::uint64_t state_;
};

/// A place in a list of targets stands above the preferences of an MX set at that place.
constexpr unsigned kPreferenceBits = 16;

/// One host to look up, or one address.
struct Place {
  std::uint32_t priority = 0, weight = 1;
  std::string host;
  std::optional<reactor::Address> address;
  std::uint16_t port = config::Target::kSmtpPort;
  bool lmtp = false;
};

/// By priority; among equals by chance, in proportion to their weights.
void order(std::vector<Place>& places, Dice& dice) {
  std::ranges::sort(places, {}, &Place::priority);
  for (std::size_t first = 0; first < places.size(); ++first) {
    std::uint64_t sum = 0;
    std::size_t end = first;
    for (; end < places.size() && places[end].priority == places[first].priority; ++end)
      sum += places[end].weight;
    std::uint64_t drawn = dice.below(sum);
    for (std::size_t i = first; i < end; ++i) {
      if (drawn < places[i].weight) {
        std::swap(places[first], places[i]);
        break;
      }
      drawn -= places[i].weight;
    }
  }
}

bool same_name(std::string_view a, std::string_view b) {
  return dns::normal_name(a) == dns::normal_name(b);
}

class Planner {
 public:
  Planner(const Route& route, std::string_view destination, std::string_view own_name, filters::Facts& facts,
          std::uint64_t chance)
      : route_(route), destination_(destination), own_name_(own_name), facts_(facts), dice_(chance) {}

  Plan run() {
    if (route_.targets.empty()) {
      add_destination();
    } else {
      for (const config::Target& target : route_.targets) add_target(target);
    }
    if (waiting_) return {};
    order(places_, dice_);
    std::vector<NextHop> hops;
    std::size_t hosts = 0;
    for (const Place& place : places_) {
      if (++hosts > kPlanHostsMax || hops.size() >= kPlanHopsMax) break;
      add_hops(place, hops);
    }
    if (waiting_) return {};
    if (hops.size() > kPlanHopsMax) hops.resize(kPlanHopsMax);
    if (!hops.empty()) return {.kind = Plan::Kind::hops, .hops = std::move(hops)};
    if (unsure_) return {.kind = Plan::Kind::temporary, .enhanced = "4.4.3", .text = trouble_};
    if (refusal_.text.empty()) refuse("5.4.4", fmt::format("no host of {} has an address", destination_));
    // What stands in our manifest and cannot be reached is our mistake, not the sender's.
    if (!route_.targets.empty())
      return {.kind = Plan::Kind::temporary, .enhanced = "4.3.5", .text = std::move(refusal_.text)};
    return std::move(refusal_);
  }

 private:
  void add_destination() {
    if (destination_.starts_with('[') && destination_.ends_with(']')) return add_literal();
    add_exchanges(std::string(destination_), Place{});
  }

  /// RFC 5321 §4.1.3; the tag of IPv6 is in front.
  void add_literal() {
    std::string_view text = destination_.substr(1, destination_.size() - 2);
    constexpr std::string_view kTag = "IPv6:";
    if (text.starts_with(kTag)) text.remove_prefix(kTag.size());
    if (const auto ip = filters::Ip::parse(text))
      places_.push_back({.host = ip->text(), .address = reactor::Address{.ip = *ip, .port = Place{}.port}});
  }

  void add_target(const config::Target& target) {
    Place place{.priority = target.priority.value_or(0) << kPreferenceBits,
                .weight = target.weight,
                .port = target.port,
                .lmtp = target.lmtp};
    switch (target.kind) {
      case config::Target::Kind::unix_socket:
        place.host = target.name;
        place.address = reactor::Address{.path = target.name};
        break;
      case config::Target::Kind::address:
        place.host = target.ip.text();
        place.address = reactor::Address{.ip = target.ip, .port = target.port};
        break;
      case config::Target::Kind::host:
        place.host = target.name;
        break;
      case config::Target::Kind::mx:
        return add_exchanges(target.name.empty() ? std::string(destination_) : target.name, place);
    }
    places_.push_back(std::move(place));
  }

  /// RFC 5321 §5.1. `base` says where among a list of targets the exchanges stand.
  void add_exchanges(const std::string& domain, const Place& base) {
    const auto name = dns::normal_name(domain);
    if (!name) return refuse("5.1.2", fmt::format("{} is no domain name", domain));
    const filters::Answer* answer = facts_.ask(dns::mx(*name));
    if (answer == nullptr) {
      waiting_ = true;
      return;
    }
    if (answer->failed())
      return doubt(fmt::format("the MX hosts of {} could not be looked up", domain), *answer);
    if (answer->status == filters::AnswerStatus::no_such_name)
      return refuse("5.1.2", fmt::format("there is no domain {}", domain));
    const std::vector<dns::Exchange> exchanges = dns::exchanges(*answer);
    if (exchanges.empty()) {  // the implicit MX: the domain itself
      Place place = base;
      place.host = *name;
      places_.push_back(std::move(place));
      return;
    }
    // RFC 7505 §3: alone it means that no mail is taken; beside others it is a mistake, and passed over.
    if (exchanges.size() == 1 && exchanges.front().host.empty())
      return refuse("5.1.10", fmt::format("{} takes no mail (RFC 7505)", domain));
    add_listed(domain, exchanges, base);
  }

  void add_listed(const std::string& domain, const std::vector<dns::Exchange>& exchanges, const Place& base) {
    std::uint32_t own = std::numeric_limits<std::uint32_t>::max();
    for (const dns::Exchange& exchange : exchanges)
      if (same_name(exchange.host, own_name_)) own = std::min<std::uint32_t>(own, exchange.preference);
    bool left_out = false;
    for (const dns::Exchange& exchange : exchanges) {
      if (exchange.host.empty()) continue;
      // §5.1: whoever finds itself in the list leaves out itself and everything less preferred, or mail goes in
      // circles.
      if (exchange.preference >= own) {
        left_out = true;
        continue;
      }
      Place place = base;
      // Preferences order the hosts of one MX set within the place that the set has in a list.
      place.priority = base.priority | exchange.preference;
      place.host = exchange.host;
      places_.push_back(std::move(place));
    }
    if (left_out) refuse("5.4.6", fmt::format("the best MX host of {} is this server: a mail loop", domain));
  }

  void add_hops(const Place& place, std::vector<NextHop>& hops) {
    NextHop hop{
        .host_name = place.host, .lmtp = place.lmtp, .tls = route_.tls, .tls_names = route_.tls_names};
    hop.source = route_.source;
    hop.credentials = route_.credentials;
    if (place.address) {
      hop.address = *place.address;
      if (hop.address.is_unix()) hop.source.reset();
      hops.push_back(std::move(hop));
      return;
    }
    std::vector<filters::Ip> addresses;
    bool asked = true;
    for (const filters::Question& question : {dns::aaaa(place.host), dns::a(place.host)}) {
      if (!family_usable(question.kind == filters::QuestionKind::dns_a)) continue;
      const filters::Answer* answer = facts_.ask(question);
      if (answer == nullptr) {
        asked = false;
        continue;
      }
      if (answer->failed())
        doubt(fmt::format("the addresses of {} could not be looked up", place.host), *answer);
      std::vector<filters::Ip> found = dns::addresses(*answer);
      for (std::size_t i = found.size(); i > 1; --i) std::swap(found[i - 1], found[dice_.below(i)]);
      addresses.insert(addresses.end(), found.begin(), found.end());
    }
    if (!asked) {
      waiting_ = true;
      return;
    }
    for (const filters::Ip& ip : addresses) {
      if (hops.size() >= kPlanHopsMax) return;
      hop.address = reactor::Address{.ip = ip, .port = place.port};
      hops.push_back(hop);
    }
  }

  /// A source address ties the route to its family.
  bool family_usable(bool v4) const { return !route_.source || route_.source->ip.is_v4() == v4; }

  /// DNS trouble is ours, and temporary.
  void doubt(std::string what, const filters::Answer& answer) {
    unsure_ = true;
    if (trouble_.empty()) trouble_ = fmt::format("{}: {}", what, filters::to_string(answer.status));
  }

  void refuse(std::string enhanced, std::string text) {
    if (refusal_.text.empty())
      refusal_ = {.kind = Plan::Kind::permanent, .enhanced = std::move(enhanced), .text = std::move(text)};
  }

  const Route& route_;
  const std::string_view destination_, own_name_;
  filters::Facts& facts_;
  Dice dice_;
  std::vector<Place> places_;
  Plan refusal_;
  std::string trouble_;
  bool waiting_ = false, unsure_ = false;
};

}  // namespace

Plan plan(const Route& route, std::string_view destination, std::string_view own_name, filters::Facts& facts,
          std::uint64_t chance) {
  return Planner(route, destination, own_name, facts, chance).run();
}

}  // namespace postern::delivery
