#include "filters/authentication/spf/check_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "filters/authentication/spf/macro.h"
#include "filters/authentication/spf/record.h"
#include "filters/dns.h"

namespace postern::filters::spf {
namespace {

enum class Match : std::uint8_t { no, yes, pending, temperror, permerror };

/// How one record ended.
struct Verdict {
  bool pending = false;
  Result result = Result::none;
};

Result result_of(Qualifier qualifier) {
  switch (qualifier) {
    case Qualifier::pass:
      return Result::pass;
    case Qualifier::fail:
      return Result::fail;
    case Qualifier::softfail:
      return Result::softfail;
    case Qualifier::neutral:
      return Result::neutral;
  }
  return Result::neutral;
}

/// §4.3: a name of one label, or none at all, is nothing that could publish a policy.
std::optional<std::string> checkable(std::string_view domain) {
  auto name = dns::normal_name(domain);
  if (name && name->find('.') == std::string::npos) return std::nullopt;
  return name;
}

class Evaluation {
 public:
  Evaluation(const Identity& identity, std::string sender, Facts& facts, std::vector<Step>* steps)
      : identity_(identity), sender_(std::move(sender)), facts_(facts), steps_(steps) {}

  std::optional<Outcome> run() {
    const auto domain = checkable(identity_.domain);
    if (!domain) {
      outcome_.problem = fmt::format("'{}' is no domain name (§4.3)", identity_.domain);
      note(identity_.domain, {}, outcome_.problem);
      return std::move(outcome_);
    }
    const Verdict verdict = check(*domain, 0, true);
    if (verdict.pending) return std::nullopt;
    outcome_.result = verdict.result;
    outcome_.terms = terms_;
    outcome_.void_lookups = void_lookups_;
    if (verdict.result == Result::fail && !explain()) return std::nullopt;
    return std::move(outcome_);
  }

 private:
  const Answer* ask(const Question& question) {
    if (steps_ != nullptr) asked_.push_back(question);
    return facts_.ask(question);
  }

  void note(std::string_view domain, std::string_view term, std::string_view what) {
    if (steps_ == nullptr || steps_->size() >= kStepsMax) return;
    steps_->push_back({.depth = depth_,
                       .domain = std::string(domain),
                       .term = std::string(term),
                       .what = std::string(what),
                       .asked = std::exchange(asked_, {}),
                       .terms = terms_,
                       .void_lookups = void_lookups_});
  }

  Verdict conclude(Result result, std::string problem) {
    outcome_.problem = std::move(problem);
    return {.result = result};
  }

  MacroValues values(std::string_view domain) const {
    return {.ip = identity_.ip,
            .sender = sender_,
            .domain = domain,
            .helo = identity_.helo,
            .receiver = identity_.receiver,
            .now = identity_.now,
            .validated = validated_};
  }

  /// §4.4, §4.5: the one record of a domain.
  Verdict check(const std::string& domain, unsigned depth, bool explains) {
    const unsigned depth_before = std::exchange(depth_, depth);
    const Verdict verdict = check_here(domain, depth, explains);
    depth_ = depth_before;
    return verdict;
  }

  Verdict check_here(const std::string& domain, unsigned depth, bool explains) {
    const Answer* answer = ask(dns::txt(domain));
    if (answer == nullptr) return {.pending = true};
    if (answer->failed()) {
      note(domain, {}, fmt::format("TXT: {}", to_string(answer->status)));
      return conclude(Result::temperror, fmt::format("TXT {}: {} (§4.4)", domain, to_string(answer->status)));
    }
    const std::string* text = nullptr;
    for (const std::string& record : answer->records) {
      if (!is_spf(record)) continue;
      if (text != nullptr)
        return conclude(Result::permerror, fmt::format("{} has several SPF records (§4.5)", domain));
      text = &record;
    }
    if (text == nullptr) {
      note(domain, {}, "no SPF record");
      return conclude(Result::none, fmt::format("{} has no SPF record", domain));
    }
    note(domain, {}, *text);
    auto record = parse_record(*text);
    if (!record) {
      return conclude(Result::permerror,
                      fmt::format("the record of {} breaks the syntax at octet {}: expected {}", domain,
                                  record.error().position, record.error().rule));
    }
    return evaluate(domain, *record, depth, explains);
  }

