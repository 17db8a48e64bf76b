#include "filters/reputation/blocklist.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/authentication/iprev.h"
#include "filters/dns.h"
#include "filters/idn.h"
#include "filters/message/address_list.h"

namespace postern::filters {
namespace {

constexpr std::string_view kListedByDefault = "127.0.0.2";  // RFC 5782 §2.1
constexpr std::size_t kListsNamedMax = 3;                   // in a refusal, which is one line

/// "bl.lists.example" → "DNSBL_BL_LISTS_EXAMPLE".
std::string finding_name(const Blocklist& list) {
  std::string name = list.score < 0 ? "DNSWL_" : "DNSBL_";
  for (const char c : list.zone) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    name += letter ? static_cast<char>(c - 'a' + 'A') : digit ? c : '_';
  }
  return name;
}

/// What a list knows by itself about a name that it was asked for.
struct Subject {
  std::string shown;   ///< as evidence says it
  std::string prefix;  ///< what stands in front of the zone
  bool counts = true;  ///< for an allow list: it is shown that this is who sends
};

/// Each domain once, in the order given.
class Domains {
 public:
  void add(std::string_view domain) {
    if (found_.size() >= kBlocklistDomainsMax) return;
    auto name = ascii_domain(domain);
    // A literal, a bare host name and an address are no domains that somebody could list.
    if (!name || name->find('.') == std::string::npos || Ip::parse(*name) || name->starts_with('[')) return;
    if (std::ranges::find(found_, *name, &Subject::prefix) != found_.end()) return;
    found_.push_back({.shown = *name, .prefix = *name});
  }
  void add_all(const Analysis& analysis, std::string_view field) {
    if (const HeaderField* found = analysis.find(field))
      for (const MailboxName& mailbox : parse_addresses(found->value).mailboxes) add(mailbox.domain);
  }
  std::vector<Subject> take() { return std::move(found_); }

 private:
  std::vector<Subject> found_;
};

/// The domains that SPF, DKIM or the reverse name show to be behind this message.
std::vector<std::string> authenticated_domains(const std::vector<results::MethodResult>& authentication) {
  std::vector<std::string> domains;
  const auto add = [&domains](std::string_view domain) {
    if (auto name = ascii_domain(domain)) domains.push_back(*std::move(name));
  };
  for (const results::MethodResult& result : authentication) {
    if (result.result != "pass") continue;
    if (result.method == "iprev") add(result.comment);
    for (const auto& [name, value] : result.properties) {
      if (result.method == "spf" && name == "smtp.mailfrom") add(domain_of(value));
      if (result.method == "spf" && name == "smtp.helo") add(value);
      if (result.method == "dkim" && name == "header.d") add(value);
    }
  }
  return domains;
}

/// Who is authenticated for a domain speaks for what is below it.
bool is_authenticated(const std::string& domain, const std::vector<std::string>& authenticated) {
  return std::ranges::any_of(authenticated, [&domain](const std::string& known) {
    return domain == known || domain.ends_with("." + known);
  });
}

/// What one list says of one message.
struct Opinion {
  const Blocklist* list = nullptr;
  std::string listed, unknown;  ///< evidence; "": nothing
  bool counts = true;  ///< false: an allow list names a domain that nobody has shown to be the sender's
  double score() const { return counts ? list->score : 0; }
};

class Lookup {
 public:
  Lookup(const Blocklist& list, const Policy& policy, Facts& facts)
      : list_(list), policy_(policy), facts_(facts), opinion_{.list = &list} {}

  /// Nothing: pending.
  std::optional<Opinion> run(const std::vector<Subject>& subjects) {
    if (policy_.blocklists_probed) {
      const Answer* health = facts_.ask({.kind = QuestionKind::list_health, .name = list_.zone});
      if (health == nullptr) return std::nullopt;
      if (!health->records.empty()) {
        opinion_.unknown = fmt::format("not asked: {}", health->records.front());
        return std::move(opinion_);
      }
    }
    bool pending = false;
    for (const Subject& subject : subjects) pending |= !look(subject);
    if (pending) return std::nullopt;
    return std::move(opinion_);
  }

 private:
  /// False: pending.
  bool look(const Subject& subject) {
    const auto name = dns::normal_name(fmt::format("{}.{}", subject.prefix, list_.zone));
    if (!name) return true;  // too long to be listed
    const Answer* answer = facts_.ask(dns::a(*name));
    if (answer == nullptr) return false;
    if (answer->failed()) {
      note_unknown(fmt::format("{}: {}", subject.shown, to_string(answer->status)));
      return true;
    }
    // Servers give records in any order: the first in the map's order counts.
    std::vector<std::string> records = answer->records;
    std::ranges::sort(records);
    std::string_view odd;
    for (const std::string& record : records) {
      if (const auto meaning = meaning_of(list_, record)) {
        note_listed(subject, record, *meaning);
        return true;
      }
      if (odd.empty() && !means_something_elsewhere(record)) odd = record;
    }
    if (!odd.empty()) note_unknown(fmt::format("{}: answers {}, which means nothing", subject.shown, odd));
    return true;
  }

