#include "filters/reputation/blocklist.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/dns.h"
#include "filters/idn.h"
#include "filters/message/address_list.h"

namespace postern::filters {
namespace {

constexpr std::string_view kListedByDefault = "127.0.0.2";  // RFC 5782 §2.1

/// "bl.lists.example" → "DNSBL_BL_LISTS_EXAMPLE".
std::string finding_name(std::string_view zone) {
  std::string name = "DNSBL_";
  for (const char c : zone) {
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
  std::vector<Subject> take() { return std::move(found_); }

 private:
  std::vector<Subject> found_;
};

std::vector<Subject> domains_of(const Envelope& envelope, const Analysis& analysis) {
  Domains domains;
  domains.add(envelope.helo);
  domains.add(domain_of(envelope.mail_from));
  if (const HeaderField* from = analysis.find("From"))
    for (const MailboxName& mailbox : parse_addresses(from->value).mailboxes) domains.add(mailbox.domain);
  return domains.take();
}

class Lookup {
 public:
  Lookup(const Blocklist& list, Facts& facts, Findings& findings)
      : list_(list), facts_(facts), findings_(findings) {}

  Progress run(const std::vector<Subject>& subjects) {
    bool pending = false;
    for (const Subject& subject : subjects) pending |= look(subject) == Progress::pending;
    if (pending) return Progress::pending;
    if (!listed_.empty())
      findings_.found.push_back(
          {.name = finding_name(list_.zone), .score = list_.score, .evidence = std::move(listed_)});
    if (!unknown_.empty()) {
      findings_.unknown.push_back(fmt::format("blocklist {}: {}", list_.zone, unknown_));
      findings_.relief += std::max(0.0, -list_.score);
    }
    return Progress::done;
  }

 private:
  Progress look(const Subject& subject) {
    const auto name = dns::normal_name(fmt::format("{}.{}", subject.prefix, list_.zone));
    if (!name) return Progress::done;  // too long to be listed
    const Answer* answer = facts_.ask(dns::a(*name));
    if (answer == nullptr) return Progress::pending;
    if (answer->failed()) {
      note_unknown(fmt::format("{}: {}", subject.shown, to_string(answer->status)));
      return Progress::done;
    }
    // Servers give records in any order: the first in the map's order counts.
    std::vector<std::string> records = answer->records;
    std::ranges::sort(records);
    std::string_view odd;
    for (const std::string& record : records) {
      const auto meaning = meaning_of(record);
      if (meaning) return note_listed(subject, record, *meaning);
      if (odd.empty()) odd = record;
    }
    if (!odd.empty()) note_unknown(fmt::format("{}: answers {}, which means nothing", subject.shown, odd));
    return Progress::done;
  }

  std::optional<std::string_view> meaning_of(const std::string& record) const {
    if (list_.answers.empty())
      return record == kListedByDefault ? std::optional(std::string_view("listed")) : std::nullopt;
    const auto found = list_.answers.find(record);
    if (found == list_.answers.end()) return std::nullopt;
    return found->second;
  }

  Progress note_listed(const Subject& subject, std::string_view record, std::string_view meaning) {
    if (listed_.empty())
      listed_ = fmt::format("{} is listed by {} ({}{}{})", subject.shown, list_.zone, record,
                            meaning.empty() ? "" : ": ", meaning);
    return Progress::done;
  }

  void note_unknown(std::string text) {
    if (unknown_.empty()) unknown_ = std::move(text);
  }

  const Blocklist& list_;
  Facts& facts_;
  Findings& findings_;
  std::string listed_, unknown_;
};

}  // namespace

Progress check_blocklists(Stage stage, const Envelope& envelope, const Analysis* analysis,
                          const Policy& policy, Facts& facts, Findings& findings) {
  if (stage != Stage::data || analysis == nullptr || policy.blocklists.empty()) return Progress::done;
  std::vector<Subject> client;
  if (envelope.client_counts())
    client.push_back({.shown = envelope.client_ip.text(), .prefix = dns::reversed(envelope.client_ip)});
  const std::vector<Subject> domains = domains_of(envelope, *analysis);
  bool pending = false;
  for (const Blocklist& list : policy.blocklists) {
    const std::vector<Subject>& subjects = list.kind == BlocklistKind::ip ? client : domains;
    pending |= Lookup(list, facts, findings).run(subjects) == Progress::pending;
  }
  return pending ? Progress::pending : Progress::done;
}

}  // namespace postern::filters
