#include "filters/authentication/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postern::filters::authentication {
namespace {

using results::MethodResult;

/// What a stranger wrote, no longer than fits. UTF-8 is not cut inside a character.
std::string cut(std::string_view text) {
  if (text.size() <= kValueOctetsMax) return std::string(text);
  std::size_t size = kValueOctetsMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return std::string(text.substr(0, size));
}

/// A reason as it may stand in a header: our references to sections are no ASCII.
std::string spelled_out(std::string_view reason) {
  constexpr std::string_view kSign = "§";
  std::string out;
  for (std::size_t at = reason.find(kSign); at != std::string_view::npos; at = reason.find(kSign)) {
    out.append(reason.substr(0, at)).append("section ");
    reason.remove_prefix(at + kSign.size());
  }
  return out.append(reason);
}

class Report {
 public:
  Report(const Envelope& envelope, const AuthenticationPolicy& policy, const Outcomes& outcomes,
         Findings& findings)
      : envelope_(envelope), policy_(policy), outcomes_(outcomes), findings_(findings) {}

  void run() {
    if (outcomes_.iprev) tell_iprev(*outcomes_.iprev);
    if (outcomes_.spf) tell_spf(*outcomes_.spf);
    tell_dkim();
    tell_dmarc();
    tell_arc();
    demand();
  }

 private:
  void found(std::string_view name, double score, std::string evidence) {
    findings_.found.push_back({.name = std::string(name), .score = score, .evidence = std::move(evidence)});
  }

  /// `lowest`: the least score that the check could have added.
  void unknown(std::string_view check, std::string_view cause, double lowest) {
    findings_.unknown.push_back(fmt::format("{}: {}", check, cut(cause)));
    findings_.relief += std::max(0.0, -lowest);
  }

  MethodResult& method(std::string_view name, std::string_view result, std::string_view reason) {
    return findings_.authentication.emplace_back(
        MethodResult{.method = std::string(name), .result = std::string(result), .reason = shown(reason)});
  }

  void property(MethodResult& method, std::string_view name, std::string_view value) const {
    if (!value.empty()) method.properties.emplace_back(name, shown(value));
  }

  /// As it may stand in the header of this message: in ASCII, but for one that came by SMTPUTF8 (RFC 6532).
  std::string shown(std::string_view text) const {
    std::string out = spelled_out(cut(text));
    if (envelope_.smtputf8) return out;
    for (char& c : out)
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    return out;
  }

  void tell_iprev(const Iprev& iprev) {
    const std::string ip = envelope_.client_ip.text();
    MethodResult& result = method("iprev", to_string(iprev.result), iprev.reason);
    result.comment = iprev.name;
    property(result, "policy.iprev", ip);
    if (iprev.result == IprevResult::temperror)
      return unknown("iprev", fmt::format("{}: {}", ip, iprev.reason), policy_.no_reverse_name_score);
    if (iprev.result != IprevResult::pass)
      found("NO_REVERSE_NAME", policy_.no_reverse_name_score, fmt::format("{}: {}", ip, cut(iprev.reason)));
  }

  void tell_spf(const spf::Outcome& spf) {
    const bool null_path = envelope_.mail_from.empty();
    const std::string_view identity = null_path ? envelope_.helo : envelope_.mail_from;
    MethodResult& result = method("spf", spf::to_string(spf.result), spf.problem);
    property(result, null_path ? "smtp.helo" : "smtp.mailfrom", identity);
    const std::string evidence = fmt::format("{} for {}{}{}{}{}", spf::to_string(spf.result), cut(identity),
                                             spf.term.empty() ? "" : ": ", cut(spf.term),
                                             spf.problem.empty() ? "" : ": ", cut(spf.problem));
    switch (spf.result) {
      case spf::Result::pass:
        return found("SPF_PASS", policy_.spf_pass_score, evidence);
      case spf::Result::fail:
        return found("SPF_FAIL", policy_.spf_fail_score, evidence);
      case spf::Result::softfail:
        return found("SPF_SOFTFAIL", policy_.spf_softfail_score, evidence);
      case spf::Result::permerror:
        return found("SPF_PERMERROR", policy_.spf_permerror_score, evidence);
      case spf::Result::temperror:
        return unknown("spf", spf.problem,
                       std::min({policy_.spf_pass_score, policy_.spf_fail_score, policy_.spf_softfail_score,
                                 policy_.spf_permerror_score}));
      case spf::Result::none:
      case spf::Result::neutral:
        return;
    }
  }

  void tell_dkim() {
    const dkim::SignatureResult *valid = nullptr, *invalid = nullptr, *doubtful = nullptr;
    std::size_t told = 0;
    for (const dkim::SignatureResult& signature : outcomes_.dkim) {
      const bool counts_against = !signature.testing && signature.result != dkim::Result::policy;
      if (signature.result == dkim::Result::pass) {
        if (valid == nullptr) valid = &signature;
      } else if (signature.result == dkim::Result::temperror) {
        if (doubtful == nullptr) doubtful = &signature;
      } else if (invalid == nullptr && counts_against) {
        invalid = &signature;
      }
      if (++told > dkim::kSignaturesMax) continue;  // they were not looked at: no line for each of thousands
      MethodResult& result = method("dkim", dkim::to_string(signature.result), signature.reason);
      property(result, "header.d", signature.domain);
      property(result, "header.s", signature.selector);
      property(result, "header.a", signature.algorithm);
      property(result, "header.i", signature.identity);
      property(result, "header.b", signature.value_text);  // RFC 6008
    }
    if (outcomes_.dkim.empty()) method("dkim", "none", {});
    if (valid != nullptr) {
      found("DKIM_VALID", policy_.dkim_valid_score,
            fmt::format("signed by {}, selector {}", cut(valid->domain), cut(valid->selector)));
    } else if (doubtful != nullptr) {
      unknown("dkim", fmt::format("{}: {}", cut(doubtful->domain), doubtful->reason),
              std::min(policy_.dkim_valid_score, policy_.dkim_invalid_score));
    } else if (invalid != nullptr) {
      found("DKIM_INVALID", policy_.dkim_invalid_score,
            fmt::format("{}: {}", cut(invalid->domain), cut(invalid->reason)));
    }
  }

