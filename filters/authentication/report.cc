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
    if (outcomes_.dmarc.result == dmarc::Result::fail) dispose();
    tell_dmarc();
    tell_arc();
    demand();
    if (outcomes_.dmarc.record) tell_owner();
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
    if (accepted_)
      return found("DMARC_OVERRIDDEN", 0,
                   fmt::format("{}, and the manifest accepts that: {}", evidence, override_->reason));
    if (outcomes_.rescuer && outcomes_.rescued_by_results)
      return found(
          "FORWARDER_RESCUED", 0,
          fmt::format(
              "DMARC fails for {}, but {}, which forwards to us and is trusted, says that it passed there",
              outcomes_.dmarc.author_domain, *outcomes_.rescuer));
    if (outcomes_.rescuer)
      return found("ARC_RESCUED", 0,
                   fmt::format("DMARC fails for {}, but it passed when it came to {}, which is trusted",
                               outcomes_.dmarc.author_domain, *outcomes_.rescuer));
    switch (asked_) {
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

  /// The override of the author's domain, or of the nearest one above it.
  const DmarcOverride* find_override() const {
    const std::string_view author = outcomes_.dmarc.author_domain;
    const DmarcOverride* nearest = nullptr;
    for (const DmarcOverride& one : policy_.overrides) {
      const bool below = author.size() > one.domain.size() && author.ends_with(one.domain) &&
                         author[author.size() - one.domain.size() - 1] == '.';
      if (author != one.domain && !below) continue;
      if (nearest == nullptr || one.domain.size() > nearest->domain.size()) nearest = &one;
    }
    return nearest;
  }

  void local_policy(std::string_view comment) { reasons_.emplace_back("local_policy", cut(comment)); }

  /// What is asked for a failure, by the owner or by an override, and what is done about it by itself.
  void dispose() {
    const dmarc::Outcome& dmarc = outcomes_.dmarc;
    asked_ = dmarc.disposition;
    override_ = find_override();
    if (override_ != nullptr) {
      using enum DmarcOverride::Disposition;
      accepted_ = override_->disposition == accept;
      asked_ = override_->disposition == reject       ? dmarc::Policy::reject
               : override_->disposition == quarantine ? dmarc::Policy::quarantine
                                                      : dmarc::Policy::none;
      local_policy(override_->reason);
    } else if (dmarc.policy && dmarc.disposition != *dmarc.policy) {
      reasons_.emplace_back("policy_test_mode", "t=y");
    }
    done_ = asked_;
    if (outcomes_.rescuer) {
      reasons_.emplace_back(
          "trusted_forwarder",
          fmt::format("{} {}", outcomes_.rescued_by_results ? "dmarc=pass, says" : "arc=pass, sealed by",
                      cut(*outcomes_.rescuer)));
      done_ = dmarc::Policy::none;
    } else if (let_in() && done_ != dmarc::Policy::none) {
      local_policy("the client or the recipient is on a list of those who are welcome");
      done_ = dmarc::Policy::none;
    } else if (override_ == nullptr) {
      if (done_ == dmarc::Policy::reject && !policy_.dmarc_reject) {
        local_policy("refusing is switched off");
        done_ = dmarc::Policy::quarantine;
      }
      if (done_ == dmarc::Policy::quarantine && !policy_.dmarc_quarantine) {
        local_policy("quarantine is switched off");
        done_ = dmarc::Policy::none;
      }
    }
  }

  void demand() {
    if (done_ == dmarc::Policy::none) return;
    const dmarc::Outcome& dmarc = outcomes_.dmarc;
    const std::string reason =
        override_ != nullptr ? fmt::format("DMARC fails for {}, for which the manifest says {}: {}",
                                           dmarc.author_domain, dmarc::to_string(asked_), override_->reason)
                             : fmt::format("DMARC fails for {}, whose policy is p={}", dmarc.author_domain,
                                           dmarc::to_string(asked_));
    if (done_ == dmarc::Policy::reject) {
      if (outcomes_.rescue_in_doubt)
        findings_.incomplete.push_back("arc: the seal of a trusted sealer could not be verified");
      // RFC 7372 §3.2 has no code for DMARC alone; 5.7.26 says that several checks failed.
      const std::string text =
          override_ != nullptr
              ? fmt::format("mail of {} that is not authentic is refused here", dmarc.author_domain)
              : fmt::format("refused by the DMARC policy of {} (p=reject)", dmarc.author_domain);
      findings_.demand = {.action = Action::reject,
                          .refusal = {.code = 550, .enhanced = "5.7.26", .text = text},
                          .reason = reason};
    } else {
      findings_.demand = {.action = Action::quarantine, .refusal = {}, .reason = reason};
    }
  }

  /// The row of an aggregate report: of a message whose evaluation came to an end.
  void tell_owner() {
    const dmarc::Outcome& dmarc = outcomes_.dmarc;
    if (dmarc.result != dmarc::Result::pass && dmarc.result != dmarc::Result::fail) return;
    const dmarc::Record& record = *dmarc.record;
    const auto published = [](const std::optional<dmarc::Policy>& policy) {
      return std::string(policy ? dmarc::to_string(*policy) : "");
    };
    AggregateRow row{
        .policy_domain = dmarc.record_domain,
        .header_from = dmarc.author_domain,
        .envelope_from = cut(domain_of(envelope_.mail_from)),
        .disposition = std::string(dmarc.result == dmarc::Result::pass ? "pass" : dmarc::to_string(done_)),
        .dkim_aligned = dmarc.dkim_aligned,
        .spf_aligned = dmarc.spf_aligned,
        .reasons = reasons_,
        .policy = published(record.policy),
        .subdomain_policy = published(record.subdomains),
        .nonexistent_policy = published(record.nonexistent),
        .dkim_strict = record.dkim == dmarc::Alignment::strict,
        .spf_strict = record.spf == dmarc::Alignment::strict,
        .testing = record.testing,
    };
    if (outcomes_.spf) {
      const bool helo = envelope_.mail_from.empty();
      row.spf_domain = cut(helo ? std::string_view(envelope_.helo) : domain_of(envelope_.mail_from));
      row.spf_scope = helo ? "helo" : "mfrom";
      row.spf_result = spf::to_string(outcomes_.spf->result);
    }
    for (const dkim::SignatureResult& signature : outcomes_.dkim) {
      if (row.dkim.size() == dkim::kSignaturesMax) break;
      row.dkim.push_back({.domain = cut(signature.domain),
                          .selector = cut(signature.selector),
                          .result = std::string(dkim::to_string(signature.result))});
    }
    findings_.aggregate = std::move(row);
  }

  const Envelope& envelope_;
  const AuthenticationPolicy& policy_;
  const Outcomes& outcomes_;
  Findings& findings_;
  dmarc::Policy asked_ = dmarc::Policy::none, done_ = dmarc::Policy::none;
  bool accepted_ = false;  ///< by an override
  const DmarcOverride* override_ = nullptr;
  std::vector<std::pair<std::string, std::string>> reasons_;
};

}  // namespace

void report(const Envelope& envelope, const AuthenticationPolicy& policy, const Outcomes& outcomes,
            Findings& findings) {
  Report(envelope, policy, outcomes, findings).run();
}

}  // namespace postern::filters::authentication
