#include "filters/authentication/iprev.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "filters/dns.h"

namespace postern::filters::authentication {
namespace {

std::vector<std::string> usable_names(const Answer& answer) {
  std::vector<std::string> names;
  for (const std::string& record : answer.records)
    if (auto name = dns::normal_name(record)) names.push_back(*std::move(name));
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  if (names.size() > kReverseNamesMax) names.resize(kReverseNamesMax);
  return names;
}

bool leads_to(const Answer& forward, const Ip& ip) {
  const std::vector<Ip> addresses = dns::addresses(forward);
  return std::ranges::find(addresses, ip) != addresses.end();
}

}  // namespace

std::string_view to_string(IprevResult result) {
  switch (result) {
    case IprevResult::pass:
      return "pass";
    case IprevResult::fail:
      return "fail";
    case IprevResult::temperror:
      return "temperror";
    case IprevResult::permerror:
      return "permerror";
  }
  return "";
}

std::optional<Iprev> check_iprev(const Ip& ip, Facts& facts) {
  const Answer* reverse = facts.ask(dns::ptr(ip));
  if (reverse == nullptr) return std::nullopt;
  if (reverse->failed())
    return Iprev{.result = IprevResult::temperror,
                 .reason = fmt::format("reverse name: {}", filters::to_string(reverse->status))};
  const std::vector<std::string> names = usable_names(*reverse);
  if (names.empty()) return Iprev{.result = IprevResult::permerror, .reason = "no reverse name"};

  bool pending = false;
  std::string match, failure;
  for (const std::string& name : names) {
    const Answer* forward = facts.ask(ip.is_v4() ? dns::a(name) : dns::aaaa(name));
    if (forward == nullptr) {
      pending = true;
    } else if (forward->failed()) {
      if (failure.empty()) failure = fmt::format("{}: {}", name, filters::to_string(forward->status));
    } else if (match.empty() && leads_to(*forward, ip)) {
      match = name;
    }
  }
  if (pending) return std::nullopt;
  if (!match.empty()) return Iprev{.result = IprevResult::pass, .name = match};
  if (!failure.empty()) return Iprev{.result = IprevResult::temperror, .reason = failure};
  return Iprev{.result = IprevResult::fail, .reason = fmt::format("{} does not lead back", names.front())};
}

}  // namespace postern::filters::authentication