  Verdict evaluate(const std::string& domain, const Record& record, unsigned depth, bool explains) {
    for (std::size_t i = 0; i < record.directives.size(); ++i) {
      const Directive& directive = record.directives[i];
      const Match match = evaluate(domain, directive, depth);
      switch (match) {
        case Match::no:
          note(domain, directive.text, "no match");
          continue;
        case Match::yes:
          note(domain, directive.text, "match");
          outcome_.term = std::string(directive.text);
          outcome_.domain = domain;
          outcome_.problem.clear();
          if (explains) explanation_ = {.domain = domain, .spec = std::string(record.exp)};
          return {.result = result_of(directive.qualifier)};
        case Match::pending:
          prefetch(domain, record, i + 1);
          return {.pending = true};
        case Match::temperror:
          note(domain, directive.text, "temperror: " + outcome_.problem);
          return {.result = Result::temperror};
        case Match::permerror:
          note(domain, directive.text, "permerror: " + outcome_.problem);
          return {.result = Result::permerror};
      }
    }
    if (record.redirect.empty() || record.has_all) {  // §4.7, §5.1
      note(domain, {}, "nothing matched: neutral (§4.7)");
      outcome_.problem.clear();
      return {.result = Result::neutral};
    }
    // §6.1
    if (!take_term()) return {.result = Result::permerror};
    std::string target;
    if (const Match named = name(record.redirect, domain, target); named == Match::pending)
      return {.pending = true};
    const auto checked = checkable(target);
    if (!checked)
      return conclude(Result::permerror,
                      fmt::format("redirect to '{}', which is no domain name (§6.1)", target));
    note(domain, fmt::format("redirect={}", record.redirect), *checked);
    Verdict verdict = check(*checked, depth + 1, explains);
    if (!verdict.pending && verdict.result == Result::none)
      verdict = conclude(Result::permerror, fmt::format("redirect: {} (§6.1)", outcome_.problem));
    return verdict;
  }

  bool take_term() {
    if (++terms_ <= kTermsMax) return true;
    outcome_.problem = fmt::format("more than {} terms that query DNS (§4.6.4)", kTermsMax);
    return false;
  }

  /// Counts an answer that held nothing. False: one too many.
  bool count_void(const Answer& answer) {
    if (answer.status != AnswerStatus::no_data && answer.status != AnswerStatus::no_such_name) return true;
    if (++void_lookups_ <= kVoidLookupsMax) return true;
    outcome_.problem = fmt::format("more than {} lookups that found nothing (§4.6.4)", kVoidLookupsMax);
    return false;
  }

  Match failed(std::string_view type, std::string_view name, const Answer& answer) {
    outcome_.problem = fmt::format("{} {}: {}", type, name, to_string(answer.status));
    return Match::temperror;
  }

  /// The target name of a mechanism (§4.8). `no` stands for "it is there".
  Match name(std::string_view spec, const std::string& domain, std::string& out) {
    if (spec.empty()) {
      out = domain;
      return Match::no;
    }
    if (spec.find('%') == std::string_view::npos) {
      out = std::string(spec);
      if (out.ends_with('.')) out.pop_back();
      return Match::no;
    }
    if (uses_validated_name(spec) && !validate(domain)) return Match::pending;
    out = expand_name(spec, values(domain));
    return Match::no;
  }

  Match evaluate(const std::string& domain, const Directive& directive, unsigned depth) {
    switch (directive.kind) {
      case MechanismKind::all:
        return Match::yes;
      case MechanismKind::ip4:
      case MechanismKind::ip6:
        return directive.network.contains(identity_.ip) ? Match::yes : Match::no;
      default:
        break;
    }
    if (!take_term()) return Match::permerror;
    std::string target;
    if (const Match named = name(directive.target, domain, target); named == Match::pending) return named;
    const auto host = dns::normal_name(target);
    // §4.8 leaves a name that cannot be asked for undefined; the suite of the standard's authors has it not
    // match. An include of such a name has no record, which §5.2 makes a permerror.
    if (!host) {
      if (directive.kind != MechanismKind::include) return Match::no;
      outcome_.problem = fmt::format("include of '{}', which is no domain name (§5.2)", target);
      return Match::permerror;
    }
    switch (directive.kind) {
      case MechanismKind::include:
        return match_include(*host, depth);
      case MechanismKind::a:
        return match_a(*host, directive, true);
      case MechanismKind::mx:
        return match_mx(*host, directive);
      case MechanismKind::ptr:
        return match_ptr(*host);
      case MechanismKind::exists:
        return match_exists(*host);
      default:
        return Match::no;
    }
  }

