#include "filters/greylist/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "filters/authentication/iprev.h"
#include "filters/authentication/sender.h"
#include "filters/reputation/blocklist.h"

namespace postern::filters::greylist {
namespace {

constexpr unsigned kNetworkBitsV4 = 24, kNetworkBitsV6 = 64;

void append_encoded(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == ' ') {
      out += "%20";
    } else if (c == '%') {
      out += "%25";
    } else {
      out += c;
    }
  }
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
    } else if (text.substr(at, 3) == "%20") {
      out += ' ';
      at += 2;
    } else if (text.substr(at, 3) == "%25") {
      out += '%';
      at += 2;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

bool allowed(const Findings& findings) {
  return std::ranges::any_of(findings.found,
                             [](const Finding& finding) { return finding.name.starts_with("LOCAL_ALLOW_"); });
}

/// What makes a client doubtful, in the order of the policy's keys; "" when nothing does. Everything is asked in one round.
class Doubt {
 public:
  Doubt(const Envelope& envelope, const Policy& policy, Facts& facts)
      : envelope_(envelope), policy_(policy), facts_(facts) {}

  /// False: pending.
  bool look() {
    const GreylistPolicy& wanted = policy_.greylist;
    bool complete = true;
    // SPF also says whose the client is, so it is wanted whatever the triggers are.
    spf_ = authentication::check_spf(envelope_, facts_);
    complete &= spf_.has_value();
    if (wanted.on_listed) {
      const auto listed = first_listing(envelope_, policy_, facts_);
      complete &= listed.has_value();
      if (listed && !listed->empty()) note(*listed);
    }
    if (wanted.on_no_reverse_name) {
      const auto iprev = authentication::check_iprev(envelope_.client_ip, facts_);
      complete &= iprev.has_value();
      using authentication::IprevResult;
      if (iprev && (iprev->result == IprevResult::fail || iprev->result == IprevResult::permerror))
        note(fmt::format("{} has no reverse name that leads back to it", envelope_.client_ip.text()));
    }
    if (!complete) return false;
    const spf::Result result = spf_->result;
    if ((wanted.on_spf_softfail && result == spf::Result::softfail) ||
        (wanted.on_spf_fail && result == spf::Result::fail) ||
        (wanted.on_spf_none && result == spf::Result::none))
      note(fmt::format("SPF gives {} for {}", spf::to_string(result), authentication::spf_domain(envelope_)));
    return true;
  }

  const std::string& reason() const { return reason_; }

  std::string origin() const {
    if (spf_ && spf_->result == spf::Result::pass) return authentication::spf_domain(envelope_);
    const unsigned bits = envelope_.client_ip.is_v4() ? kNetworkBitsV4 : kNetworkBitsV6;
    return fmt::format("{}/{}", envelope_.client_ip.masked(bits).text(), bits);
  }

 private:
  void note(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
  }

  const Envelope& envelope_;
  const Policy& policy_;
  Facts& facts_;
  std::optional<spf::Outcome> spf_;
  std::string reason_;
};

}  // namespace

std::string name_of(const Triplet& triplet) {
  std::string name;
  append_encoded(name, triplet.origin);
  name += ' ';
  append_encoded(name, triplet.sender);
  name += ' ';
  append_encoded(name, triplet.recipient);
  return name;
}

std::optional<Triplet> parse_name(std::string_view name) {
  std::array<std::string, 3> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = name.find(' ');
    if ((end == std::string_view::npos) != (i + 1 == parts.size())) return std::nullopt;
    auto part = decoded(name.substr(0, end));
    if (!part) return std::nullopt;
    parts[i] = *std::move(part);
    name.remove_prefix(std::min(end == std::string_view::npos ? name.size() : end + 1, name.size()));
  }
  return Triplet{
      .origin = std::move(parts[0]), .sender = std::move(parts[1]), .recipient = std::move(parts[2])};
}

Progress check_greylist(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts,
                        Findings& findings) {
  if (stage != Stage::rcpt || !policy.greylist.enabled || !envelope.client_counts()) return Progress::done;
  if (envelope.recipients.empty() || is_postmaster(envelope.recipients.back()) || allowed(findings))
    return Progress::done;
  if (findings.demand && findings.demand->action == Action::reject) return Progress::done;
  Doubt doubt(envelope, policy, facts);
  if (!doubt.look()) return Progress::pending;
  if (doubt.reason().empty()) return Progress::done;
  const Question question{
      .kind = QuestionKind::greylist,
      .name = name_of(
          {.origin = doubt.origin(), .sender = envelope.mail_from, .recipient = envelope.recipients.back()})};
  const Answer* answer = facts.ask(question);
  if (answer == nullptr) return Progress::pending;
  if (answer->records.empty()) return Progress::done;  // known, or it could not be found out
  const std::string text =
      fmt::format("greylisted, try again in {} seconds: {}", answer->records.front(), doubt.reason());
  findings.found.push_back({.name = "GREYLISTED", .score = 0, .evidence = text});
  findings.demand = {.action = Action::defer,
                     .refusal = {.code = 450, .enhanced = "4.7.1", .text = text},  // RFC 6647 §2.2
                     .reason = "a doubtful client is to come again"};
  return Progress::done;
}

}  // namespace postern::filters::greylist
