#include "gateway/check/arc.h"

#include <fmt/format.h>

#include <utility>

#include "filters/authentication/arc/chain.h"
#include "filters/authentication/dkim/signature.h"
#include "filters/dns.h"

namespace postern::check {
namespace {

using control::Json;
using filters::arc::Sealer;
using filters::arc::Status;

/// As field values are shown on one line.
std::string unfolded(std::string_view text) {
  return cut(filters::Analysis::unfolded(text));
}

}  // namespace

std::optional<Report> check_arc(const filters::Analysis& analysis, filters::Facts& facts,
                                std::chrono::sys_seconds now) {
  filters::dkim::BodyHashes hashes(analysis.body());
  filters::arc::Chain chain(analysis, hashes);
  const auto result = chain.verify(facts, now);
  if (!result) return std::nullopt;

  Report report;
  report.temporary = result->temporary;
  report.json = {{"check", "arc"}, {"result", to_string(result->status)}};
  if (!result->reason.empty()) report.json["reason"] = result->reason;
  report.lines.push_back(fmt::format("ARC: {}{}{}", to_string(result->status),
                                     result->reason.empty() ? "" : ": ", result->reason));
  Json seals = Json::array();
  for (const Sealer& sealer : result->sealers) {
    report.lines.emplace_back("");
    report.lines.push_back(
        fmt::format("Seal {}  by {}, selector {}", sealer.instance, sealer.domain, sealer.selector));
    report.lines.push_back(fmt::format("  saw     {}", unfolded(sealer.results)));
    if (const auto name = filters::dkim::key_name(sealer.selector, sealer.domain)) {
      const filters::Question question = filters::dns::txt(*name);
      report.lines.push_back(fmt::format("  key     {}", described(question, facts.find(question))));
    }
    seals.push_back({{"instance", sealer.instance},
                     {"d", sealer.domain},
                     {"s", sealer.selector},
                     {"results", filters::Analysis::unfolded(sealer.results)}});
  }
  report.json["seals"] = std::move(seals);
  if (result->temporary)
    add_trouble(facts, report.advice);
  else if (result->status == Status::fail)
    report.advice.push_back(fmt::format(
        "The chain is broken for good: {}. Whoever sealed last sealed what it, or somebody behind "
        "it, then changed; it must seal as its last step.",
        result->reason));
  if (result->status == Status::pass)
    report.advice.emplace_back(
        "A chain that passes tells who handled the message, not that it is good: it helps where a receiver "
        "trusts each sealer (filter.authentication.trusted_sealers).");
  return report;
}

}  // namespace postern::check
