#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "filters/dns.h"
#include "filters/envelope.h"
#include "filters/idn.h"
#include "filters/message/address_list.h"
#include "filters/message/analysis.h"
#include "gateway/check/arc.h"
#include "gateway/check/dkim.h"
#include "gateway/check/dmarc.h"
#include "gateway/check/dnsbl.h"
#include "gateway/check/message.h"
#include "gateway/check/spf.h"
#include "gateway/cli/command_line.h"
#include "gateway/cli/message_file.h"
#include "gateway/cli/output.h"
#include "gateway/cli/questions.h"
#include "gateway/control/scan.h"

namespace postern::cli {
namespace {

constexpr const char* kFooter =
    "Ends with 0 whatever the result is, with 75 when DNS did not tell (temperror, unknown), with 64 for "
    "wrong arguments, 65 for a "
    "message that is none, 66 for a file that is not there.";

struct Options {
  Resolvers resolvers;
  control::ScanParameters client;  ///< ip, helo, mail_from
  std::string message;             ///< file, or "-"
  std::string from, spf;           ///< dmarc without a message
  std::vector<std::string> dkim;
  std::string subject;  ///< dnsbl
  std::vector<std::string> zones;
};

using Evaluate = std::function<std::optional<check::Report>(filters::Facts&)>;

Stop usage(std::string sentence) {
  return {.exit_code = control::kUsage, .sentence = std::move(sentence)};
}

std::chrono::sys_seconds now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

void print_report(const check::Report& report) {
  for (const std::string& line : report.lines) print(printable(line) + "\n");
  if (report.advice.empty()) return;
  print("\nAdvice\n");
  for (const std::string& advice : report.advice) print(fmt::format("  * {}\n", printable(advice)));
}

/// One check from its questions to the end of the program.
int run_check(const Options& options, const Evaluate& evaluate) {
  const auto resolver = resolver_options(options.resolvers);
  if (!resolver) return fail(resolver.error());
  filters::Facts facts;
  std::optional<check::Report> report;
  const auto answered = answer_until(*resolver, facts, [&] {
    report = evaluate(facts);
    return report.has_value();
  });
  if (!answered) return fail(answered.error());
  // Several parts of a check may have the same advice.
  std::vector<std::string> once;
  for (std::string& advice : report->advice)
    if (std::ranges::find(once, advice) == once.end()) once.push_back(std::move(advice));
  report->advice = std::move(once);
  if (options.resolvers.common.json) {
    report->json["advice"] = report->advice;
    report->json["facts"] = check::to_json(facts);
    print_json(report->json);
  } else {
    print_report(*report);
  }
  return report->temporary ? control::kTemporary : control::kOk;
}

std::expected<check::SpfRequest, Stop> spf_request(const control::ScanParameters& client) {
  control::ScanParameters parameters = client;
  // A bare domain is fine here: whoever asks for help gives no more.
  const bool bare = !client.mail_from.empty() && client.mail_from.find('@') == std::string::npos &&
                    client.mail_from != "<>";
  if (bare) parameters.mail_from.clear();
  auto envelope = control::scan_envelope(parameters, {}, {});
  if (!envelope) return std::unexpected(usage(std::move(envelope.error())));
  check::SpfRequest request{.ip = envelope->client_ip,
                            .helo = client.helo,
                            .mail_from = bare ? client.mail_from : envelope->mail_from,
                            .receiver = {},
                            .now = now()};
  if (request.mail_from.empty() && request.helo.empty())
    return std::unexpected(usage("--mail-from or --helo is needed: whose policy is to be checked?"));
  return request;
}

int check_spf(const Options& options) {
  const auto request = spf_request(options.client);
  if (!request) return fail(request.error());
  return run_check(options, [&](filters::Facts& facts) { return check::check_spf(*request, facts); });
}

/// The message as it was received, or why there is none.
std::expected<std::string, Stop> received(const std::string& file) {
  auto message = read_message(file);
  if (!message) return message;
  std::string octets = control::as_received(std::move(*message));
  if (filters::Analysis::of(octets).fields().empty())
    return std::unexpected(
        Stop{.exit_code = control::kBadData, .sentence = file + ": no message, it has no header field"});
  return octets;
}

using MessageCheck = std::optional<check::Report> (*)(const filters::Analysis&, filters::Facts&,
                                                      std::chrono::sys_seconds);

int check_signatures(const Options& options, MessageCheck one) {
  const auto octets = received(options.message);
  if (!octets) return fail(octets.error());
  const filters::Analysis analysis = filters::Analysis::of(*octets);
  return run_check(options, [&](filters::Facts& facts) { return one(analysis, facts, now()); });
}

// ---- dmarc ------------------------------------------------------------------------------------------------------------------------

/// "pass:example.net", or "example.net" alone, which passed.
std::pair<std::string, std::string> result_and_domain(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {"pass", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::expected<check::DmarcRequest, Stop> dmarc_request(const Options& options) {
  check::DmarcRequest request;
  const filters::AddressList list = filters::parse_addresses(options.from);
  const bool bare = options.from.find('@') == std::string::npos;
  if (!bare && list.mailboxes.size() != 1)
    return std::unexpected(usage("--from: one address or one domain is needed"));
  const std::string domain = bare ? options.from : list.mailboxes.front().domain;
  const auto author = filters::ascii_domain(domain);
  if (!author) return std::unexpected(usage(fmt::format("--from: \"{}\" is no domain", printable(domain))));
  request.author_domain = *author;
  if (!options.spf.empty()) std::tie(request.spf_result, request.spf_domain) = result_and_domain(options.spf);
  for (const std::string& text : options.dkim) request.dkim.push_back(result_and_domain(text));
  return request;
}

int check_dmarc(const Options& options) {
  if (options.message.empty() == options.from.empty())
    return fail(usage("a MESSAGE is needed, or --from and what passed: --spf, --dkim"));
  if (options.message.empty()) {
    const auto request = dmarc_request(options);
    if (!request) return fail(request.error());
    return run_check(options, [&](filters::Facts& facts) { return check::check_dmarc(*request, facts); });
  }
  if (!options.spf.empty() || !options.dkim.empty())
    return fail(usage("--spf and --dkim go with --from: of a MESSAGE both are evaluated"));
  std::optional<check::SpfRequest> spf;
  if (!options.client.ip.empty()) {
    auto request = spf_request(options.client);
    if (!request) return fail(request.error());
    spf = *std::move(request);
  }
  const auto octets = received(options.message);
  if (!octets) return fail(octets.error());
  const filters::Analysis analysis = filters::Analysis::of(*octets);
  return run_check(options,
                   [&](filters::Facts& facts) { return check::check_message(analysis, spf, facts, now()); });
}

// ---- dnsbl ------------------------------------------------------------------------------------------------------------------------

std::expected<std::vector<check::DnsList>, Stop> lists_of(const Options& options, bool ip) {
  std::vector<check::DnsList> lists;
  for (const std::string& text : options.zones) {
    const auto zone = filters::ascii_domain(text);
    if (!zone) return std::unexpected(usage(fmt::format("--zone: \"{}\" is no domain", printable(text))));
    lists.push_back({.zone = *zone, .answers = {}});
  }
  if (!lists.empty()) return lists;
  const auto config = load_manifest(options.resolvers.common.config);
  if (!config) return std::unexpected(config.error());
  for (const config::BlocklistConfig& list : config->blocklists) {
    if ((list.kind == "ip") != ip) continue;
    check::DnsList& known = lists.emplace_back();
    known.zone = list.zone;
    for (const auto& [address, meaning] : list.answers) known.answers.emplace(address, meaning);
  }
  if (lists.empty())
    return std::unexpected(usage(
        fmt::format("the manifest names no list of {}: name one by --zone", ip ? "addresses" : "domains")));
  return lists;
}

int check_dnsbl(const Options& options) {
  const auto ip = filters::Ip::parse(options.subject);
  const auto domain = ip ? std::optional(ip->text()) : filters::ascii_domain(options.subject);
  if (!domain)
    return fail(
        usage(fmt::format("\"{}\" is neither an IP address nor a domain", printable(options.subject))));
  const auto lists = lists_of(options, ip.has_value());
  if (!lists) return fail(lists.error());
  return run_check(options,
                   [&](filters::Facts& facts) { return check::check_dnsbl(*domain, *lists, facts); });
}

// ---- the verbs --------------------------------------------------------------------------------------------------------------------

using Checks = int (*)(const Options&);

struct Verb {
  CLI::App* app;
  std::shared_ptr<Options> options;
};

Verb add(CLI::App& parent, Action& chosen, const char* name, const char* what, Checks checks) {
  Verb verb{.app = parent.add_subcommand(name, what), .options = std::make_shared<Options>()};
  add_resolvers(*verb.app, verb.options->resolvers);
  verb.app->footer(kFooter);
  verb.app->callback(
      [options = verb.options, checks, &chosen] { chosen = [options, checks] { return checks(*options); }; });
  return verb;
}

void add_client(const Verb& verb, bool needed) {
  verb.app->add_option("--ip", verb.options->client.ip, "Address of the client")
      ->type_name("IP")
      ->required(needed);
  verb.app->add_option("--helo", verb.options->client.helo, "What it said in EHLO")->type_name("NAME");
  verb.app
      ->add_option("--mail-from", verb.options->client.mail_from,
                   "Sender in MAIL FROM; none: HELO is checked")
      ->type_name("ADDRESS");
}

void add_message(const Verb& verb, bool needed) {
  verb.app->add_option("MESSAGE", verb.options->message, "File with the message, or - for standard input")
      ->type_name("")
      ->required(needed);
}

}  // namespace

void add_check(CLI::App& app, Action& chosen) {
  CLI::App* const parent =
      app.add_subcommand("check", "One question of sender authentication, with all evidence from DNS");
  parent->require_subcommand(1);
  add_client(add(*parent, chosen, "spf", "SPF of a client, term by term", check_spf), true);
  add_message(add(*parent, chosen, "dkim", "The DKIM signatures of a message",
                  [](const Options& options) { return check_signatures(options, check::check_dkim); }),
              true);
  add_message(add(*parent, chosen, "arc", "The ARC chain of a message",
                  [](const Options& options) { return check_signatures(options, check::check_arc); }),
              true);
  const Verb dmarc =
      add(*parent, chosen, "dmarc", "DMARC of a message, or of a domain and what passed for it", check_dmarc);
  add_client(dmarc, false);
  dmarc.app->add_option("--from", dmarc.options->from, "Author, instead of a message")->type_name("ADDRESS");
  dmarc.app->add_option("--spf", dmarc.options->spf, "What SPF said and for which domain")
      ->type_name("RESULT:DOMAIN");
  dmarc.app->add_option("--dkim", dmarc.options->dkim, "The same of a signature; may be repeated")
      ->type_name("RESULT:DOMAIN")
      ->allow_extra_args(false);
  add_message(dmarc, false);
  const Verb dnsbl = add(*parent, chosen, "dnsbl", "Blocklists about an address or a domain", check_dnsbl);
  dnsbl.app
      ->add_option("--zone", dnsbl.options->zones, "A list; may be repeated; default: those of the manifest")
      ->type_name("ZONE")
      ->allow_extra_args(false);
  dnsbl.app->add_option("SUBJECT", dnsbl.options->subject, "IP address or domain")->type_name("")->required();
}

}  // namespace postern::cli