  /// §5.2.
  Match match_include(const std::string& host, unsigned depth) {
    const Verdict verdict = check(host, depth + 1, false);
    if (verdict.pending) return Match::pending;
    switch (verdict.result) {
      case Result::pass:
        return Match::yes;
      case Result::fail:
      case Result::softfail:
      case Result::neutral:
        return Match::no;
      case Result::temperror:
        return Match::temperror;
      case Result::none:
        outcome_.problem = fmt::format("include: {} (§5.2)", outcome_.problem);
        return Match::permerror;
      case Result::permerror:
        return Match::permerror;
    }
    return Match::permerror;
  }

  Question address_question(std::string_view host) const {
    return identity_.ip.is_v6() ? dns::aaaa(host) : dns::a(host);
  }
  std::string_view address_type() const { return identity_.ip.is_v6() ? "AAAA" : "A"; }

  bool contains_client(const Answer& answer, const Directive& directive) const {
    const unsigned bits = identity_.ip.is_v6() ? directive.v6_bits : directive.v4_bits;
    const Ip client = identity_.ip.masked(bits);
    return std::ranges::any_of(answer.records, [&](const std::string& record) {
      const auto ip = Ip::parse(record);
      return ip && ip->family() == client.family() && ip->masked(bits) == client;
    });
  }

  /// §5.3.
  Match match_a(const std::string& host, const Directive& directive, bool counts) {
    const Answer* answer = ask(address_question(host));
    if (answer == nullptr) return Match::pending;
    if (answer->failed()) return failed(address_type(), host, *answer);
    if (counts && !count_void(*answer)) return Match::permerror;
    return contains_client(*answer, directive) ? Match::yes : Match::no;
  }

  /// §5.4.
  Match match_mx(const std::string& host, const Directive& directive) {
    const Answer* answer = ask(dns::mx(host));
    if (answer == nullptr) return Match::pending;
    if (answer->failed()) return failed("MX", host, *answer);
    if (!count_void(*answer)) return Match::permerror;
    const auto exchanges = dns::exchanges(*answer);
    Match match = Match::no;
    // Ask for every address, but draw no conclusion behind a gap.
    for (std::size_t i = 0; i < std::min(exchanges.size(), kNamesMax); ++i) {
      if (exchanges[i].host.empty()) continue;  // null MX
      if (match == Match::pending) {
        (void)ask(address_question(exchanges[i].host));  // only noted
        continue;
      }
      match = match_a(exchanges[i].host, directive, false);
      if (match != Match::no && match != Match::pending) return match;
    }
    if (match == Match::no && exchanges.size() > kNamesMax) {
      outcome_.problem = fmt::format("mx {} names more than {} hosts (§4.6.4)", host, kNamesMax);
      return Match::permerror;
    }
    return match;
  }

  /// §5.7: an A lookup whatever the client's family.
  Match match_exists(const std::string& host) {
    const Answer* answer = ask(dns::a(host));
    if (answer == nullptr) return Match::pending;
    if (answer->failed()) return failed("A", host, *answer);
    if (!count_void(*answer)) return Match::permerror;
    return answer->records.empty() ? Match::no : Match::yes;
  }

  static bool is_below(std::string_view name, std::string_view domain) {
    return name == domain || (name.size() > domain.size() && name.ends_with(domain) &&
                              name[name.size() - domain.size() - 1] == '.');
  }

  static bool holds(const Answer& answer, const Ip& ip) {
    return std::ranges::any_of(answer.records,
                               [&](const std::string& record) { return Ip::parse(record) == ip; });
  }

  /// The validated names of the client (§5.5), in the order of the answer. False: pending.
  bool validated_names(std::vector<std::string>& names, const Answer** reverse) {
    const Answer* answer = ask(dns::ptr(identity_.ip));
    *reverse = answer;
    if (answer == nullptr) return false;
    if (answer->failed()) return true;  // §5.5: no names then
    bool pending = false;
    for (std::size_t i = 0; i < std::min(answer->records.size(), kNamesMax); ++i) {
      const auto name = dns::normal_name(answer->records[i]);
      if (!name) continue;
      const Answer* forward = ask(address_question(*name));
      if (forward == nullptr) {
        pending = true;
      } else if (!forward->failed() && holds(*forward, identity_.ip)) {
        names.push_back(*name);
      }
    }
    return !pending;
  }

