#include "filters/authentication/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "filters/authentication/report.h"
#include "filters/authentication/results/field.h"
#include "filters/authentication/sender.h"
#include "filters/message/address_list.h"

namespace postern::filters::authentication {

struct Memo::Work {
  explicit Work(const Analysis& analysis) : verifier(analysis), chain(analysis, verifier.body_hashes()) {}
  dkim::Verifier verifier;
  arc::Chain chain;
};

Memo::Memo() = default;
Memo::~Memo() = default;

Memo::Work& Memo::work(const Analysis& analysis) {
  if (!work_) work_ = std::make_unique<Work>(analysis);
  return *work_;
}

void Memo::prepare(const Analysis& analysis) {
  Work& ready = work(analysis);
  ready.verifier.hash_bodies();
  ready.chain.hash_body();
}

namespace {

/// The domains of From's authors, each once, in the order they stand there.
std::vector<std::string> author_domains(const Analysis& analysis) {
  std::vector<std::string> domains;
  for (const HeaderField& field : analysis.fields()) {
    if (!dkim::same_word(field.name, "From")) continue;
    for (const MailboxName& mailbox : parse_addresses(field.value).mailboxes) {
      std::string domain = ascii_or_as_is(mailbox.domain);
      if (std::ranges::find(domains, domain) == domains.end()) domains.push_back(std::move(domain));
    }
    if (domains.size() > 1) break;  // enough to know
  }
  return domains;
}

class Evaluation {
 public:
  Evaluation(const Envelope& envelope, const Analysis& analysis, const AuthenticationPolicy& policy,
             Facts& facts, Memo::Work& work)
      : envelope_(envelope),
        analysis_(analysis),
        policy_(policy),
        facts_(facts),
        work_(work),
        now_(std::chrono::floor<std::chrono::seconds>(envelope.received_at)) {}

  /// Nothing: pending. No method waits for another before it asks, so that one round brings most answers.
  std::optional<Outcomes> run() {
    bool pending = false;
    if (envelope_.client_counts()) {
      outcomes_.iprev = check_iprev(envelope_.client_ip, facts_);
      outcomes_.spf = evaluate_spf();
      pending |= !outcomes_.iprev || !outcomes_.spf;
    }
    auto signatures = work_.verifier.verify(facts_, now_);
    pending |= !signatures;
    if (signatures) outcomes_.dkim = *std::move(signatures);
    auto chain = work_.chain.verify(facts_, now_);
    pending |= !chain;
    if (chain) outcomes_.arc = *std::move(chain);
    pending |= !evaluate_dmarc();
    if (pending) return std::nullopt;
    look_for_rescue();
    ask_forwarders();
    return std::move(outcomes_);
  }

 private:
  std::optional<spf::Outcome> evaluate_spf() {
    spf_domain_ = spf_domain(envelope_);
    return check_spf(envelope_, facts_);
  }