  static std::optional<std::string_view> meaning_of(const Blocklist& list, const std::string& record) {
    if (list.answers.empty())
      return record == kListedByDefault ? std::optional(std::string_view("listed")) : std::nullopt;
    if (const auto found = list.answers.find(record); found != list.answers.end()) return found->second;
    for (const auto& [key, meaning] : list.answers)
      if (matches_answer(key, record)) return meaning;
    return std::nullopt;
  }

  /// A zone may stand there several times, with a score for each of its answers.
  bool means_something_elsewhere(const std::string& record) const {
    return std::ranges::any_of(policy_.blocklists, [&](const Blocklist& other) {
      return &other != &list_ && other.zone == list_.zone && other.kind == list_.kind &&
             meaning_of(other, record).has_value();
    });
  }

  void note_listed(const Subject& subject, std::string_view record, std::string_view meaning) {
    const bool first = opinion_.listed.empty();
    const bool better =
        !opinion_.counts && subject.counts;  // an entry that counts says more than one that does not
    if (!first && !better) return;
    opinion_.counts = subject.counts || list_.score >= 0 || list_.forced;
    opinion_.listed = fmt::format("{} is listed by {} ({}{}{})", subject.shown, list_.zone, record,
                                  meaning.empty() ? "" : ": ", meaning);
  }

  void note_unknown(std::string text) {
    if (opinion_.unknown.empty()) opinion_.unknown = std::move(text);
  }

  const Blocklist& list_;
  const Policy& policy_;
  Facts& facts_;
  Opinion opinion_;
};

/// Who and what is looked up.
class Inspection {
 public:
  Inspection(const Envelope& envelope, const Policy& policy, Facts& facts)
      : envelope_(envelope), policy_(policy), facts_(facts) {}

  /// Nothing: pending; everything that can be named has been asked. `analysis` null: the header is not there.
  /// `authenticated` null: it is not known yet who is, and an allow list has the benefit of the doubt.
  std::optional<std::vector<Opinion>> run(const Analysis* analysis, bool envelope_known,
                                          const std::vector<std::string>* authenticated) {
    std::vector<Subject> client;
    if (envelope_.client_counts())
      client.push_back({.shown = envelope_.client_ip.text(), .prefix = dns::reversed(envelope_.client_ip)});
    std::vector<Subject> domains = domains_of(analysis, envelope_known);
    if (authenticated != nullptr)
      for (Subject& domain : domains) domain.counts = is_authenticated(domain.prefix, *authenticated);
    std::vector<Opinion> opinions;
    for (const Blocklist& list : policy_.blocklists) {
      auto opinion = Lookup(list, policy_, facts_).run(list.kind == BlocklistKind::ip ? client : domains);
      if (opinion) {
        opinions.push_back(*std::move(opinion));
      } else {
        pending_ = true;
      }
    }
    if (pending_) return std::nullopt;
    return opinions;
  }

 private:
  std::vector<Subject> domains_of(const Analysis* analysis, bool envelope_known) {
    Domains domains;
    if (std::ranges::find(policy_.blocklists, BlocklistKind::domain, &Blocklist::kind) ==
        policy_.blocklists.end())
      return {};
    if (envelope_known) {
      domains.add(envelope_.helo);
      domains.add(domain_of(envelope_.mail_from));
    }
    if (envelope_.client_counts()) {
      const auto iprev = authentication::check_iprev(envelope_.client_ip, facts_);
      if (!iprev) pending_ = true;
      if (iprev && !iprev->name.empty()) domains.add(iprev->name);
    }
    if (analysis != nullptr) {
      domains.add_all(*analysis, "From");
      domains.add_all(*analysis, "Reply-To");
    }
    return domains.take();
  }

