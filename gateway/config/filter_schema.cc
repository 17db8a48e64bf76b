// The keys of [filter] and its sections.
#include "gateway/config/keys.h"

namespace postern::config {
namespace {

constexpr std::string_view kDispositions[] = {"accept", "none", "quarantine", "reject"};
constexpr std::string_view kQuarantine[] = {"auto", "junk", "store"};
constexpr std::string_view kScoreOrRefuse[] = {"score", "refuse"};

constexpr Key kFilter[] = {
    {"enabled",
     slot<&FilterConfig::enabled>,
     {},
     "Judge messages; false: accept what the server itself accepts."},
    {"reject_score", slot<&FilterConfig::reject_score>, scores(), "From here on a message is refused."},
    {"quarantine_score", slot<&FilterConfig::quarantine_score>, scores(),
     "From here on it goes into quarantine, or into Junk where the account has a mailbox."},
    {"quarantine", slot<&FilterConfig::quarantine>, one_of(kQuarantine),
     "Where that is: \"auto\", as said; \"junk\", never the quarantine: who has no mailbox here gets it "
     "marked; \"store\", always "
     "the quarantine."},
    {"discard_score", slot<&FilterConfig::discard_score>, range(0, 1000),
     "From here on a message is accepted with 250 and thrown away, and neither sender nor recipient hears of "
     "it; the ledger counts "
     "it. 0: never."},
    {"subject_tag", slot<&FilterConfig::subject_tag>, optional(Shape::text),
     "Put in front of Subject of what is marked, such as \"[SPAM]\"; it breaks DKIM signatures. Empty: "
     "Subject stays as it is."},
    {"tag_score", slot<&FilterConfig::tag_score>, scores(), "From here on it is marked in its header."},
    {"blocklist_reject_score", slot<&FilterConfig::blocklist_reject_score>, scores(),
     "Sum of the scores of [[blocklist]]s from which they refuse recipients by themselves (554 5.7.1), the "
     "postmaster "
     "excepted. Not set: reject_score."},
    {"blocklist_probe_s", slot<&FilterConfig::blocklist_probe_s>, range(0, 604'800),
     "Seconds between two trials of each [[blocklist]] by its test entries (RFC 5782 §5). One that lists "
     "what must not be listed, or "
     "refuses, is not asked until it does well again. 0: no trials."},
    {"allow_score", slot<&FilterConfig::allow_score>, scores(), "Added for a match in [filter.allow]."},
    {"block_score", slot<&FilterConfig::block_score>, scores(), "Added for a match in [filter.block]."},
    {"allow_unauthenticated",
     slot<&FilterConfig::allow_unauthenticated>,
     {},
     "A sender in [filter.allow] counts although neither SPF nor DKIM nor DMARC shows that it is him. "
     "Without "
     "filter.authentication.enabled it counts anyway."},
    {"defer_incomplete",
     slot<&FilterConfig::defer_incomplete>,
     {},
     "A check that could not do its work, for lack of an answer, puts the message off (451) that it might "
     "have kept out. "
     "[filter.incomplete] says otherwise by check."},
    {"received_hops_max", slot<&FilterConfig::received_hops_max>, range(1, 10'000),
     "Received fields beyond which a message is in a loop (RFC 5321 §6.3)."},
};

constexpr Key kProfile[] = {
    {"name", slot<&ProfileConfig::name>, required(Shape::text), "For the decision record."},
    {"recipients",
     slot<&ProfileConfig::recipients>,
     {.shape = Shape::recipient_entry, .required = true},
     "Whose mail it is for: an address, \"@domain\" or \"@.domain\" (everything below it); the most specific "
     "entry of all profiles "
     "holds."},
    {"tag_score", slot<&ProfileConfig::tag_score>, scores(),
     "As in [filter], which holds where it is not set."},
    {"quarantine_score", slot<&ProfileConfig::quarantine_score>, scores(), "Likewise."},
    {"reject_score", slot<&ProfileConfig::reject_score>, scores(),
     "Likewise. A message that is for others as well is refused only if all of them refuse it; else it goes "
     "into the quarantine for "
     "those who do."},
    {"discard_score", slot<&ProfileConfig::discard_score>, range(0, 1000), "Likewise."},
    {"quarantine", slot<&ProfileConfig::quarantine>, one_of(kQuarantine),
     "Likewise: \"auto\", \"junk\" or \"store\"."},
    {"subject_tag", slot<&ProfileConfig::subject_tag>, optional(Shape::text), "Likewise."},
};

constexpr Key kOverride[] = {
    {"domain", slot<&OverrideConfig::domain>, required(Shape::domain),
     "Author domain; those below it are meant as well, but for what another entry says of them."},
    {"disposition",
     slot<&OverrideConfig::disposition>,
     {.choices = kDispositions, .required = true},
     "What becomes of its mail when DMARC fails: \"accept\" (as if nothing had failed), \"none\" (the score "
     "alone counts), "
     "\"quarantine\" or \"reject\"."},
    {"reason",
     slot<&OverrideConfig::reason>,
     {},
     "Why: for the verdict, and for the domain's owner in aggregate reports."},
};

constexpr Key kForwarder[] = {
    {"authserv_id", slot<&ForwarderConfig::authserv_id>, required(Shape::domain),
     "Its name in the Authentication-Results fields that it writes; it must take forged ones with this name "
     "out."},
    {"networks", slot<&ForwarderConfig::networks>, {.required = true}, "Where it sends from."},
};

constexpr Key kBayes[] = {
    {"enabled",
     slot<&BayesConfig::enabled>,
     {},
     "Ask the classifier about each message. Until it has learned 50 messages of each class it counts for "
     "nothing."},
    {"table_octets", slot<&BayesConfig::table_octets>, range(64 << 10, 1 << 30),
     "Memory for what is learned, rounded down to a power of two. A classifier that has been trained keeps "
     "its size."},
    {"spam_score", slot<&BayesConfig::spam_score>, scores(),
     "Added where the classifier is certain of spam."},
    {"ham_score", slot<&BayesConfig::ham_score>, scores(),
     "Added where it is certain of the opposite; below 0 it speaks for the message."},
    {"certain_log_odds", slot<&BayesConfig::certain_log_odds>, scores(),
     "Logarithm of the odds from which on it is certain; between this and unsure_log_odds the score grows "
     "evenly."},
    {"unsure_log_odds", slot<&BayesConfig::unsure_log_odds>, scores(),
     "Logarithm of the odds up to which it says nothing."},
};

constexpr Key kAuthentication[] = {
    {"enabled",
     slot<&AuthenticationConfig::enabled>,
     {},
     "Evaluate reverse names, SPF, DKIM, DMARC and ARC, and write Authentication-Results. Not set: true when "
     "dns.resolvers is set, else false, because every message would wait for name servers that this machine "
     "may not reach."},
    {"dmarc_reject",
     slot<&AuthenticationConfig::dmarc_reject>,
     {},
     "Refuse (550 5.7.26) what fails DMARC under p=reject, whatever its score; false: treat it like "
     "p=quarantine."},
    {"dmarc_quarantine",
     slot<&AuthenticationConfig::dmarc_quarantine>,
     {},
     "Quarantine what fails DMARC under p=quarantine, whatever its score; false: the score alone counts."},
    {"trusted_sealers", slot<&AuthenticationConfig::trusted_sealers>, shaped(Shape::domain),
     "Domains of forwarders and mailing lists whose ARC seal (d=) rescues a message that fails DMARC."},
    {"received_spf",
     slot<&AuthenticationConfig::received_spf>,
     {},
     "Whether a Received-SPF field (RFC 7208 §9.1) is written beside Authentication-Results."},
    {"spf_pass_score", slot<&AuthenticationConfig::spf_pass_score>, scores(), "Added when SPF passes."},
    {"spf_fail_score", slot<&AuthenticationConfig::spf_fail_score>, scores(), "Added when SPF fails."},
    {"spf_softfail_score", slot<&AuthenticationConfig::spf_softfail_score>, scores(),
     "Added when SPF fails softly (~all)."},
    {"spf_permerror_score", slot<&AuthenticationConfig::spf_permerror_score>, scores(),
     "Added when the SPF record is broken."},
    {"dkim_valid_score", slot<&AuthenticationConfig::dkim_valid_score>, scores(),
     "Added when a DKIM signature is valid."},
    {"dkim_invalid_score", slot<&AuthenticationConfig::dkim_invalid_score>, scores(),
     "Added when there are DKIM signatures and none is valid."},
    {"dmarc_pass_score", slot<&AuthenticationConfig::dmarc_pass_score>, scores(), "Added when DMARC passes."},
    {"dmarc_fail_none_score", slot<&AuthenticationConfig::dmarc_fail_none_score>, scores(),
     "Added when DMARC fails under p=none."},
    {"dmarc_fail_quarantine_score", slot<&AuthenticationConfig::dmarc_fail_quarantine_score>, scores(),
     "Added when DMARC fails under p=quarantine."},
    {"dmarc_fail_reject_score", slot<&AuthenticationConfig::dmarc_fail_reject_score>, scores(),
     "Added when DMARC fails under p=reject."},
    {"arc_valid_score", slot<&AuthenticationConfig::arc_valid_score>, scores(),
     "Added for a valid ARC chain, whoever sealed it."},
    {"arc_invalid_score", slot<&AuthenticationConfig::arc_invalid_score>, scores(),
     "Added for a broken ARC chain."},
    {"no_reverse_name_score", slot<&AuthenticationConfig::no_reverse_name_score>, scores(),
     "Added when the client has no reverse name that leads back to its address."},
    {"spf_fail", slot<&AuthenticationConfig::spf_fail>, one_of(kScoreOrRefuse),
     "What fails SPF is counted (\"score\"), or each recipient but the postmaster is answered 550 5.7.23 "
     "(\"refuse\"). Forwarders "
     "break SPF."},
    {"no_reverse_name", slot<&AuthenticationConfig::no_reverse_name>, one_of(kScoreOrRefuse),
     "The same for a client without a reverse name that leads back to it (550 5.7.25)."},
    {"multiple_from_score", slot<&AuthenticationConfig::multiple_from_score>, scores(),
     "Added when authors of several domains stand in From, or several From fields: no DMARC policy applies."},
};

constexpr Key kRules[] = {
    {"enabled",
     slot<&RulesConfig::enabled>,
     {},
     "Read rule files and judge what messages say; false: only what other checks find counts, and no "
     "message is taken apart."},
    {"folder", slot<&RulesConfig::folder>, optional(Shape::text),
     "Folder whose files *.rules are read, in the order of their names (filters/rules/README.md has the "
     "language). Empty: \"rules\" beside the manifest, if it is there."},
    {"spamassassin", slot<&RulesConfig::spamassassin>, shaped(Shape::file),
     "Files of SpamAssassin's syntax, such as a local.cf, read after our own; what cannot be taken is a "
     "warning, and `postern rules check` lists it."},
    {"profile", slot<&RulesConfig::profile>, optional(Shape::text),
     "Whose scores count where a rule has several, such as \"strict\". Empty: the rules' first."},
    {"scores", slot<&RulesConfig::scores>, shaped(Shape::points),
     "Points of single rules, instead of their own: { LURE_VERIFY_ACCOUNT = 0.5 }."},
    {"disabled", slot<&RulesConfig::disabled>, shaped(Shape::rule), "Rules that never hold."},
    {"protected_names", slot<&RulesConfig::protected_names>, shaped(Shape::name_owner),
     "Names that strangers borrow in From, and the domain that may use each: { \"Example Bank\" = "
     "\"bank.example\" }. Rules see who else does as from.impersonates."},
    {"cache", slot<&RulesConfig::cache>, optional(Shape::text),
     "Folder where compiled patterns are kept; empty: the store's folder."},
};

constexpr std::string_view kOnIncomplete[] = {"ignore", "tag", "defer"};
constexpr Rule on_incomplete() {
  return {.choices = kOnIncomplete, .may_be_empty = true};
}
constexpr Key kIncomplete[] = {
    {"iprev", slot<&IncompleteConfig::iprev>, on_incomplete(), "The client's reverse name could not be had."},
    {"spf", slot<&IncompleteConfig::spf>, on_incomplete(), "SPF gives temperror."},
    {"dkim", slot<&IncompleteConfig::dkim>, on_incomplete(),
     "No signature is valid, and a key could not be had."},
    {"dmarc", slot<&IncompleteConfig::dmarc>, on_incomplete(),
     "The policy of the author's domain, or what it depends on, could not be had."},
    {"arc", slot<&IncompleteConfig::arc>, on_incomplete(), "The key of a seal could not be had."},
    {"blocklist", slot<&IncompleteConfig::blocklist>, on_incomplete(),
     "A list gave no answer, or one that means nothing."},
    {"local_lists", slot<&IncompleteConfig::local_lists>, on_incomplete(),
     "Whether an allowed sender is who he says could not be found out."},
};

constexpr Key kGreylist[] = {
    {"enabled",
     slot<&GreylistConfig::enabled>,
     {},
     "Ask doubtful clients to come again (450 4.7.1 at RCPT)."},
    {"on_listed", slot<&GreylistConfig::on_listed>, {}, "A client that a [[blocklist]] holds is doubtful."},
    {"on_no_reverse_name",
     slot<&GreylistConfig::on_no_reverse_name>,
     {},
     "One without a reverse name that leads back to it."},
    {"on_spf_softfail", slot<&GreylistConfig::on_spf_softfail>, {}, "One whom SPF fails softly."},
    {"on_spf_fail", slot<&GreylistConfig::on_spf_fail>, {}, "One whom SPF fails."},
    {"on_spf_none", slot<&GreylistConfig::on_spf_none>, {}, "One whose sender has no SPF record."},
    {"delay_s", slot<&GreylistConfig::delay_s>, range(1, 86'400), "Seconds before it may come again."},
    {"window_s", slot<&GreylistConfig::window_s>, range(60, 2'592'000),
     "Seconds within which it must, or its wait begins anew."},
    {"lifetime_days", slot<&GreylistConfig::lifetime_days>, range(1, 3650),
     "Days for which a sender that came again is remembered after its last message: it does not wait any "
     "more."},
    {"entries_max", slot<&GreylistConfig::entries_max>, range(1000, 50'000'000),
     "Senders that are remembered, about 120 octets each; beyond it nobody new is asked to wait."},
};

constexpr Key kLocalList[] = {
    {"clients", slot<&LocalList::clients>, {}, "Networks of clients."},
    {"senders", slot<&LocalList::senders>, shaped(Shape::sender_entry),
     "Senders: an address, \"@domain\", \"@.domain\" (everything below it) or \"<>\"."},
    {"recipients", slot<&LocalList::recipients>, shaped(Shape::recipient_entry),
     "Recipients: an address, \"@domain\" or \"@.domain\" (everything below it)."},
    {"client_files", slot<&LocalList::client_files>, shaped(Shape::file),
     "Files with networks of clients, one a line, \"#\" begins a remark. Read again when they change; "
     "millions of entries are fine."},
    {"sender_files", slot<&LocalList::sender_files>, shaped(Shape::file),
     "Files with senders; a domain alone stands for itself and everything below it."},
    {"recipient_files", slot<&LocalList::recipient_files>, shaped(Shape::file), "Files with recipients."},
};

constexpr Section kProfiles = {
    .name = "filter.profile",
    .doc = "Other thresholds for some recipients.",
    .keys = kProfile,
    .repeated = true,
    .count = [](const Config& config) { return config.filter.profiles.size(); },
    .at = [](Config& config, std::size_t index) -> void* { return &config.filter.profiles[index]; },
    .append = [](Config& config) -> void* { return &config.filter.profiles.emplace_back(); }};

constexpr Section kOverrides = {
    .name = "filter.authentication.override",
    .doc = "Mail that says it is from one domain and fails DMARC.",
    .keys = kOverride,
    .repeated = true,
    .count = [](const Config& config) { return config.filter.authentication.overrides.size(); },
    .at = [](Config& config, std::size_t index) -> void* {
      return &config.filter.authentication.overrides[index];
    },
    .append = [](Config& config) -> void* { return &config.filter.authentication.overrides.emplace_back(); }};

constexpr Section kForwarders = {
    .name = "filter.authentication.forwarder",
    .doc = "A forwarder without ARC whose word counts that a message was authentic when it came there.",
    .keys = kForwarder,
    .repeated = true,
    .count = [](const Config& config) { return config.filter.authentication.forwarders.size(); },
    .at = [](Config& config, std::size_t index) -> void* {
      return &config.filter.authentication.forwarders[index];
    },
    .append = [](Config& config) -> void* {
      return &config.filter.authentication.forwarders.emplace_back();
    }};

constexpr Section kSections[] = {
    one<&Config::filter>("filter", kFilter, "From the score of a message to what becomes of it."),
    kProfiles,
    one<&Config::filter, &FilterConfig::incomplete>(
        "filter.incomplete", kIncomplete,
        "What becomes of a message that a check could not judge, and that would come in: \"ignore\", \"tag\" "
        "or \"defer\" (451). "
        "Empty: as filter.defer_incomplete says. It is never refused for good."),
    one<&Config::filter, &FilterConfig::greylist>("filter.greylist", kGreylist,
                                                  "Greylisting of clients that something speaks against, but "
                                                  "not enough; never of the postmaster's mail, nor of what "
                                                  "[filter.allow] lets in."),
    one<&Config::filter, &FilterConfig::allow>("filter.allow", kLocalList,
                                               "Who is welcome whatever else is said."),
    one<&Config::filter, &FilterConfig::block>("filter.block", kLocalList, "Who is not."),
    one<&Config::filter, &FilterConfig::authentication>(
        "filter.authentication", kAuthentication,
        "Who a message comes from: reverse name, SPF, DKIM, DMARC and ARC, by DNS."),
    kOverrides,
    kForwarders,
    one<&Config::filter, &FilterConfig::rules>(
        "filter.rules", kRules, "What messages say: patterns and facts with scores, from rule files."),
    one<&Config::filter, &FilterConfig::bayes>("filter.bayes", kBayes,
                                               "The classifier that is trained with `postern learn`."),
};

}  // namespace

std::span<const Section> filter_sections() {
  return kSections;
}

}  // namespace postern::config
