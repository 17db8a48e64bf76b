#include "gateway/check/spf.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "filters/authentication/spf/check_host.h"
#include "filters/authentication/spf/record.h"
#include "filters/dns.h"
#include "filters/envelope.h"
#include "filters/idn.h"

namespace postern::check {
namespace {

using control::Json;
using filters::spf::Outcome;
using filters::spf::Result;
using filters::spf::Step;

/// From here on a record that grows will soon break (§4.6.4 allows ten).
constexpr unsigned kTermsWarned = 8;
/// A network as wide as this is hardly the sender's own.
constexpr unsigned kWideV4Bits = 16, kWideV6Bits = 32;

class SpfReport {
 public:
  SpfReport(const SpfRequest& request, std::string domain, const Outcome& outcome,
            const std::vector<Step>& steps, const filters::Facts& facts)
      : request_(request), domain_(std::move(domain)), outcome_(outcome), steps_(steps), facts_(facts) {}

  Report run() {
    report_.temporary = outcome_.result == Result::temperror;
    tell();
    tell_steps();
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

  void tell() {
    const bool helo = request_.mail_from.empty();
    const std::string_view result = to_string(outcome_.result);
    report_.json = {{"check", "spf"},
                    {"result", result},
                    {"ip", request_.ip.text()},
                    {"identity", helo ? "helo" : "mail_from"},
                    {"domain", domain_}};
    if (!outcome_.term.empty()) {
      report_.json["term"] = outcome_.term;
      report_.json["record_domain"] = outcome_.domain;
    }
    if (!outcome_.explanation.empty()) report_.json["explanation"] = outcome_.explanation;
    if (!outcome_.problem.empty()) report_.json["problem"] = outcome_.problem;
    report_.json["limits"] = {{"terms", outcome_.terms},
                              {"terms_max", filters::spf::kTermsMax},
                              {"void_lookups", outcome_.void_lookups},
                              {"void_lookups_max", filters::spf::kVoidLookupsMax}};

    line("SPF of {} for {} from {}", domain_.empty() ? std::string("(no domain)") : domain_,
         helo ? fmt::format("HELO {}", request_.helo) : fmt::format("MAIL FROM <{}>", request_.mail_from),
         request_.ip.text());
    line("Result      {}{}", result, reason());
    if (!outcome_.explanation.empty()) line("Explanation {}", outcome_.explanation);
    line("Limits      {} of {} terms that query DNS, {} of {} look-ups that found nothing", outcome_.terms,
         filters::spf::kTermsMax, outcome_.void_lookups, filters::spf::kVoidLookupsMax);
  }

  std::string reason() const {
    if (!outcome_.problem.empty()) return fmt::format(": {}", outcome_.problem);
    if (!outcome_.term.empty())
      return fmt::format(": \"{}\" in the record of {} matches", outcome_.term, outcome_.domain);
    return {};
  }

  void tell_steps() {
    line("");
    line("Evaluation");
    Json steps = Json::array();
    for (const Step& step : steps_) {
      const std::string indent(2 + 2 * std::size_t{step.depth}, ' ');
      if (step.term.empty())
        line("{}{}: {}", indent, step.domain, cut(step.what));
      else
        line("{}  {}: {}   [{} terms, {} void]", indent, step.term, cut(step.what), step.terms,
             step.void_lookups);
      Json asked = Json::array();
      for (const filters::Question& question : step.asked) {
        line("{}      {}", indent, described(question, facts_.find(question)));
        asked.push_back({{"kind", filters::to_string(question.kind)}, {"name", question.name}});
      }
      steps.push_back({{"depth", step.depth},
                       {"domain", step.domain},
                       {"term", step.term},
                       {"what", step.what},
                       {"terms", step.terms},
                       {"void_lookups", step.void_lookups},
                       {"asked", std::move(asked)}});
    }
    if (steps_.size() >= filters::spf::kStepsMax) line("  (more steps than are shown)");
    report_.json["steps"] = std::move(steps);
  }

  // ---- what should change ---------------------------------------------------------------------------------------------------------

  std::string own_mechanism() const {
    return fmt::format("{}:{}", request_.ip.is_v6() ? "ip6" : "ip4", request_.ip.text());
  }

  void advise() {
    switch (outcome_.result) {
      case Result::none:
        if (!domain_.empty())
          advice(
              "{} publishes no SPF record, so nobody can tell its mail from forgeries by this. If {} sends "
              "for it: "
              "{}. IN TXT \"v=spf1 {} -all\", with whatever else sends for it in front of -all.",
              domain_, request_.ip.text(), domain_, own_mechanism());
        break;
      case Result::fail:
      case Result::softfail:
      case Result::neutral:
        advice(
            "If {} is meant to send for {}: put {} (or an include: of whoever runs it) into the record of {} "
            "in front of "
            "its last term. If not, the mail is forged, or was forwarded without rewriting the sender: the "
            "forwarder "
            "should rewrite MAIL FROM (SRS), and DKIM should carry the mail across.",
            request_.ip.text(), domain_, own_mechanism(), domain_);
        break;
      case Result::permerror:
        advise_error();
        break;
      case Result::temperror:
        add_trouble(facts_, report_.advice);
        break;
      case Result::pass:
        break;
    }
    advise_on_records();
    if (outcome_.result != Result::permerror && outcome_.terms >= kTermsWarned)
      advice(
          "The record used {} of {} terms that query DNS so far: one provider's change and it is permerror. "
          "Replace "
          "a, mx and include by ip4/ip6 where addresses are stable.",
          outcome_.terms, filters::spf::kTermsMax);
  }

  void advise_error() {
    if (outcome_.terms > filters::spf::kTermsMax)
      advice(
          "The record needs more than {} DNS look-ups, includes counted (RFC 7208 §4.6.4): every receiver "
          "stops there and the "
          "record counts as broken. Take out includes that are not needed, or name addresses by ip4 and ip6.",
          filters::spf::kTermsMax);
    else if (outcome_.void_lookups > filters::spf::kVoidLookupsMax)
      advice(
          "More than {} terms name hosts that do not exist (RFC 7208 §4.6.4): take the dead names out of the "
          "record.",
          filters::spf::kVoidLookupsMax);
    else
      advice("The record must be corrected, receivers treat it as broken: {}.", outcome_.problem);
  }

  /// Habits that work and are unwise, in each record that was read.
  void advise_on_records() {
    for (const Step& step : steps_) {
      if (!step.term.empty() || !filters::spf::is_spf(step.what)) continue;
      const auto record = filters::spf::parse_record(step.what);
      if (!record) continue;
      for (const filters::spf::Directive& directive : record->directives) advise_on(step.domain, directive);
      if (step.depth == 0 && !record->has_all && record->redirect.empty())
        advice(
            "{}: the record does not end in \"all\" or \"redirect=\": whatever it does not name is neutral. "
            "End it with "
            "-all or ~all.",
            step.domain);
    }
  }

  void advise_on(const std::string& domain, const filters::spf::Directive& directive) {
    using filters::spf::MechanismKind;
    using filters::spf::Qualifier;
    const bool passes = directive.qualifier == Qualifier::pass;
    if (directive.kind == MechanismKind::all && passes)
      advice("{}: \"{}\" lets the whole world send for it. Replace it by -all or ~all.", domain,
             directive.text);
    if (directive.kind == MechanismKind::ptr)
      advice("{}: \"ptr\" is slow, unreliable and should not be used (RFC 7208 §5.5).", domain);
    const unsigned wide = directive.network.address().is_v6() ? kWideV6Bits : kWideV4Bits;
    const bool network = directive.kind == MechanismKind::ip4 || directive.kind == MechanismKind::ip6;
    if (network && passes && directive.network.bits() < wide)
      advice("{}: \"{}\" is a very large network; whoever rents a machine there may send for the domain.",
             domain, directive.text);
  }

  const SpfRequest& request_;
  const std::string domain_;
  const Outcome& outcome_;
  const std::vector<Step>& steps_;
  const filters::Facts& facts_;
  Report report_;
};

}  // namespace

std::optional<Report> check_spf(const SpfRequest& request, filters::Facts& facts) {
  const bool helo = request.mail_from.empty();
  const bool bare = request.mail_from.find('@') == std::string::npos;
  const std::string_view given = helo   ? std::string_view(request.helo)
                                 : bare ? std::string_view(request.mail_from)
                                        : filters::domain_of(request.mail_from);
  const std::string domain = filters::ascii_domain(given).value_or(std::string(given));
  const std::string sender =
      bare ? domain : fmt::format("{}@{}", filters::local_part_of(request.mail_from), domain);
  std::vector<Step> steps;
  const auto outcome = filters::spf::check_host({.ip = request.ip,
                                                 .domain = domain,
                                                 .sender = sender,
                                                 .helo = request.helo,
                                                 .receiver = request.receiver,
                                                 .now = request.now},
                                                facts, &steps);
  if (!outcome) return std::nullopt;
  return SpfReport(request, domain, *outcome, steps, facts).run();
}

}  // namespace postern::check
