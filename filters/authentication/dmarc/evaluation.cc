#include "filters/authentication/dmarc/evaluation.h"

#include <fmt/format.h>

#include <algorithm>

#include "filters/dns.h"
#include "filters/idn.h"

namespace postern::filters::dmarc {
namespace {

/// The names of a tree walk (§4.10, steps 3 to 7), the domain itself first.
std::vector<std::string_view> walk_names(std::string_view domain) {
  std::vector<std::string_view> names{domain};
  std::size_t labels = static_cast<std::size_t>(std::ranges::count(domain, '.')) + 1;
  std::string_view rest = domain;
  while (labels > 1) {
    // Step 4: from eight labels and more straight down to seven.
    const std::size_t keep = labels >= kWalkQueriesMax ? kWalkQueriesMax - 1 : labels - 1;
    for (; labels > keep; --labels) rest.remove_prefix(rest.find('.') + 1);
    names.push_back(rest);
  }
  return names;
}

enum class Found : std::uint8_t { no, yes, pending, failed };

struct Walked {
  std::string_view name;
  Record record;
};

class Evaluation {
 public:
  Evaluation(const Identifiers& identifiers, Facts& facts) : identifiers_(identifiers), facts_(facts) {}

  std::optional<Outcome> run(std::string_view author_domain) {
    const auto author = ascii_domain(author_domain);
    if (!author || author->find('.') == std::string::npos) {
      outcome_.reason = fmt::format("'{}' is no author domain", author_domain);
      return std::move(outcome_);
    }
    outcome_.author_domain = *author;
    ask_early(*author);
    if (!find_policy(*author)) return std::nullopt;
    if (outcome_.result == Result::temperror || !outcome_.record) return std::move(outcome_);
    if (!align()) return std::nullopt;
    if (outcome_.result != Result::temperror && !choose_policy()) return std::nullopt;
    return std::move(outcome_);
  }

 private:
  /// The record of one name (§4.10, step 2): several are none.
  Found record_of(std::string_view name, Record& out) {
    const Answer* answer = facts_.ask(dns::txt("_dmarc." + std::string(name)));
    if (answer == nullptr) return Found::pending;
    if (answer->failed()) {
      outcome_.reason = fmt::format("TXT _dmarc.{}: {}", name, to_string(answer->status));
      return Found::failed;
    }
    std::optional<Record> found;
    for (const std::string& text : answer->records) {
      auto record = parse_record(text);
      if (!record) continue;
      if (found) return Found::no;
      found = std::move(record);
    }
    if (!found) return Found::no;
    out = std::move(*found);
    return Found::yes;
  }

  /// Everything that can be named before the first answer is there.
  void ask_early(const std::string& author) {
    const auto ask = [&](std::string_view domain) {
      for (const std::string_view name : walk_names(domain))
        (void)facts_.ask(dns::txt("_dmarc." + std::string(name)));
    };
    ask(author);
    for (const std::string_view identifier : all_identifiers()) {
      const auto domain = ascii_domain(identifier);
      if (domain && *domain != author && share_suffix(*domain, author)) ask(*domain);
    }
  }

  std::vector<std::string_view> all_identifiers() const {
    std::vector<std::string_view> all(identifiers_.dkim.begin(), identifiers_.dkim.end());
    if (!identifiers_.spf.empty()) all.push_back(identifiers_.spf);
    return all;
  }

  /// Two names without a common last label cannot have one organizational domain.
  static bool share_suffix(std::string_view a, std::string_view b) {
    return a.substr(a.rfind('.') + 1) == b.substr(b.rfind('.') + 1);
  }

  /// The tree walk from `domain` on. False: pending, or failed (then the result is set).
  bool walk(std::string_view domain, std::vector<Walked>& out, bool& failed) {
    bool pending = false;
    for (const std::string_view name : walk_names(domain)) {
      Record record;
      const Found found = record_of(name, record);
      if (found == Found::pending) {
        pending = true;
        continue;
      }
      if (pending) continue;
      if (found == Found::failed) {
        failed = true;
        return true;
      }
      if (found != Found::yes) continue;
      const bool stop = record.suffix != Suffix::unknown;
      out.push_back({.name = name, .record = std::move(record)});
      if (stop) break;
    }
    return !pending;
  }

  /// §4.10.2, the selection behind a walk.
  static std::string organizational_domain(std::string_view start, const std::vector<Walked>& walked) {
    for (const Walked& at : walked) {
      if (at.record.suffix == Suffix::no) return std::string(at.name);
      if (at.record.suffix == Suffix::yes && at.name != start) {
        // One label below the suffix.
        const std::string_view below = start.substr(0, start.size() - at.name.size() - 1);
        const std::size_t dot = below.rfind('.');
        return std::string(start.substr(dot == std::string_view::npos ? 0 : dot + 1));
      }
    }
    return std::string(walked.empty() ? start : walked.back().name);
  }

