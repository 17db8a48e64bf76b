#include "filters/reputation/local_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>

#include "filters/idn.h"

namespace postern::filters {
namespace {

constexpr std::string_view kAllowPrefix = "allow:";
constexpr std::string_view kBlockPrefix = "block:";

/// The client, the sender or the recipients: all questions about them asked, and one conclusion.
class Subject {
 public:
  /// `what` is how evidence calls it, `suffix` how a finding's name does.
  Subject(std::string_view what, std::string_view suffix, QuestionKind kind)
      : what_(what), suffix_(suffix), kind_(kind) {}

  /// Goes on after a missing answer, so that everything is asked in one round.
  void ask(std::span<const std::string> names, Facts& facts) {
    for (const std::string& name : names) {
      ++asked_;
      const Answer* answer = facts.ask({.kind = kind_, .name = name});
      if (answer == nullptr) {
        pending_ = true;
      } else {
        take(name.empty() ? "<>" : std::string_view(name), *answer);
      }
    }
  }

  bool pending() const { return pending_; }

  void conclude(const Policy& policy, Findings& findings) const {
    if (!unknown_.empty()) findings.incomplete.push_back("local_lists: " + unknown_);
    if (!blocked_.empty()) {
      findings.found.push_back({.name = fmt::format("LOCAL_BLOCK_{}", suffix_),
                                .score = policy.block_score,
                                .evidence = blocked_});
    } else if (allowed_count_ > 0 && allowed_count_ == asked_) {
      findings.found.push_back({.name = fmt::format("LOCAL_ALLOW_{}", suffix_),
                                .score = policy.allow_score,
                                .evidence = allowed_});
    }
  }

 private:
  void take(std::string_view name, const Answer& answer) {
    if (answer.failed()) return note(unknown_, name, ": ", to_string(answer.status));
    if (answer.records.empty()) return;
    const auto record = parse_list_record(answer.records.front());
    if (!record) return note(unknown_, name, ": ", "an answer that is no list record");
    if (record->kind == ListKind::block) return note(blocked_, name, " is blocked by ", record->entry);
    ++allowed_count_;
    note(allowed_, name, " is allowed by ", record->entry);
  }

  /// The first is named: a thousand recipients with one cause are one cause.
  void note(std::string& evidence, std::string_view name, std::string_view verb, std::string_view why) const {
    if (evidence.empty()) evidence = fmt::format("{} {}{}{}", what_, name, verb, why);
  }

  std::string_view what_, suffix_;
  QuestionKind kind_;
  std::size_t asked_ = 0;
  std::size_t allowed_count_ = 0;
  bool pending_ = false;
  std::string allowed_, blocked_, unknown_;  // evidence
};

/// Whether what passed is about this domain, or one above it.
bool names(const results::MethodResult& result, const std::string& domain) {
  return std::ranges::any_of(result.properties, [&](const auto& property) {
    const auto& [name, value] = property;
    if (name != "smtp.mailfrom" && name != "smtp.helo" && name != "header.d" && name != "header.from")
      return false;
    const std::string_view text = value;
    const auto known = ascii_domain(name == "smtp.mailfrom" ? domain_of(text) : text);
    return known && (*known == domain || domain.ends_with("." + *known));
  });
}

/// Those the stage is about.
std::span<const std::string> recipients_at(Stage stage, const Envelope& envelope) {
  const std::span<const std::string> all(envelope.recipients);
  if (stage == Stage::data) return all;
  return stage == Stage::rcpt && !all.empty() ? all.last(1) : std::span<const std::string>();
}

}  // namespace

std::string list_record(ListKind kind, std::string_view entry) {
  return fmt::format("{}{}", kind == ListKind::allow ? kAllowPrefix : kBlockPrefix, entry);
}

std::optional<ListRecord> parse_list_record(std::string_view text) {
  if (text.starts_with(kAllowPrefix))
    return ListRecord{.kind = ListKind::allow, .entry = text.substr(kAllowPrefix.size())};
  if (text.starts_with(kBlockPrefix))
    return ListRecord{.kind = ListKind::block, .entry = text.substr(kBlockPrefix.size())};
  return std::nullopt;
}

Progress check_local_lists(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts,
                           Findings& findings) {
  Subject client("client", "CLIENT", QuestionKind::client_list);
  Subject sender("sender", "SENDER", QuestionKind::sender_list);
  Subject recipients("recipient", "RECIPIENT", QuestionKind::recipient_list);
  if (policy.has_client_list && !envelope.client_ip.empty()) {
    const std::string address = envelope.client_ip.text();
    client.ask({&address, 1}, facts);
  }
  if (policy.has_sender_list && stage >= Stage::mail) sender.ask({&envelope.mail_from, 1}, facts);
  if (policy.has_recipient_list) recipients.ask(recipients_at(stage, envelope), facts);

  if (client.pending() || sender.pending() || recipients.pending()) return Progress::pending;
  client.conclude(policy, findings);
  sender.conclude(policy, findings);
  recipients.conclude(policy, findings);
  return Progress::done;
}

void confirm_allowed_sender(const Envelope& envelope, const Policy& policy, Findings& findings) {
  const auto allowed = std::ranges::find(findings.found, "LOCAL_ALLOW_SENDER", &Finding::name);
  if (allowed == findings.found.end() || !policy.authentication.enabled || policy.allow_unauthenticated)
    return;
  // In LMTP and on a Unix socket SPF says nothing: one of our own servers has let him in.
  if (!envelope.client_counts()) return;
  const std::string domain =
      ascii_domain(domain_of(envelope.mail_from)).value_or(std::string(domain_of(envelope.mail_from)));
  bool in_doubt = false;
  for (const results::MethodResult& result : findings.authentication) {
    if (result.method != "spf" && result.method != "dkim" && result.method != "dmarc") continue;
    in_doubt |= result.result == "temperror";
    if (result.result == "pass" && names(result, domain)) return;
  }
  allowed->score = 0;
  allowed->evidence += "; nothing shows that it is him";
  if (in_doubt) findings.incomplete.push_back("local_lists: whether the allowed sender is who he says");
}

}  // namespace postern::filters