  /// False: pending. Called while SPF and DKIM are, too: then for its questions alone.
  bool evaluate_dmarc() {
    const std::vector<std::string> authors = author_domains(analysis_);
    outcomes_.multiple_from = analysis_.count("From") > 1 || authors.size() > 1;
    if (outcomes_.multiple_from || authors.empty()) {
      // RFC 9989 §5.3.1: which of them would the policy be for?
      outcomes_.dmarc = {.reason =
                             authors.empty() ? "no author domain" : "several From fields or author domains"};
      return true;
    }
    std::vector<std::string_view> signers, doubtful;
    for (const dkim::SignatureResult& signature : outcomes_.dkim) {
      if (signature.result == dkim::Result::pass) signers.push_back(signature.domain);
      if (signature.result == dkim::Result::temperror) doubtful.push_back(signature.domain);
    }
    const bool spf_passed = outcomes_.spf && outcomes_.spf->result == spf::Result::pass;
    const bool spf_doubtful = outcomes_.spf && outcomes_.spf->result == spf::Result::temperror;
    const std::string_view spf_domain = spf_passed ? spf_domain_ : std::string_view();
    auto outcome = dmarc::evaluate(authors.front(), {.spf = spf_domain, .dkim = signers}, facts_);
    if (!outcome) return false;
    if (outcome->result == dmarc::Result::fail && (spf_doubtful || !doubtful.empty())) {
      // Whatever was in doubt might have passed: would that have changed anything?
      const std::string_view hoped = spf_doubtful ? std::string_view(spf_domain_) : spf_domain;
      const auto best = dmarc::evaluate(authors.front(), {.spf = hoped, .dkim = doubtful}, facts_);
      if (!best) return false;
      if (best->result != dmarc::Result::fail) {
        outcome->result = dmarc::Result::temperror;
        outcome->disposition = dmarc::Policy::none;
        outcome->reason = "SPF or DKIM could not be evaluated";
      }
    }
    if (outcome->result == dmarc::Result::fail && !envelope_.client_counts()) {
      outcome->result = dmarc::Result::none;
      outcome->disposition = dmarc::Policy::none;
      outcome->reason = "no aligned signature, and SPF could not be evaluated";
    }
    outcomes_.dmarc = *std::move(outcome);
    return true;
  }

  bool trusts(const arc::Sealer& sealer) const {
    const std::string domain = ascii_or_as_is(sealer.domain);
    return std::ranges::find(policy_.trusted_sealers, domain) != policy_.trusted_sealers.end();
  }

  /// The sealer says that DMARC passed for this author when the message came to it.
  bool vouches(std::string_view value) const {
    const auto field = results::parse(value, {.relaxed = true});
    if (!field) return false;
    return std::ranges::any_of(field->results, [this](const results::MethodResult& result) {
      if (result.method != "dmarc" || result.result != "pass") return false;
      const auto from = std::ranges::find(result.properties, std::string_view("header.from"),
                                          &std::pair<std::string, std::string>::first);
      return from != result.properties.end() && ascii_or_as_is(from->second) == outcomes_.dmarc.author_domain;
    });
  }

  /// RFC 8617 §7.2: whoever sealed later could have changed what it passed on, so trust must reach without a gap
  /// from the newest seal back to the one that vouches.
  void look_for_rescue() {
    const std::vector<arc::Sealer>& sealers = outcomes_.arc.sealers;
    if (outcomes_.dmarc.result != dmarc::Result::fail || sealers.empty()) return;
    outcomes_.rescue_in_doubt = outcomes_.arc.temporary && trusts(sealers.back());
    if (outcomes_.arc.status != arc::Status::pass) return;
    for (auto sealer = sealers.rbegin(); sealer != sealers.rend() && trusts(*sealer); ++sealer) {
      if (!vouches(sealer->results)) continue;
      outcomes_.rescuer = sealer->domain;
      return;
    }
  }

  /// A trusted forwarder hands the message over itself, and its newest results, which stand on top of all that bear its name, say
  /// that DMARC passed. Older ones in its name could be anybody's.
  void ask_forwarders() {
    if (outcomes_.dmarc.result != dmarc::Result::fail || outcomes_.rescuer || !envelope_.client_counts())
      return;
    for (const TrustedForwarder& forwarder : policy_.forwarders) {
      const bool here = std::ranges::any_of(forwarder.networks, [this](const Network& network) {
        return network.contains(envelope_.client_ip);
      });
      if (!here) continue;
      const auto newest = std::ranges::find_if(analysis_.fields(), [&](const HeaderField& field) {
        return dkim::same_word(field.name, "Authentication-Results") &&
               results::claimed_authserv_id(field.value) == forwarder.authserv_id;
      });
      if (newest == analysis_.fields().end() || !vouches(newest->value)) continue;
      outcomes_.rescuer = forwarder.authserv_id;
      outcomes_.rescued_by_results = true;
      return;
    }
  }