  const Envelope& envelope_;
  const Policy& policy_;
  Facts& facts_;
  bool pending_ = false;
};

/// Whether all block lists together could bring what refuses.
bool could_refuse(const Policy& policy) {
  double most = 0;
  for (const Blocklist& list : policy.blocklists) most += std::max(0.0, list.score);
  return most > 0 && most >= policy.blocklist_reject_score;
}

/// The demand, when the lists are certain enough of it.
std::optional<Demand> demand_of(const std::vector<Opinion>& opinions, const Findings& findings,
                                const Policy& policy) {
  constexpr double kNoise = 1e-9;  // of sums of decimal fractions
  double sum = 0;
  std::vector<const Opinion*> accusers;
  for (const Opinion& opinion : opinions) {
    if (!opinion.listed.empty()) sum += opinion.score();
    if (!opinion.listed.empty() && opinion.list->score > 0) accusers.push_back(&opinion);
    if (!opinion.unknown.empty()) sum += std::min(0.0, opinion.list->score);  // it might have spoken for him
  }
  for (const Finding& finding : findings.found)
    if (finding.name.starts_with("LOCAL_ALLOW_")) sum += finding.score;
  if (accusers.empty() || sum + kNoise < policy.blocklist_reject_score) return std::nullopt;
  std::string text = "refused: ";
  for (std::size_t i = 0; i < accusers.size() && i < kListsNamedMax; ++i)
    text += (i == 0 ? "" : "; ") + accusers[i]->listed;
  if (accusers.size() > kListsNamedMax)
    text += fmt::format("; and {} more", accusers.size() - kListsNamedMax);
  return Demand{.action = Action::reject,
                .refusal = {.code = 554, .enhanced = "5.7.1", .text = std::move(text), .verbatim = true},
                .reason = fmt::format("blocklists reach blocklist_reject_score {} with {}",
                                      policy.blocklist_reject_score, sum)};
}

Finding finding_of(const Opinion& opinion, bool weightless, std::string_view why) {
  const double score = weightless ? 0 : opinion.score();
  return {.name = finding_name(*opinion.list),
          .score = score,
          .evidence = weightless ? fmt::format("{}; {}", opinion.listed, why) : opinion.listed};
}

Progress check_recipient(const Envelope& envelope, const Policy& policy, Facts& facts, Findings& findings) {
  if (!could_refuse(policy) || envelope.recipients.empty()) return Progress::done;
  if (is_postmaster(envelope.recipients.back())) return Progress::done;
  const auto opinions = Inspection(envelope, policy, facts).run(nullptr, true, nullptr);
  if (!opinions) return Progress::pending;
  auto demand = demand_of(*opinions, findings, policy);
  if (!demand) return Progress::done;
  findings.demand = std::move(demand);
  for (const Opinion& opinion : *opinions)
    if (!opinion.listed.empty()) findings.found.push_back(finding_of(opinion, false, {}));
  return Progress::done;
}

}  // namespace

bool matches_answer(std::string_view key, std::string_view answer) {
  for (int octet = 0; octet < 4; ++octet) {
    const std::string_view wanted = key.substr(0, key.find('.'));
    const std::string_view given = answer.substr(0, answer.find('.'));
    if (given.empty() || (wanted != "*" && wanted != given)) return false;
    key.remove_prefix(std::min(wanted.size() + 1, key.size()));
    answer.remove_prefix(std::min(given.size() + 1, answer.size()));
  }
  return key.empty() && answer.empty();
}

Progress check_blocklists(Stage stage, const Envelope& envelope, const Analysis* analysis,
                          const Policy& policy, Facts& facts, Findings& findings) {
  if (policy.blocklists.empty()) return Progress::done;
  if (stage == Stage::rcpt) return check_recipient(envelope, policy, facts, findings);
  if (stage != Stage::data || analysis == nullptr) return Progress::done;
  const std::vector<std::string> authenticated = authenticated_domains(findings.authentication);
  const auto opinions = Inspection(envelope, policy, facts).run(analysis, true, &authenticated);
  if (!opinions) return Progress::pending;
  const bool postmaster = for_postmaster_only(envelope);
  if (!postmaster)
    if (auto demand = demand_of(*opinions, findings, policy);
        demand && (!findings.demand || findings.demand->action < Action::reject))
      findings.demand = std::move(demand);
  for (const Opinion& opinion : *opinions) {
    if (!opinion.listed.empty() && opinion.counts)
      findings.found.push_back(finding_of(opinion, postmaster && opinion.list->score > 0,
                                          "it weighs nothing at the postmaster's"));
    if (!opinion.listed.empty() && !opinion.counts)
      findings.found.push_back(finding_of(opinion, true, "nothing shows that this is the sender"));
    if (!opinion.unknown.empty()) {
      findings.unknown.push_back(fmt::format("blocklist {}: {}", opinion.list->zone, opinion.unknown));
      findings.relief += std::max(0.0, -opinion.list->score);
    }
  }
  return Progress::done;
}

std::optional<std::string> first_listing(const Envelope& envelope, const Policy& policy, Facts& facts) {
  if (policy.blocklists.empty()) return std::string();
  const auto opinions = Inspection(envelope, policy, facts).run(nullptr, true, nullptr);
  if (!opinions) return std::nullopt;
  for (const Opinion& opinion : *opinions)
    if (!opinion.listed.empty() && opinion.list->score >= 0) return opinion.listed;
  return std::string();
}

void anticipate_blocklists(Stage stage, const Envelope& envelope, const Policy& policy, Facts& facts) {
  if (policy.blocklists.empty()) return;
  (void)Inspection(envelope, policy, facts).run(nullptr, stage >= Stage::mail, nullptr);  // for its questions
}

}  // namespace postern::filters