  /// §5.5.
  Match match_ptr(const std::string& host) {
    std::vector<std::string> names;
    const Answer* reverse = nullptr;
    if (!validated_names(names, &reverse)) return Match::pending;
    if (!count_void(*reverse)) return Match::permerror;
    return std::ranges::any_of(names, [&](const std::string& name) { return is_below(name, host); })
               ? Match::yes
               : Match::no;
  }

  /// %{p} (§7.3): the domain itself, else a name below it, else any. False: pending.
  bool validate(const std::string& domain) {
    std::vector<std::string> names;
    const Answer* reverse = nullptr;
    if (!validated_names(names, &reverse)) return false;
    validated_.clear();
    for (const std::string& name : names) {
      if (name == domain) {
        validated_ = name;
        return true;
      }
    }
    for (const std::string& name : names) {
      if (is_below(name, domain)) {
        validated_ = name;
        return true;
      }
    }
    if (!names.empty()) validated_ = names.front();
    return true;
  }

  /// An answer is missing, so nothing behind it can be concluded; but what it will take can be asked for
  /// already.
  void prefetch(const std::string& domain, const Record& record, std::size_t first) {
    unsigned terms = terms_;
    for (std::size_t i = first; i < record.directives.size() && terms < kTermsMax; ++i) {
      const Directive& directive = record.directives[i];
      if (directive.kind == MechanismKind::all) return;
      if (directive.kind == MechanismKind::ip4 || directive.kind == MechanismKind::ip6) {
        if (directive.network.contains(identity_.ip)) return;
        continue;
      }
      ++terms;
      std::string target;
      if (name(directive.target, domain, target) == Match::pending) continue;
      const auto host = dns::normal_name(target);
      if (!host) continue;
      switch (directive.kind) {
        case MechanismKind::include:
          (void)ask(dns::txt(*host));
          break;
        case MechanismKind::a:
          (void)ask(address_question(*host));
          break;
        case MechanismKind::mx:
          (void)ask(dns::mx(*host));
          break;
        case MechanismKind::ptr:
          (void)ask(dns::ptr(identity_.ip));
          break;
        case MechanismKind::exists:
          (void)ask(dns::a(*host));
          break;
        default:
          break;
      }
    }
  }

  /// §6.2. False: pending. Whatever goes wrong here leaves the result as it is, without an explanation.
  bool explain() {
    if (explanation_.spec.empty()) return true;
    std::string target;
    if (name(explanation_.spec, explanation_.domain, target) == Match::pending) return false;
    const auto host = dns::normal_name(target);
    if (!host) return true;
    const Answer* answer = ask(dns::txt(*host));
    if (answer == nullptr) return false;
    if (answer->records.size() != 1) return true;
    const std::string& text = answer->records.front();
    if (check_macro_string(text, MacroUse::explanation)) return true;
    if (uses_validated_name(text) && !validate(explanation_.domain)) return false;
    std::string explanation = expand(text, values(explanation_.domain));
    if (std::ranges::all_of(explanation, [](char c) { return c >= ' ' && c < 0x7f; }))
      outcome_.explanation = std::move(explanation);
    return true;
  }

  struct Explanation {
    std::string domain, spec;
  };

  const Identity& identity_;
  const std::string sender_;
  Facts& facts_;
  std::vector<Step>* steps_;
  std::vector<Question> asked_;  ///< since the last step, where steps are kept
  Outcome outcome_;
  Explanation explanation_;
  std::string validated_;
  unsigned terms_ = 0, void_lookups_ = 0, depth_ = 0;
};

}  // namespace

std::string_view to_string(Result result) {
  switch (result) {
    case Result::none:
      return "none";
    case Result::neutral:
      return "neutral";
    case Result::pass:
      return "pass";
    case Result::fail:
      return "fail";
    case Result::softfail:
      return "softfail";
    case Result::temperror:
      return "temperror";
    case Result::permerror:
      return "permerror";
  }
  return "";
}

std::optional<Outcome> check_host(const Identity& identity, Facts& facts, std::vector<Step>* steps) {
  // §4.3: a sender without a local part is postmaster's.
  std::string sender(identity.sender);
  if (sender.find('@') == std::string::npos)
    sender = fmt::format("postmaster@{}", sender.empty() ? identity.domain : sender);
  if (sender.starts_with('@')) sender.insert(0, "postmaster");
  if (steps != nullptr) steps->clear();
  return Evaluation(identity, std::move(sender), facts, steps).run();
}

}  // namespace postern::filters::spf
