#include "gateway/config/schema.h"

#include <algorithm>
#include <vector>

#include "gateway/config/keys.h"

namespace postern::config {
namespace {

/// [tls] certificate and key are the first of the list; [[tls.certificates]] are the others.
template <auto Part>
Slot first_certificate(void* section) {
  auto& list = static_cast<TlsConfig*>(section)->certificates;
  if (list.empty()) list.emplace_back();
  return &(list.front().*Part);
}

constexpr std::string_view kOverQuota[] = {"defer", "refuse"};
constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kDnssec[] = {"validate", "trust", "off"};
constexpr std::string_view kServices[] = {"mx", "submission", "submissions", "lmtp"};
constexpr std::string_view kBareLineEndings[] = {"reject", "normalize"};
constexpr std::string_view kEarlyTalker[] = {"note", "reject"};
constexpr std::string_view kBlocklistKinds[] = {"ip", "domain", "url", "hash"};
constexpr std::string_view kDeliver[] = {"mailbox", "relay"};
constexpr std::string_view kTlsPolicies[] = {"none", "may", "encrypt", "verify"};

constexpr Key kTop[] = {
    {"hostname", slot<&Config::hostname>, required(Shape::hostname),
     "The name of this server: in the greeting, in Received and Authentication-Results fields. It should "
     "resolve to this "
     "machine and back."},
    {"cores", slot<&Config::cores>, range(0, 64), "How many cores run a reactor; 0: all of them."},
    {"pin_cores",
     slot<&Config::pin_cores>,
     {},
     "Tie each reactor to its core. For machines that do nothing else."},
    {"spread_evenly",
     slot<&Config::spread_evenly>,
     {},
     "New connections go to all cores alike. Otherwise to as few cores as the load needs, which is cheaper: "
     "a core with little to "
     "do is woken for every packet."},
    {"workers", slot<&Config::workers>, range(1, 256),
     "Threads for what must not hold up a reactor: analysis of large messages, reads of the store."},
    {"postmaster", slot<&Config::postmaster>, optional(Shape::mailbox),
     "The account that receives mail for <Postmaster> and for postmaster@ of every domain (RFC 5321 §4.5.1). "
     "Empty: the "
     "first account."},
    {"over_quota", slot<&Config::over_quota>, one_of(kOverQuota),
     "Answer at RCPT when a mailbox is full: \"defer\" (452 4.2.2, the client tries again) or \"refuse\" "
     "(552 5.2.2)."},
};

constexpr Key kStore[] = {
    {"path",
     slot<&StoreConfig::path>,
     {.shape = Shape::text},
     "Folder of the database.",
     "/var/lib/postern/store"},
    {"queue_octets_max", slot<&StoreConfig::queue_octets_max>, octets(1 << 16),
     "Octets of messages that may wait for the commit thread; beyond it MAIL answers 4xx."},
    {"queue_transactions_max", slot<&StoreConfig::queue_transactions_max>, range(1, 1'000'000),
     "Messages that may wait for the commit thread."},
    {"gather_us", slot<&StoreConfig::gather_us>, range(0, 100'000),
     "Microseconds that a message waits for others to be synced with, when so many arrive that some will "
     "come; 0: never. More is "
     "cheaper, and later."},
    {"memtable_octets", slot<&StoreConfig::memtable_octets>, octets(1 << 20),
     "Memory for recent writes of each column family before they go to table files."},
    {"block_cache_octets", slot<&StoreConfig::block_cache_octets>, octets(1 << 20),
     "Memory for table blocks read."},
    {"free_octets_min", slot<&StoreConfig::free_octets_min>, octets(0),
     "Free space of the file system below which MAIL answers 452 4.3.1."},
    {"refusals_octets_max", slot<&StoreConfig::refusals_octets_max>, octets(0),
     "Why messages were refused at the end of their data is kept for `explain`, as far as it fits in here; "
     "the oldest go first."},
    {"refusals_days_max", slot<&StoreConfig::refusals_days_max>, range(1, 3650), "And so long at most."},
    {"quarantine_octets_max", slot<&StoreConfig::quarantine_octets_max>, octets(0),
     "The quarantine keeps messages as far as they fit in here, each recipient's copy counted; the oldest go "
     "first."},
    {"quarantine_days_max", slot<&StoreConfig::quarantine_days_max>, range(1, 3650), "And so long at most."},
    {"dmarc_days_max", slot<&StoreConfig::dmarc_days_max>, range(1, 3650),
     "Days for which the counters of DMARC aggregate reports are kept."},
    {"dmarc_rows_per_day_max", slot<&StoreConfig::dmarc_rows_per_day_max>, range(1, 10'000'000),
     "Rows of these counters in one day; what would need one more is counted in a row of its own."},
};

constexpr Key kControl[] = {
    {"socket", slot<&ControlConfig::socket>, shaped(Shape::socket_path),
     "Unix socket of the admin API, which the command line uses.", "/run/postern/control.sock"},
};

constexpr Key kMetrics[] = {
    {"listen", slot<&MetricsConfig::listen>, optional(Shape::endpoint),
     "Where /metrics, /healthz and /readyz are served; there is no password, so keep it on loopback. Empty: "
     "nowhere.",
     "127.0.0.1:9125"},
};

constexpr Key kLog[] = {
    {"file", slot<&LogConfig::file>, optional(Shape::text),
     "File for the log's JSON lines, opened anew at SIGHUP. Empty: standard error."},
    {"level", slot<&LogConfig::level>, one_of(kLevels), "The least level that is written."},
    {"addresses",
     slot<&LogConfig::addresses>,
     {},
     "Write senders and recipients as they are; false: as salted hashes."},
};

constexpr Key kDns[] = {
    {"resolvers", slot<&DnsConfig::resolvers>, shaped(Shape::resolver),
     "Resolvers to forward to, IP:PORT. Empty: recurse ourselves."},
    {"dnssec",
     slot<&DnsConfig::dnssec>,
     {.choices = kDnssec, .may_be_empty = true},
     "\"validate\", \"trust\" (the resolver's AD flag; treated as \"off\" in this version) or \"off\". "
     "Empty: "
     "validate when recursing, off with resolvers."},
    {"timeout_ms", slot<&DnsConfig::timeout_ms>, range(10, 60'000), "Milliseconds for one answer."},
    {"budget_ms", slot<&DnsConfig::budget_ms>, range(10, 600'000),
     "Milliseconds that one message may wait for answers in all; what has not come by then is incomplete, "
     "see "
     "[filter.incomplete]."},
};

constexpr Key kListener[] = {
    {"address", slot<&ListenerConfig::address>, required(Shape::listener),
     "IP:PORT, [IP6]:PORT or unix:PATH. Port 0: the kernel picks one, and the log says which."},
    {"service", slot<&ListenerConfig::service>, one_of(kServices),
     "\"mx\": SMTP from the internet. \"submission\" (STARTTLS) and \"submissions\" (TLS at once): mail of "
     "our own users, "
     "by AUTH. \"lmtp\": RFC 2033, one reply per recipient."},
    {"implicit_tls",
     slot<&ListenerConfig::implicit_tls>,
     {},
     "TLS from the first octet instead of STARTTLS."},
    {"proxy_protocol_from",
     slot<&ListenerConfig::proxy_protocol_from>,
     {},
     "Networks of load balancers: they must send a PROXY header (version 1 or 2), which is believed."},
    {"xclient_from", slot<&ListenerConfig::xclient_from>, {}, "Networks that may use XCLIENT."},
};

constexpr Key kTls[] = {
    {"enabled", slot<&TlsConfig::enabled>, {}, "Offer STARTTLS."},
    {"required",
     slot<&TlsConfig::required>,
     {},
     "Refuse MAIL before STARTTLS with 530. RFC 3207 §4 forbids it for a public MX."},
    {"certificate", first_certificate<&CertificateConfig::certificate>, optional(Shape::text),
     "PEM file with the certificate and its chain. Empty: a self-signed one is made in the store folder."},
    {"key", first_certificate<&CertificateConfig::key>, optional(Shape::text),
     "PEM file with the private key."},
};

constexpr Key kCertificate[] = {
    {"certificate", slot<&CertificateConfig::certificate>, required(Shape::text),
     "PEM file with the certificate and its chain."},
    {"key", slot<&CertificateConfig::key>, required(Shape::text), "PEM file with the private key."},
};

constexpr Key kSmtp[] = {
    {"bare_line_endings", slot<&SmtpConfig::bare_line_endings>, one_of(kBareLineEndings),
     "A message with a CR or LF alone: \"reject\" it (550 5.6.11) or \"normalize\" it before anything looks "
     "at it."},
    {"bare_line_endings_exempt",
     slot<&SmtpConfig::bare_line_endings_exempt>,
     {},
     "Networks whose bare line endings are normalized whatever the line above says: printers, scanners."},
    {"greeting_delay_ms", slot<&SmtpConfig::greeting_delay_ms>, range(0, 60'000),
     "Milliseconds before the greeting; a client that speaks meanwhile is an early talker."},
    {"early_talker", slot<&SmtpConfig::early_talker>, one_of(kEarlyTalker),
     "\"note\" an early talker for the judgement, or \"reject\" it with 554."},
    {"greeting_delay_exempt",
     slot<&SmtpConfig::greeting_delay_exempt>,
     {},
     "Networks that are greeted at once."},
};

constexpr Key kLimits[] = {
    {"message_octets_max", slot<&LimitsConfig::message_octets_max>, octets(1024),
     "The largest message, announced by SIZE (RFC 1870)."},
    {"recipients_max", slot<&LimitsConfig::recipients_max>, range(1, 100'000),
     "Recipients of one message; RFC 5321 §4.5.3.1.8 asks for at least 100. Beyond it RCPT answers 452."},
    {"connections_max", slot<&LimitsConfig::connections_max>, range(1, 10'000'000),
     "Connections at the same time."},
    {"connections_per_network_max", slot<&LimitsConfig::connections_per_network_max>, range(1, 10'000'000),
     "Connections at the same time from one IPv4 address or one IPv6 /64."},
    {"unlimited_from",
     slot<&LimitsConfig::unlimited_from>,
     {},
     "Networks that the limits per client do not count.",
     "127.0.0.0/8 ::1/128"},
    {"body_memory_octets_max", slot<&LimitsConfig::body_memory_octets_max>, octets(1 << 16),
     "Memory for the bodies of all sessions together; beyond it DATA answers 4xx."},
    {"command_octets_max", slot<&LimitsConfig::command_octets_max>, range(512, 1 << 20),
     "The longest command line with its CRLF; at least 512 (RFC 5321 §4.5.3.1.4)."},
    {"errors_max", slot<&LimitsConfig::errors_max>, range(1, 1'000'000),
     "Refused commands in one session before 421 and the end."},
    {"commands_max", slot<&LimitsConfig::commands_max>, range(10, kMaxU32), "Commands in one session."},
    {"idle_commands_max", slot<&LimitsConfig::idle_commands_max>, range(1, kMaxU32),
     "Commands between two transactions that do nothing: NOOP, RSET, VRFY, HELP."},
    {"transactions_max", slot<&LimitsConfig::transactions_max>, range(1, kMaxU32),
     "Messages in one session."},
    {"command_timeout_s", slot<&LimitsConfig::command_timeout_s>, seconds(),
     "Seconds for the next command; RFC 5321 §4.5.3.2.7 asks for 300."},
    {"data_timeout_s", slot<&LimitsConfig::data_timeout_s>, seconds(),
     "Seconds between two pieces of a message."},
    {"session_timeout_s", slot<&LimitsConfig::session_timeout_s>, range(1, 604'800),
     "Seconds for one session."},
    {"drain_s", slot<&LimitsConfig::drain_s>, range(0, 3600),
     "Seconds that sessions get to end when the server is stopped."},
    {"handshakes_per_turn_max", slot<&LimitsConfig::handshakes_per_turn_max>, range(1, 1000),
     "TLS handshakes that one core advances before it looks after other sessions again."},
    {"analysis_inline_octets_max", slot<&LimitsConfig::analysis_inline_octets_max>, octets(0),
     "Larger messages are analysed on a worker thread."},
};

constexpr Key kBlocklist[] = {
    {"zone", slot<&BlocklistConfig::zone>, required(Shape::ascii_domain), "The list's DNS zone."},
    {"kind",
     slot<&BlocklistConfig::kind>,
     {.choices = kBlocklistKinds, .required = true},
     "What is looked up: \"ip\" (the client), \"domain\" (those of HELO, MAIL FROM, the reverse name, From "
     "and "
     "Reply-To), \"url\" or \"hash\"."},
    {"answers", slot<&BlocklistConfig::answers>, shaped(Shape::answers),
     "Answers of the list and what they mean, an octet of which may be \"*\"; any other answer is unknown, "
     "never "
     "listed. Empty: 127.0.0.2 alone means listed."},
    {"score", slot<&BlocklistConfig::score>, scores(),
     "Added to the score of a listed message. Negative: an allow list."},
    {"forced",
     slot<&BlocklistConfig::forced>,
     {},
     "An allow list of domains counts although nothing (SPF, DKIM, reverse name) shows that the domain is "
     "the sender's."},
};

constexpr Key kDomain[] = {
    {"name", slot<&DomainConfig::name>, required(Shape::domain), "A domain that mail is accepted for."},
    {"deliver", slot<&DomainConfig::deliver>, one_of(kDeliver),
     "Where its mail goes: \"mailbox\", into the store, or \"relay\", by the queue to the hosts of `to`. An "
     "account in a relayed domain keeps its mailbox here."},
    {"recipients", slot<&DomainConfig::recipients>, shaped(Shape::recipients),
     "Who receives: \"accounts\", only accounts and their aliases; \"any\": a mailbox is made at the first "
     "message; \"file=PATH\": the addresses or local parts in that file, one a line. Relayed domains: "
     "\"any\" "
     "(not set) or \"file=PATH\"."},
    {"to", slot<&DomainConfig::to>, shaped(Shape::target),
     "The next hops of a relayed domain, tried in this order: HOST:PORT, IP:PORT, [IP6]:PORT, mx:DOMAIN, "
     "each "
     "with \"lmtp:\" in front for LMTP, or lmtp:unix:PATH. Behind it may stand \"priority=N\" (less is "
     "first; "
     "without it the place in the list) and \"weight=N\" (among equal ones)."},
    {"tls", slot<&DomainConfig::tls>, one_of(kTlsPolicies),
     "Encryption towards them: \"none\", \"may\" (where they offer it), \"encrypt\" (or wait) or \"verify\" "
     "(a "
     "certificate with the right name)."},
    {"tls_names", slot<&DomainConfig::tls_names>, shaped(Shape::ascii_domain),
     "Names that \"verify\" accepts instead of the host's own."},
    {"source", slot<&DomainConfig::source>, optional(Shape::ip),
     "The address of this machine to connect from. Empty: the system chooses."},
    {"catch_all", slot<&DomainConfig::catch_all>, optional(Shape::mailbox),
     "The account that receives what nobody else does. Empty: none."},
};

constexpr Key kAccount[] = {
    {"address", slot<&AccountConfig::address>, required(Shape::mailbox),
     "The mailbox; its domain is a [[domain]]."},
    {"aliases", slot<&AccountConfig::aliases>, shaped(Shape::mailbox), "Other addresses of this mailbox."},
    {"quota_octets", slot<&AccountConfig::quota_octets>, octets(0), "How much it may hold; 0: no bound."},
};

constexpr Key kRelay[] = {
    {"to", slot<&RelayConfig::to>, shaped(Shape::target),
     "Smarthosts, written as in [[domain]]. Empty: the MX hosts of each domain (RFC 5321 §5.1)."},
    {"tls", slot<&RelayConfig::tls>, one_of(kTlsPolicies), "As in [[domain]]."},
    {"tls_names", slot<&RelayConfig::tls_names>, shaped(Shape::ascii_domain), "As in [[domain]]."},
    {"source", slot<&RelayConfig::source>, optional(Shape::ip), "As in [[domain]]."},
    {"user", slot<&RelayConfig::user>, optional(Shape::text),
     "Name for AUTH at the smarthosts, under TLS only. Empty: no AUTH."},
    {"password_file", slot<&RelayConfig::password_file>, optional(Shape::text),
     "File with its password in the first line."},
};

constexpr Key kQueue[] = {
    {"retry_first_s", slot<&QueueConfig::retry_first_s>, range(1, 86'400),
     "Seconds after the first attempt that failed for a time."},
    {"retry_max_s", slot<&QueueConfig::retry_max_s>, range(1, 604'800), "The longest wait between two."},
    {"retry_factor", slot<&QueueConfig::retry_factor>, range(1, 10), "By how much each wait grows."},
    {"retry_jitter", slot<&QueueConfig::retry_jitter>, range(0, 1),
     "The share of a wait that chance takes or adds, so that not all come back at once."},
    {"expire_s", slot<&QueueConfig::expire_s>, range(60, 31'536'000),
     "Seconds after which a message that could not be handed on is given up, and its sender told; RFC 5321 "
     "§4.5.4.1 asks for 4 to 5 days."},
    {"report_expire_s", slot<&QueueConfig::report_expire_s>, range(60, 31'536'000),
     "The same for delivery reports, which nobody is told about."},
    {"warn_s", slot<&QueueConfig::warn_s>, range(60, 31'536'000),
     "Seconds after which a sender who asked for it (NOTIFY=DELAY) hears that the message still waits."},
    {"connections_max", slot<&QueueConfig::connections_max>, range(1, 100'000),
     "Outbound connections at the same time."},
    {"connections_per_destination_max", slot<&QueueConfig::connections_per_destination_max>, range(1, 10'000),
     "Of them to one destination; it begins with few and grows with success."},
    {"messages_per_connection_max", slot<&QueueConfig::messages_per_connection_max>, range(1, 1'000'000),
     "Messages on one connection."},
    {"memory_octets_max", slot<&QueueConfig::memory_octets_max>, octets(1 << 20),
     "Memory for messages that are being sent; the others wait on disk."},
    {"small_octets_max", slot<&QueueConfig::small_octets_max>, octets(0),
     "Messages up to this size, and reports, go before larger ones to the same destination."},
    {"keep_outcomes_s", slot<&QueueConfig::keep_outcomes_s>, range(0, 31'536'000),
     "Seconds for which `postern explain` knows what became of a relayed message, from its acceptance on."},
};

constexpr Key kSubmission[] = {
    {"credentials", slot<&SubmissionConfig::credentials>, optional(Shape::text),
     "File of password hashes, written by `postern account passwd`; read at start and at reload. Needed for "
     "the services "
     "\"submission\" and \"submissions\"."},
    {"password_failures_max", slot<&SubmissionConfig::password_failures_max>, range(1, 10'000),
     "Wrong passwords from one client network, and for one account, in a quarter of an hour; beyond it AUTH "
     "answers 454."},
    {"recipients_per_hour_max", slot<&SubmissionConfig::recipients_per_hour_max>, range(1, 1'000'000),
     "Recipients that one account may write to in an hour; beyond it RCPT answers 450."},
};

constexpr Key kSigning[] = {
    {"domain", slot<&SigningConfig::domain>, required(Shape::domain),
     "Mail of our users with this domain in From is signed (RFC 6376)."},
    {"selector", slot<&SigningConfig::selector>, required(Shape::ascii_domain),
     "Under SELECTOR._domainkey.DOMAIN the public key is in DNS."},
    {"key", slot<&SigningConfig::key>, required(Shape::text),
     "File with the private key, RSA or Ed25519, in PEM."},
};

/// The list in [tls] begins with the certificate of [tls] itself.
constexpr Section kCertificates = {
    .name = "tls.certificates",
    .doc = "More certificates, chosen by the name the client asks for (SNI).",
    .keys = kCertificate,
    .repeated = true,
    .count =
        [](const Config& config) { return std::max<std::size_t>(config.tls.certificates.size(), 1) - 1; },
    .at = [](Config& config, std::size_t index) -> void* { return &config.tls.certificates[index + 1]; },
    .append = [](Config& config) -> void* {
      if (config.tls.certificates.empty()) config.tls.certificates.emplace_back();
      return &config.tls.certificates.emplace_back();
    },
};

constexpr Section kSections[] = {
    {.name = "",
     .doc = "The server as a whole. These keys stand before the first section.",
     .keys = kTop,
     .repeated = false,
     .count = [](const Config&) -> std::size_t { return 1; },
     .at = [](Config& config, std::size_t) -> void* { return &config; },
     .append = nullptr},
    one<&Config::store>("store", kStore, "The database of messages and mailboxes."),
    one<&Config::control>("control", kControl, "The control socket."),
    one<&Config::metrics>("metrics", kMetrics, "Figures for Prometheus, and health for whoever watches."),
    one<&Config::log>("log", kLog, "The log: one JSON object per line."),
    one<&Config::dns>("dns", kDns, "Name resolution. Each core has its own resolver and cache."),
    many<&Config::listeners>("listener", kListener,
                             "Where clients connect: once per address, at least once."),
    one<&Config::tls>("tls", kTls, "Encryption towards clients: TLS 1.2 and 1.3."),
    kCertificates,
    one<&Config::smtp>("smtp", kSmtp, "Habits of the SMTP server."),
    one<&Config::limits>("limits", kLimits, "Bounds: what one client, and all of them together, may use."),
    many<&Config::blocklists>(
        "blocklist", kBlocklist,
        "A DNS blocklist, or an allow list. Addresses are asked about from connect on, domains "
        "as soon as they are named; lists of kind \"url\" and \"hash\" are checked, but not "
        "consulted in this version."),
    many<&Config::domains>("domain", kDomain, "A domain of ours: once per domain."),
    many<&Config::accounts>("account", kAccount, "A mailbox: once per account."),
    one<&Config::relay>(
        "relay", kRelay,
        "Mail of our own to domains that are not ours: reports to the senders of relayed mail."),
    one<&Config::queue>("queue", kQueue,
                        "The outbound queue: when it tries, how much at once, when it gives up."),
    one<&Config::submission>("submission", kSubmission,
                             "Mail of our own users: AUTH under TLS, then anywhere."),
    many<&Config::signing>("signing", kSigning, "A DKIM key of ours: once per domain and key."),
};

void set_initial(const Key& key, void* object) {
  const Slot slot = key.slot(object);
  if (auto* const* path = std::get_if<std::filesystem::path*>(&slot)) **path = key.initial;
  if (auto* const* text = std::get_if<std::string*>(&slot)) **text = key.initial;
  if (auto* const* networks = std::get_if<std::vector<filters::Network>*>(&slot)) {
    for (std::string_view rest = key.initial; !rest.empty();) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      if (const auto network = filters::Network::parse(rest.substr(0, end))) (*networks)->push_back(*network);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
}

}  // namespace

std::span<const Section> sections() {
  static const std::vector<Section> all = [] {
    std::vector<Section> result(std::begin(kSections), std::end(kSections));
    const std::span<const Section> filter = filter_sections();
    result.insert(result.end(), filter.begin(), filter.end());
    return result;
  }();
  return all;
}

void set_defaults(const Section& section, void* object) {
  for (const Key& key : section.keys) {
    if (!key.initial.empty()) set_initial(key, object);
  }
}

Config with_defaults() {
  Config config;
  for (const Section& section : sections()) {
    if (!section.repeated) set_defaults(section, section.at(config, 0));
  }
  return config;
}

}  // namespace postern::config
