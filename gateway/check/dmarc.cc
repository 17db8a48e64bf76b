#include "gateway/check/dmarc.h"

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "filters/authentication/dmarc/evaluation.h"
#include "filters/dns.h"

namespace postern::check {
namespace {

using control::Json;
using filters::dmarc::Alignment;
using filters::dmarc::Outcome;
using filters::dmarc::Policy;
using filters::dmarc::Result;

std::string_view mode_of(Alignment mode) {
  return mode == Alignment::strict ? "strict" : "relaxed";
}

struct Identifier {
  std::string_view method, result;
  std::string domain;
  bool aligned = false;
};

class DmarcReport {
 public:
  DmarcReport(const DmarcRequest& request, const Outcome& outcome, const std::vector<Identifier>& identifiers,
              const filters::Facts& facts)
      : request_(request), outcome_(outcome), identifiers_(identifiers), facts_(facts) {}

  Report run() {
    report_.temporary = outcome_.result == Result::temperror;
    report_.json = {{"check", "dmarc"}, {"result", to_string(outcome_.result)}};
    if (!outcome_.reason.empty()) report_.json["reason"] = outcome_.reason;
    report_.json.update({{"author_domain", outcome_.author_domain},
                         {"organizational_domain", outcome_.organizational_domain},
                         {"record_domain", outcome_.record_domain}});
    line("DMARC of {}: {}{}{}", request_.author_domain, to_string(outcome_.result),
         outcome_.reason.empty() ? "" : ": ", outcome_.reason);
    if (outcome_.policy) {
      report_.json["policy"] = to_string(*outcome_.policy);
      line("Policy      {}, so the owner asks for: {}", to_string(*outcome_.policy),
           to_string(outcome_.disposition));
    }
    report_.json["disposition"] = to_string(outcome_.disposition);
    if (!outcome_.organizational_domain.empty()) line("Org. domain {}", outcome_.organizational_domain);
    tell_walk();
    tell_record();
    tell_identifiers();
    advise();
    return std::move(report_);
  }