  /// §4.10.1. False: pending.
  bool find_policy(const std::string& author) {
    std::vector<Walked> walked;
    bool failed = false;
    if (!walk(author, walked, failed)) return false;
    if (failed) {
      outcome_.result = Result::temperror;
      return true;
    }
    if (walked.empty()) {
      outcome_.reason = "no DMARC record";
      return true;
    }
    outcome_.organizational_domain = organizational_domain(author, walked);
    // The author domain's own record, else the organizational domain's, else the suffix's.
    const Walked* applies = nullptr;
    for (const std::string_view wanted :
         {std::string_view(author), std::string_view(outcome_.organizational_domain)}) {
      const auto found = std::ranges::find(walked, wanted, &Walked::name);
      if (applies == nullptr && found != walked.end()) applies = &*found;
    }
    if (applies == nullptr && walked.back().record.suffix == Suffix::yes) applies = &walked.back();
    if (applies == nullptr) {
      outcome_.reason = "no DMARC record applies";
      return true;
    }
    if (applies->record.broken_policy && applies->record.aggregate_to.empty()) {
      outcome_.reason = fmt::format("the record of {} has no valid policy and nobody to report to (§4.10.1)",
                                    applies->name);
      return true;
    }
    outcome_.record = applies->record;
    outcome_.record_domain = std::string(applies->name);
    return true;
  }

  enum class Aligned : std::uint8_t { no, yes, pending, failed };

  Aligned aligned(std::string_view identifier, Alignment mode) {
    const auto domain = ascii_domain(identifier);
    if (!domain) return Aligned::no;
    if (*domain == outcome_.author_domain) return Aligned::yes;
    if (mode == Alignment::strict || !share_suffix(*domain, outcome_.author_domain)) return Aligned::no;
    std::vector<Walked> walked;
    bool failed = false;
    if (!walk(*domain, walked, failed)) return Aligned::pending;
    if (failed) return Aligned::failed;
    return organizational_domain(*domain, walked) == outcome_.organizational_domain ? Aligned::yes
                                                                                    : Aligned::no;
  }

  /// §5.3.4, §5.3.5. False: pending.
  bool align() {
    bool pending = false, failed = false;
    const auto look = [&](std::string_view identifier, Alignment mode, bool& member) {
      const Aligned answer = aligned(identifier, mode);
      member |= answer == Aligned::yes;
      pending |= answer == Aligned::pending;
      failed |= answer == Aligned::failed;
    };
    if (!identifiers_.spf.empty()) look(identifiers_.spf, outcome_.record->spf, outcome_.spf_aligned);
    for (const std::string_view domain : identifiers_.dkim)
      look(domain, outcome_.record->dkim, outcome_.dkim_aligned);
    if (pending) return false;
    if (outcome_.spf_aligned || outcome_.dkim_aligned) {
      outcome_.result = Result::pass;
      outcome_.reason.clear();
    } else if (failed) {
      outcome_.result = Result::temperror;  // §5.3.6: neither pass nor fail
    } else {
      outcome_.result = Result::fail;
      outcome_.reason = "no aligned identifier";
    }
    return true;
  }

  /// §4.10.1: p, sp or np. False: pending.
  bool choose_policy() {
    const Record& record = *outcome_.record;
    Policy policy = record.policy.value_or(Policy::none);
    if (record.broken_policy) {
      policy = Policy::none;
    } else if (outcome_.record_domain != outcome_.author_domain) {
      if (record.subdomains) policy = *record.subdomains;
      if (record.nonexistent && *record.nonexistent != policy) {
        bool exists = false;
        if (!author_exists(exists)) return false;
        if (!exists) policy = *record.nonexistent;
      }
    }
    outcome_.policy = policy;
    if (outcome_.result == Result::fail) {
      outcome_.disposition = policy;
      if (record.testing && policy != Policy::none) {
        outcome_.disposition = policy == Policy::reject ? Policy::quarantine : Policy::none;  // §4.7, t=
      }
    }
    return true;
  }

  /// §3.2.13: a domain exists when it has an address or a mail exchanger. Trouble counts as existing: the milder reading.
  bool author_exists(bool& exists) {
    bool pending = false;
    for (const Question& question : {dns::a(outcome_.author_domain), dns::aaaa(outcome_.author_domain),
                                     dns::mx(outcome_.author_domain)}) {
      const Answer* answer = facts_.ask(question);
      pending |= answer == nullptr;
      exists |= answer != nullptr && (answer->failed() || !answer->records.empty());
    }
    return !pending;
  }

  const Identifiers& identifiers_;
  Facts& facts_;
  Outcome outcome_;
};

}  // namespace

std::string_view to_string(Result result) {
  switch (result) {
    case Result::none:
      return "none";
    case Result::pass:
      return "pass";
    case Result::fail:
      return "fail";
    case Result::temperror:
      return "temperror";
    case Result::permerror:
      return "permerror";
  }
  return "";
}

std::optional<Outcome> evaluate(std::string_view author_domain, const Identifiers& identifiers,
                                Facts& facts) {
  return Evaluation(identifiers, facts).run(author_domain);
}

}  // namespace postern::filters::dmarc
