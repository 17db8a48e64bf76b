#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/ip.h"

namespace postern::config {

/// The manifest as values, defaults filled in, checked as far as one file can be checked. Paths are absolute
/// (relative ones are taken from the manifest's folder). Names of members are the keys' names.

enum class Service : std::uint8_t { mx, submission, submissions, lmtp };
std::string_view to_string(Service service);

struct StoreConfig {
  std::filesystem::path path;
  std::uint64_t queue_octets_max = 256ULL << 20;
  std::uint32_t queue_transactions_max = 4096;
  std::uint32_t gather_us = 1000;  ///< see storage::Options::gather_time
  std::uint64_t memtable_octets = 32ULL << 20;
  std::uint64_t block_cache_octets = 64ULL << 20;
  std::uint64_t free_octets_min = 256ULL << 20;  ///< below: MAIL answers 452 4.3.1
  std::uint64_t refusals_octets_max = 64ULL << 20;
  std::uint32_t refusals_days_max = 30, dmarc_days_max = 30, dmarc_rows_per_day_max = 100'000;
  std::uint64_t quarantine_octets_max = 4ULL << 30;
  std::uint32_t quarantine_days_max = 30;
  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

struct ControlConfig {
  std::filesystem::path socket;
  friend bool operator==(const ControlConfig&, const ControlConfig&) = default;
};

struct MetricsConfig {
  std::string listen;  ///< "IP:PORT"; empty: off
  friend bool operator==(const MetricsConfig&, const MetricsConfig&) = default;
};

struct LogConfig {
  std::filesystem::path file;  ///< empty: standard error
  std::string level = "info";
  bool addresses = true;  ///< false: senders and recipients are logged as salted hashes
  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

struct DnsConfig {
  std::vector<std::string> resolvers;
  std::string dnssec;  ///< validate | trust | off; empty: by resolvers
  std::uint32_t timeout_ms = 2000;
  std::uint32_t budget_ms = 5000;  ///< what one message may wait for answers in all
  friend bool operator==(const DnsConfig&, const DnsConfig&) = default;
};

struct ListenerConfig {
  std::string address;  ///< "IP:PORT", "[IP6]:PORT", "unix:/path"
  Service service = Service::mx;
  bool implicit_tls = false;  ///< true by default for submissions
  std::vector<filters::Network> proxy_protocol_from;
  std::vector<filters::Network> xclient_from;
  friend bool operator==(const ListenerConfig&, const ListenerConfig&) = default;
};

struct CertificateConfig {
  std::filesystem::path certificate, key;
  friend bool operator==(const CertificateConfig&, const CertificateConfig&) = default;
};

struct TlsConfig {
  /// The first serves clients without SNI; more by [[tls.certificates]]. Empty: a self-signed one is made in
  /// the store folder.
  std::vector<CertificateConfig> certificates;
  bool enabled = true;    ///< offer STARTTLS
  bool required = false;  ///< MAIL before STARTTLS answers 530
  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

struct SmtpConfig {
  std::string bare_line_endings = "reject";                ///< reject | normalize
  std::vector<filters::Network> bare_line_endings_exempt;  ///< these may send them: normalised
  std::uint32_t greeting_delay_ms = 0;  ///< wait before 220; who speaks meanwhile is an early talker
  std::string early_talker = "note";    ///< note | reject (554 5.5.0 at connect)
  std::vector<filters::Network> greeting_delay_exempt;
  friend bool operator==(const SmtpConfig&, const SmtpConfig&) = default;
};

struct LimitsConfig {
  std::uint64_t message_octets_max = 26'214'400;
  std::uint32_t recipients_max = 1000;
  std::uint32_t connections_max = 50'000;
  std::uint32_t connections_per_network_max = 200;
  std::vector<filters::Network> unlimited_from;       ///< default 127.0.0.0/8 and ::1
  std::uint64_t body_memory_octets_max = 1ULL << 30;  ///< bodies of all sessions together
  std::uint32_t command_octets_max = 2048;
  std::uint32_t errors_max = 20;
  std::uint32_t commands_max = 10'000;
  std::uint32_t idle_commands_max = 100;
  std::uint32_t transactions_max = 10'000;
  std::uint32_t command_timeout_s = 300;
  std::uint32_t data_timeout_s = 180;
  std::uint32_t session_timeout_s = 7200;
  std::uint32_t drain_s = 30;  ///< grace of an orderly shutdown
  std::uint32_t handshakes_per_turn_max = 8;
  std::uint64_t analysis_inline_octets_max = 262'144;  ///< larger messages are analysed on a worker
  friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

struct BlocklistConfig {
  std::string zone, kind;
  std::vector<std::pair<std::string, std::string>> answers;
  double score = 0;
  bool forced = false;  ///< of an allow list of domains: counts without an authenticated identity
  friend bool operator==(const BlocklistConfig&, const BlocklistConfig&) = default;
};

struct DomainConfig {
  std::string name;                     ///< lower case; U-labels are kept, A-labels matched as well
  std::string deliver = "mailbox";      ///< mailbox | relay
  std::string recipients = "accounts";  ///< accounts | any | file=PATH; of a relayed domain by default any
  std::string catch_all;                ///< address of an account; empty: none
  std::vector<std::string> to;          ///< targets (target.h) of a relayed domain, in normal form
  std::string tls = "may";              ///< none | may | encrypt | verify
  std::vector<std::string> tls_names;   ///< for verify, instead of the target's own name
  std::string source;                   ///< IP we connect from; empty: the system's choice
  friend bool operator==(const DomainConfig&, const DomainConfig&) = default;
};

/// [relay]: mail of ours to domains that are not ours.
struct RelayConfig {
  std::vector<std::string> to;  ///< smarthosts; empty: the MX hosts of each domain
  std::string tls = "may";
  std::vector<std::string> tls_names;
  std::string source;
  std::string user;
  std::filesystem::path password_file;
  friend bool operator==(const RelayConfig&, const RelayConfig&) = default;
};

/// [queue]
struct QueueConfig {
  std::uint32_t retry_first_s = 300, retry_max_s = 14'400;
  double retry_factor = 2, retry_jitter = 0.2;
  std::uint32_t expire_s = 432'000;         ///< RFC 5321 §4.5.4.1: at least 4 to 5 days
  std::uint32_t report_expire_s = 172'800;  ///< of reports
  std::uint32_t warn_s = 14'400;            ///< a delay report after so long, where one was asked for
  std::uint32_t connections_max = 1000;
  std::uint32_t connections_per_destination_max = 20;
  std::uint32_t messages_per_connection_max = 100;
  std::uint64_t memory_octets_max = 256ULL << 20;
  std::uint64_t small_octets_max = 65'536;
  std::uint32_t keep_outcomes_s = 604'800;
  friend bool operator==(const QueueConfig&, const QueueConfig&) = default;
};

/// [submission]: mail of our own users, by AUTH.
struct SubmissionConfig {
  std::filesystem::path credentials;         ///< written by `postern account passwd`
  std::uint32_t password_failures_max = 10;  ///< by client network, and by account, in a quarter of an hour
  std::uint32_t recipients_per_hour_max = 1000;
  friend bool operator==(const SubmissionConfig&, const SubmissionConfig&) = default;
};

/// [[signing]]: DKIM signatures on outgoing mail of a domain.
struct SigningConfig {
  std::string domain, selector;
  std::filesystem::path key;
  friend bool operator==(const SigningConfig&, const SigningConfig&) = default;
};

struct AccountConfig {
  std::string address;               ///< normal form
  std::vector<std::string> aliases;  ///< normal form; an address of ours
  std::uint64_t quota_octets = 0;    ///< 0: none
  friend bool operator==(const AccountConfig&, const AccountConfig&) = default;
};

/// A local list. Entries: networks for clients; for senders and recipients an address, "@domain" (that
/// domain), "@.domain" (below it) or "<>".
struct LocalList {
  std::vector<filters::Network> clients;
  std::vector<std::string> senders, recipients;
  /// Files of more entries, one a line; "domain" alone there: it and all below it.
  std::vector<std::string> client_files, sender_files, recipient_files;
  friend bool operator==(const LocalList&, const LocalList&) = default;
};

/// [[filter.authentication.override]]
struct OverrideConfig {
  std::string domain, disposition, reason = "local policy";
  friend bool operator==(const OverrideConfig&, const OverrideConfig&) = default;
};

/// [[filter.authentication.forwarder]]
struct ForwarderConfig {
  std::string authserv_id;
  std::vector<filters::Network> networks;
  friend bool operator==(const ForwarderConfig&, const ForwarderConfig&) = default;
};

/// [filter.authentication]
struct AuthenticationConfig {
  bool enabled = false;  ///< when the manifest does not say: whether dns.resolvers are set
  bool dmarc_reject = true, dmarc_quarantine = true;
  std::vector<std::string> trusted_sealers;
  bool received_spf = false;
  std::vector<OverrideConfig> overrides;
  std::vector<ForwarderConfig> forwarders;
  double spf_pass_score = 0, spf_fail_score = 3, spf_softfail_score = 1, spf_permerror_score = 0.5;
  double dkim_valid_score = -0.1, dkim_invalid_score = 0.1;
  double dmarc_pass_score = -0.1;
  double dmarc_fail_none_score = 0.5, dmarc_fail_quarantine_score = 3, dmarc_fail_reject_score = 5;
  double arc_valid_score = 0, arc_invalid_score = 0.1;
  double no_reverse_name_score = 1, multiple_from_score = 3;
  std::string spf_fail = "score", no_reverse_name = "score";  ///< score | refuse, at RCPT
  friend bool operator==(const AuthenticationConfig&, const AuthenticationConfig&) = default;
};

/// [filter.rules]
struct RulesConfig {
  bool enabled = true;
  std::filesystem::path folder;           ///< empty: "rules" beside the manifest, where it is there
  std::vector<std::string> spamassassin;  ///< files of SpamAssassin's syntax, absolute
  std::string profile;                    ///< whose scores; empty: the rules' first
  std::vector<std::pair<std::string, std::string>> scores;  ///< rule → points, as text
  std::vector<std::string> disabled;
  std::vector<std::pair<std::string, std::string>> protected_names;  ///< name → domain it belongs to
  std::filesystem::path cache;  ///< folder of compiled patterns; empty: the store's
  friend bool operator==(const RulesConfig&, const RulesConfig&) = default;
};

/// [filter.incomplete]: ignore | tag | defer, by check; empty: as filter.defer_incomplete says.
struct IncompleteConfig {
  std::string iprev, spf, dkim, dmarc, arc, blocklist, local_lists;
  friend bool operator==(const IncompleteConfig&, const IncompleteConfig&) = default;
};

/// [filter.greylist]
struct GreylistConfig {
  bool enabled = false;
  bool on_listed = true, on_no_reverse_name = true, on_spf_softfail = true, on_spf_fail = true,
       on_spf_none = false;
  std::uint32_t delay_s = 300, window_s = 86'400, lifetime_days = 36, entries_max = 1'000'000;
  friend bool operator==(const GreylistConfig&, const GreylistConfig&) = default;
};

/// [filter.bayes]
struct BayesConfig {
  bool enabled = true;
  std::uint64_t table_octets = 64ULL << 20;
  double spam_score = 6.0, ham_score = -3.0;  ///< at certainty
  double certain_log_odds = 7.0;              ///< from where on an opinion counts as certain
  double unsure_log_odds = 0.5;               ///< up to where it counts for nothing
  friend bool operator==(const BayesConfig&, const BayesConfig&) = default;
};

/// [[filter.profile]]
struct ProfileConfig {
  std::string name;
  std::vector<std::string> recipients;  ///< addresses, "@domain", "@.domain"
  /// Those of [filter] where the manifest does not say.
  double reject_score = 15.0, quarantine_score = 10.0, tag_score = 5.0, discard_score = 0;
  std::string quarantine = "auto", subject_tag;
  friend bool operator==(const ProfileConfig&, const ProfileConfig&) = default;
};

struct FilterConfig {
  bool enabled = true;
  double reject_score = 15.0, quarantine_score = 10.0, tag_score = 5.0;
  double allow_score = -100.0, block_score = 100.0;
  double blocklist_reject_score = 15.0;    ///< when the manifest does not say: reject_score
  std::uint32_t blocklist_probe_s = 3600;  ///< between two trials of a list; 0: none
  bool allow_unauthenticated = false;
  bool defer_incomplete = false;
  std::uint32_t received_hops_max = 100;
  double discard_score = 0;         ///< 0: never
  std::string quarantine = "auto";  ///< auto | junk | store
  std::string subject_tag;          ///< empty: Subject stays as it is
  std::vector<ProfileConfig> profiles;
  IncompleteConfig incomplete;
  GreylistConfig greylist;
  LocalList allow, block;  ///< [filter.allow], [filter.block]
  AuthenticationConfig authentication;
  RulesConfig rules;
  BayesConfig bayes;
  friend bool operator==(const FilterConfig&, const FilterConfig&) = default;
};

struct Config {
  std::filesystem::path file;  ///< the manifest
  std::string hostname;
  std::uint32_t cores = 0;  ///< 0: all
  bool pin_cores = false;
  bool spread_evenly = false;  ///< new connections go to all cores alike, not to as few as the load needs
  std::uint32_t workers = 2;   ///< worker threads
  std::string postmaster;  ///< where <Postmaster> and postmaster@ of each domain go; empty: the first account
  std::string over_quota = "defer";  ///< defer (452 4.2.2) | refuse (552 5.2.2), at RCPT
  StoreConfig store;
  ControlConfig control;
  MetricsConfig metrics;
  LogConfig log;
  DnsConfig dns;
  std::vector<ListenerConfig> listeners;
  TlsConfig tls;
  SmtpConfig smtp;
  LimitsConfig limits;
  std::vector<BlocklistConfig> blocklists;
  std::vector<DomainConfig> domains;
  std::vector<AccountConfig> accounts;
  RelayConfig relay;
  QueueConfig queue;
  SubmissionConfig submission;
  std::vector<SigningConfig> signing;
  FilterConfig filter;
  friend bool operator==(const Config&, const Config&) = default;
};

/// One mistake; printed as "FILE:LINE: key: what is wrong". Line 0: the file as a whole.
struct Problem {
  std::filesystem::path file;
  unsigned line = 0;
  std::string key;  ///< "limits.recipients_max", "listener[2].address" (the third listener)
  std::string what;
  std::string text() const;  ///< one line; control characters of the manifest do not get through
};

struct Loaded {
  Config config;                  ///< meaningful when there are no problems
  std::vector<Problem> problems;  ///< all of them, not the first
  std::vector<Problem> warnings;  ///< allowed, but the postmaster should know
  /// Which keys the manifest set, for dump(); packed as places.h says.
  std::vector<std::uint64_t> given;
};

/// Reads, types and checks a manifest: unknown keys, wrong types, values out of range, references to accounts
/// and domains that do not exist, duplicates. Opens nothing but the manifest itself (at most
/// kManifestOctetsMax).
inline constexpr std::size_t kManifestOctetsMax = 64U << 20;
/// More mistakes than this are counted, not listed.
inline constexpr std::size_t kProblemsMax = 10'000;
Loaded load(const std::filesystem::path& file);
/// The same for a text; `file` names it in problems and is the base of relative paths.
Loaded parse(std::string_view text, const std::filesystem::path& file);

/// The effective configuration as TOML that load() takes again: every key with its documentation as a
/// comment, and "# default" behind each value that the manifest did not set.
std::string dump(const Loaded& loaded);
/// The reference of all keys (name, type, default, range, meaning), for `config keys` and the README;
/// Markdown.
std::string reference();

}  // namespace postern::config