 private:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    report_.lines.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void advice(fmt::format_string<Args...> format, Args&&... args) {
    report_.advice.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  /// From the author domain up, as the walk of RFC 9989 §4.10 went.
  void tell_walk() {
    if (outcome_.author_domain.empty()) return;
    line("");
    line("Tree walk");
    for (std::string_view rest = outcome_.author_domain; !rest.empty();) {
      const filters::Question question = filters::dns::txt("_dmarc." + std::string(rest));
      if (const filters::Answer* answer = facts_.find(question)) line("  {}", described(question, answer));
      const std::size_t dot = rest.find('.');
      rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
    }
  }

  void tell_record() {
    if (!outcome_.record) return;
    const filters::Answer* answer = facts_.find(filters::dns::txt("_dmarc." + outcome_.record_domain));
    for (const std::string& text : answer != nullptr ? answer->records : std::vector<std::string>()) {
      if (!filters::dmarc::parse_record(text)) continue;
      report_.json["record"] = text;
      line("");
      line("Record      of {}: {}", outcome_.record_domain, cut(text));
    }
    line("Alignment   SPF {}, DKIM {}{}", mode_of(outcome_.record->spf), mode_of(outcome_.record->dkim),
         outcome_.record->testing ? "; t=y: the owner tests, one step milder" : "");
  }

  void tell_identifiers() {
    report_.json["aligned"] = {{"spf", outcome_.spf_aligned}, {"dkim", outcome_.dkim_aligned}};
    Json all = Json::array();
    if (!identifiers_.empty()) line("");
    for (const Identifier& identifier : identifiers_) {
      const std::string_view mode =
          outcome_.record ? mode_of(identifier.method == "spf" ? outcome_.record->spf : outcome_.record->dkim)
                          : "no record";
      line("{:<11} {} for {}: {}", identifier.method, identifier.result, identifier.domain,
           identifier.aligned ? fmt::format("aligned ({})", mode)
           : outcome_.record  ? fmt::format("not aligned ({})", mode)
                              : "alignment was not looked at");
      all.push_back({{"method", identifier.method},
                     {"result", identifier.result},
                     {"domain", identifier.domain},
                     {"mode", mode},
                     {"aligned", identifier.aligned}});
    }
    report_.json["identifiers"] = std::move(all);
  }

  void advise() {
    const std::string& author = request_.author_domain;
    switch (outcome_.result) {
      case Result::none:
        if (!request_.multiple.empty())
          advice("{}: DMARC needs exactly one author domain in From (RFC 9989 §5.3.1).", request_.multiple);
        else
          advice(
              "{} has no DMARC record that applies. To begin with, to see who sends under its name: "
              "_dmarc.{}. IN TXT "
              "\"v=DMARC1; p=none; rua=mailto:postmaster@{}\"",
              author, author, author);
        break;
      case Result::temperror:
        add_trouble(facts_, report_.advice);
        break;
      case Result::permerror:
        advice("The record must be corrected: {}.", outcome_.reason);
        break;
      case Result::fail:
        advise_failure();
        break;
      case Result::pass:
        if (!outcome_.dkim_aligned)
          advice("Only SPF is aligned: forwarding breaks it. Sign with a key of {} as well.", author);
        break;
    }
    if (outcome_.record && outcome_.record->aggregate_to.empty())
      advice(
          "The record of {} names nobody who gets aggregate reports (rua=): its owner cannot see what fails.",
          outcome_.record_domain);
  }

  void advise_failure() {
    bool told = false;
    for (const Identifier& identifier : identifiers_) {
      if (identifier.aligned && identifier.result != "pass") {
        told = true;
        advice(
            "{} for {} would be aligned, and did not pass: that is the thing to repair (postern check {}).",
            identifier.method, identifier.domain, identifier.method);
      } else if (!identifier.aligned && identifier.result == "pass") {
        told = true;
        advice("{} passes for {}, which is another organization than {}: {}.", identifier.method,
               identifier.domain, request_.author_domain,
               identifier.method == "spf" ? "use a bounce address below the author's domain"
                                          : "let the provider sign with a key of the author's domain (d=)");
      }
    }
    if (!told)
      advice(
          "Neither SPF nor DKIM speaks for {}. Sign with a key of the domain, and send with a MAIL FROM of "
          "the domain that "
          "SPF allows.",
          request_.author_domain);
  }

  const DmarcRequest& request_;
  const Outcome& outcome_;
  const std::vector<Identifier>& identifiers_;
  const filters::Facts& facts_;
  Report report_;
};

/// Whether one identifier alone, had it passed, would be aligned. False: pending.
bool find_aligned(const DmarcRequest& request, filters::Facts& facts, Identifier& identifier) {
  const std::string_view domain = identifier.domain;
  const bool spf = identifier.method == "spf";
  const std::span<const std::string_view> one(&domain, 1);
  const auto outcome = filters::dmarc::evaluate(
      request.author_domain,
      {.spf = spf ? domain : std::string_view(), .dkim = spf ? std::span<const std::string_view>() : one},
      facts);
  if (!outcome) return false;
  identifier.aligned = outcome->spf_aligned || outcome->dkim_aligned;
  return true;
}

}  // namespace

std::optional<Report> check_dmarc(const DmarcRequest& request, filters::Facts& facts) {
  std::vector<Identifier> identifiers;
  if (!request.spf_domain.empty())
    identifiers.push_back({.method = "spf", .result = request.spf_result, .domain = request.spf_domain});
  for (const auto& [result, domain] : request.dkim)
    if (!domain.empty()) identifiers.push_back({.method = "dkim", .result = result, .domain = domain});

  std::vector<std::string_view> signers;
  for (const auto& [result, domain] : request.dkim)
    if (result == "pass") signers.push_back(domain);
  const bool spf_passed = request.spf_result == "pass";
  std::optional<Outcome> outcome = Outcome{};
  if (request.multiple.empty()) {
    outcome = filters::dmarc::evaluate(
        request.author_domain,
        {.spf = spf_passed ? std::string_view(request.spf_domain) : std::string_view(), .dkim = signers},
        facts);
    bool pending = !outcome;
    for (Identifier& identifier : identifiers) pending |= !find_aligned(request, facts, identifier);
    if (pending) return std::nullopt;
  } else {
    outcome->reason = request.multiple;
  }
  return DmarcReport(request, *outcome, identifiers, facts).run();
}

}  // namespace postern::check
