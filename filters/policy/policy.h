#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "filters/ip.h"
#include "filters/verdict.h"

namespace postern::filters {

namespace rules {
class RuleSet;
}

/// What becomes of mail from one author domain, and those below it, that fails DMARC, whatever the domain's owner asks for.
struct DmarcOverride {
  enum class Disposition : std::uint8_t {
    accept,  ///< as if nothing had failed
    none,    ///< as under p=none: the score alone counts
    quarantine,
    reject,
  };
  std::string domain;  ///< A-labels, lower case; the most specific one counts
  Disposition disposition = Disposition::none;
  std::string reason;  ///< for the verdict and for aggregate reports
};

/// Who forwards mail without ARC, and whose word that it was authentic on arrival there outweighs a DMARC failure here.
struct TrustedForwarder {
  std::string authserv_id;  ///< lower case
  std::vector<Network> networks;
};

/// What the postmaster decided about the authentication of senders, from [filter.authentication].
struct AuthenticationPolicy {
  bool enabled = false;  ///< false: nothing is evaluated and nothing asked
  /// DMARC: what the owner of the author's domain asks for is done by itself, whatever the score is.
  bool dmarc_reject = true;      ///< p=reject: 550 5.7.26; false: as p=quarantine
  bool dmarc_quarantine = true;  ///< p=quarantine: at least Action::quarantine; false: the score alone counts
  /// d= of ARC seals whose word that a message was authentic on arrival outweighs a DMARC failure; A-labels,
  /// lower case.
  std::vector<std::string> trusted_sealers;
  std::vector<DmarcOverride> overrides;
  std::vector<TrustedForwarder> forwarders;
  double spf_pass_score = 0, spf_fail_score = 3, spf_softfail_score = 1, spf_permerror_score = 0.5;
  double dkim_valid_score = -0.1, dkim_invalid_score = 0.1;
  double dmarc_pass_score = -0.1;
  double dmarc_fail_none_score = 0.5, dmarc_fail_quarantine_score = 3, dmarc_fail_reject_score = 5;
  double arc_valid_score = 0, arc_invalid_score = 0.1;
  double no_reverse_name_score = 1;      ///< the client has no reverse name that leads back to it
  double multiple_from_score = 3;        ///< From names authors of several domains, or stands there twice
  bool spf_fail_refused = false;         ///< at RCPT, 550 5.7.23, whatever the score is
  bool no_reverse_name_refused = false;  ///< at RCPT, 550 5.7.25
};

/// What is looked up in a list: RFC 5782 §2.1 and §2.4, or §2.2.
enum class BlocklistKind : std::uint8_t { ip, domain };

/// One [[blocklist]].
struct Blocklist {
  std::string zone;  ///< normal form of DNS names
  BlocklistKind kind = BlocklistKind::ip;
  /// Answers that mean "listed", and what each says: address text, whose octets may be "*". Empty: 127.0.0.2 (RFC 5782 §2.1).
  std::map<std::string, std::string> answers;
  double score = 0;  ///< negative: an allow list
  /// Of an allow list of domains: whether an entry counts even where nothing shows that the domain is who sends.
  bool forced = false;
};

/// Which clients are doubtful enough to be asked to come again, from [filter.greylist].
struct GreylistPolicy {
  bool enabled = false;
  bool on_listed = true;           ///< a blocklist holds the client, and not enough of them to refuse it
  bool on_no_reverse_name = true;  ///< no reverse name that leads back
  bool on_spf_softfail = true;
  bool on_spf_fail = true;
  bool on_spf_none = false;  ///< the sender's domain has no SPF record
};

/// What the classifier's opinion weighs, from [filter.bayes].
struct BayesPolicy {
  bool enabled = false;  ///< false: it is not asked
  double spam_score = 6, ham_score = -3;
  double certain_log_odds = 7;   ///< from here on the whole score
  double unsure_log_odds = 0.5;  ///< up to here none of it
};

/// Thresholds for some recipients, from [[filter.profile]].
struct Profile {
  std::string name;
  double reject_score = 15.0;
  double quarantine_score = 10.0;
  double tag_score = 5.0;
  double discard_score = 0;  ///< 0: never
  Quarantine quarantine = Quarantine::automatic;
  std::string subject_tag;
};

/// What the postmaster decided about findings, from the manifest's [filter]. A value; shared immutably by all
/// cores.
struct Policy {
  bool enabled = true;  ///< false: only what protects the system itself (mail loops) is judged
  double reject_score = 15.0;
  double quarantine_score = 10.0;
  double tag_score = 5.0;
  /// From here on it is accepted and thrown away. 0: never, and so it is unless the manifest says otherwise.
  double discard_score = 0;
  Quarantine quarantine = Quarantine::automatic;
  std::string subject_tag;  ///< put in front of Subject of what is marked; empty: nothing
  std::vector<Profile> profiles;
  /// Whose profile is which, by index: an address, "@domain", or "@.domain" for all below it, in lower case and A-labels. The most
  /// specific entry holds; who has none has the thresholds above.
  std::map<std::string, std::size_t, std::less<>> profile_of;
  /// RFC 5321 §6.3: more Received fields than this is a loop → 554 5.4.6.
  std::size_t received_hops_max = 100;
  /// Whether any local list has entries of the kind; where none has, the question is not asked.
  bool has_client_list = false;
  bool has_sender_list = false;
  bool has_recipient_list = false;
  double allow_score = -100.0;  ///< an entry of a local allow list
  double block_score = 100.0;   ///< an entry of a local block list
  /// Whether an allowed sender counts where SPF, DKIM and DMARC were evaluated and none shows that it is him.
  bool allow_unauthenticated = false;
  /// What an incomplete verdict means that would let the message in, where `incomplete` does not name the check: false: in it goes;
  /// true: 451, try again.
  bool defer_incomplete = false;
  /// The same by check, the word in front of the colon in Verdict.incomplete: accept, tag or defer.
  std::map<std::string, Action, std::less<>> incomplete;
  AuthenticationPolicy authentication;
  GreylistPolicy greylist;
  std::vector<Blocklist> blocklists;
  /// Compiled once and large, therefore shared by every copy of the policy; null: no rules.
  std::shared_ptr<const rules::RuleSet> rules;
  /// The sum of blocklists' scores (allow lists and local allow entries included) from which they refuse by themselves: at RCPT,
  /// 554 5.7.1.
  double blocklist_reject_score = 15.0;
  bool blocklists_probed = false;  ///< somebody can answer QuestionKind::list_health
  BayesPolicy bayes;
};

}  // namespace postern::filters