  const Envelope& envelope_;
  const Analysis& analysis_;
  const AuthenticationPolicy& policy_;
  Facts& facts_;
  Memo::Work& work_;
  std::chrono::sys_seconds now_;
  std::string spf_domain_;
  Outcomes outcomes_;
};

/// Whom the postmaster has let in, SPF and the reverse name do not keep out.
bool let_in(const Findings& findings) {
  return std::ranges::any_of(findings.found, [](const Finding& finding) {
    return finding.name == "LOCAL_ALLOW_CLIENT" || finding.name == "LOCAL_ALLOW_RECIPIENT" ||
           finding.name == "LOCAL_ALLOW_SENDER";
  });
}

void refuse(Findings& findings, std::string_view name, double score, std::string_view enhanced,
            std::string text) {
  findings.found.push_back({.name = std::string(name), .score = score, .evidence = text});
  findings.demand = {.action = Action::reject,
                     .refusal = {.code = 550, .enhanced = std::string(enhanced), .text = text},
                     .reason = fmt::format("{} is refused by policy", name)};
}

/// What refuses a recipient by itself. Everything that is asked here is asked in one round.
Progress check_recipient(const Envelope& envelope, const AuthenticationPolicy& policy, Facts& facts,
                         Findings& findings) {
  const bool at_all = policy.spf_fail_refused || policy.no_reverse_name_refused;
  if (!at_all || !envelope.client_counts() || let_in(findings)) return Progress::done;
  if (envelope.recipients.empty() || is_postmaster(envelope.recipients.back())) return Progress::done;
  std::optional<spf::Outcome> spf;
  std::optional<Iprev> iprev;
  if (policy.spf_fail_refused) spf = check_spf(envelope, facts);
  if (policy.no_reverse_name_refused) iprev = check_iprev(envelope.client_ip, facts);
  if ((policy.spf_fail_refused && !spf) || (policy.no_reverse_name_refused && !iprev))
    return Progress::pending;
  if (spf && spf->result == spf::Result::fail) {
    // RFC 7208 §8.4, RFC 7372 §3.2. What the owner of the domain has to say, §6.2, is quoted as his.
    std::string text =
        fmt::format("SPF of {} does not allow {}", spf_domain(envelope), envelope.client_ip.text());
    if (!spf->explanation.empty())
      text += fmt::format("; the domain says: {}", spf->explanation.substr(0, kValueOctetsMax));
    refuse(findings, "SPF_FAIL", policy.spf_fail_score, "5.7.23", std::move(text));
  } else if (iprev && (iprev->result == IprevResult::fail || iprev->result == IprevResult::permerror)) {
    refuse(findings, "NO_REVERSE_NAME", policy.no_reverse_name_score, "5.7.25",  // RFC 7372 §3.3
           fmt::format("{} has no reverse name that leads back to it", envelope.client_ip.text()));
  }
  return Progress::done;
}

}  // namespace

Progress check_authentication(Stage stage, const Envelope& envelope, const Analysis* analysis,
                              const Policy& policy, Facts& facts, Memo& memo, Findings& findings) {
  if (!policy.authentication.enabled) return Progress::done;
  if (stage == Stage::rcpt) return check_recipient(envelope, policy.authentication, facts, findings);
  if (stage != Stage::data || analysis == nullptr) return Progress::done;
  Memo::Work& work = memo.work(*analysis);
  const auto outcomes = Evaluation(envelope, *analysis, policy.authentication, facts, work).run();
  if (!outcomes) return Progress::pending;
  report(envelope, policy.authentication, *outcomes, findings);
  return Progress::done;
}

void anticipate(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts) {
  if (!policy.authentication.enabled || !envelope.client_counts()) return;
  (void)check_iprev(envelope.client_ip, facts);                // for its questions
  if (stage >= Stage::mail) (void)check_spf(envelope, facts);  // likewise
}

}  // namespace postern::filters::authentication