  void tell_dmarc() {
    const dmarc::Outcome& dmarc = outcomes_.dmarc;
    MethodResult& result = method("dmarc", dmarc::to_string(dmarc.result), dmarc.reason);
    property(result, "header.from", dmarc.author_domain);
    if (dmarc.policy) result.comment = fmt::format("p={}", dmarc::to_string(*dmarc.policy));
    if (outcomes_.multiple_from) found("MULTIPLE_FROM", policy_.multiple_from_score, dmarc.reason);
    const std::string evidence = fmt::format("{}: {}", dmarc.author_domain, cut(dmarc.reason));
    switch (dmarc.result) {
      case dmarc::Result::pass:
        return found("DMARC_PASS", policy_.dmarc_pass_score,
                     fmt::format("{} is authentic", dmarc.author_domain));
      case dmarc::Result::temperror:
        return unknown("dmarc", evidence,
                       std::min({policy_.dmarc_pass_score, policy_.dmarc_fail_none_score,
                                 policy_.dmarc_fail_quarantine_score, policy_.dmarc_fail_reject_score}));
      case dmarc::Result::fail:
        return tell_failure(evidence);
      case dmarc::Result::none:
      case dmarc::Result::permerror:
        return;
    }
  }

  void tell_failure(const std::string& evidence) {
    if (outcomes_.rescuer)
      return found("ARC_RESCUED", 0,
                   fmt::format("DMARC fails for {}, but it passed when it came to {}, which is trusted",
                               outcomes_.dmarc.author_domain, *outcomes_.rescuer));
    switch (outcomes_.dmarc.disposition) {
      case dmarc::Policy::none:
        return found("DMARC_FAIL_NONE", policy_.dmarc_fail_none_score, evidence);
      case dmarc::Policy::quarantine:
        return found("DMARC_FAIL_QUARANTINE", policy_.dmarc_fail_quarantine_score, evidence);
      case dmarc::Policy::reject:
        return found("DMARC_FAIL_REJECT", policy_.dmarc_fail_reject_score, evidence);
    }
  }

  void tell_arc() {
    const arc::ChainResult& arc = outcomes_.arc;
    method("arc", arc::to_string(arc.status), arc.reason);
    if (arc.status == arc::Status::none) return;
    if (arc.temporary)
      return unknown("arc", arc.reason, std::min(policy_.arc_valid_score, policy_.arc_invalid_score));
    if (arc.status == arc::Status::pass) {
      found("ARC_VALID", policy_.arc_valid_score,
            fmt::format("{} seals, the newest by {}", arc.sealers.size(),
                        arc.sealers.empty() ? "" : cut(arc.sealers.back().domain)));
    } else {
      found("ARC_INVALID", policy_.arc_invalid_score, cut(arc.reason));
    }
  }

  /// A client or recipient that the postmaster let in. Not a sender: MAIL FROM is what DMARC does not believe.
  bool let_in() const {
    return std::ranges::any_of(findings_.found, [](const Finding& finding) {
      return finding.name == "LOCAL_ALLOW_CLIENT" || finding.name == "LOCAL_ALLOW_RECIPIENT";
    });
  }

  void demand() {
    const dmarc::Outcome& dmarc = outcomes_.dmarc;
    if (dmarc.result != dmarc::Result::fail || outcomes_.rescuer || let_in()) return;
    if (dmarc.disposition == dmarc::Policy::none) return;
    const std::string reason = fmt::format("DMARC fails for {}, whose policy is p={}", dmarc.author_domain,
                                           dmarc::to_string(dmarc.disposition));
    if (dmarc.disposition == dmarc::Policy::reject && policy_.dmarc_reject) {
      if (outcomes_.rescue_in_doubt)
        findings_.incomplete.push_back("arc: the seal of a trusted sealer could not be verified");
      // RFC 7372 §3.2 has no code for DMARC alone; 5.7.26 says that several checks failed.
      findings_.demand = {.action = Action::reject,
                          .refusal = {.code = 550,
                                      .enhanced = "5.7.26",
                                      .text = fmt::format("refused by the DMARC policy of {} (p=reject)",
                                                          dmarc.author_domain)},
                          .reason = reason};
    } else if (policy_.dmarc_quarantine) {
      findings_.demand = {.action = Action::quarantine, .refusal = {}, .reason = reason};
    }
  }

  const Envelope& envelope_;
  const AuthenticationPolicy& policy_;
  const Outcomes& outcomes_;
  Findings& findings_;
};

}  // namespace

void report(const Envelope& envelope, const AuthenticationPolicy& policy, const Outcomes& outcomes,
            Findings& findings) {
  Report(envelope, policy, outcomes, findings).run();
}

}  // namespace postern::filters::authentication
