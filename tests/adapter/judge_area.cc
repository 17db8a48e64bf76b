// {"envelope", "message_b64", "policy", "zone"?, "now"?} to the whole verdict, as if the message had been received so: the stages
// before the data are judged as well, and the first that refuses has the last word.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "filters/authentication/results/field.h"
#include "filters/judge.h"
#include "gateway/config/config.h"
#include "gateway/pipeline/local_lists.h"
#include "gateway/pipeline/policy.h"
#include "gateway/pipeline/rules.h"
#include "gateway/smtp/address.h"
#include "tests/adapter/areas.h"
#include "tests/support/zone.h"

namespace postern::adapter {
namespace {

/// Judging and answering go on in rounds; more than this is a filter going in circles.
constexpr int kRoundsMax = 64;
constexpr std::string_view kPolicyFile = "/policy.toml";  // as problems name it

std::string normal_form(const std::string& address) {
  if (address.empty()) return {};
  const auto mailbox = smtp::parse_mailbox(address, true);
  if (!mailbox)
    throw std::invalid_argument(
        fmt::format("{}: octet {}: {}", address, mailbox.error().position, mailbox.error().rule));
  return mailbox->normal_form();
}

/// true, "TLSv1.2" or {"version", "cipher"}.
filters::TlsFacts tls_of(const Json& tls) {
  if (tls.is_string()) return {.version = tls.get<std::string>()};
  if (tls.is_object()) return {.version = tls.value("version", ""), .cipher = tls.value("cipher", "")};
  return {.version = tls.is_boolean() && tls.get<bool>() ? "TLSv1.3" : ""};
}

filters::Envelope envelope_of(const Json& question, const std::string& hostname) {
  const Json& given = question.at("envelope");
  filters::Envelope envelope;
  envelope.receiving_host = hostname;
  if (const auto text = given.value("ip", std::string()); !text.empty()) {
    const auto ip = filters::Ip::parse(text);
    if (!ip) throw std::invalid_argument(fmt::format("envelope.ip: {} is no address", text));
    envelope.client_ip = *ip;
  }
  envelope.helo = given.value("helo", "");
  envelope.mail_from = normal_form(given.value("mail_from", ""));
  for (const Json& recipient : given.value("rcpt", Json::array()))
    envelope.recipients.push_back(normal_form(recipient.get<std::string>()));
  envelope.tls = tls_of(given.value("tls", Json()));
  envelope.protocol = envelope.tls.active() ? "ESMTPS" : "ESMTP";
  envelope.received_at =
      std::chrono::sys_seconds(std::chrono::seconds(question.value("now", std::int64_t{0})));
  return envelope;
}

/// A policy may leave out what a server cannot do without and judging can: [filter] may stand alone. A zone is a
/// DNS that answers at once, so senders are authenticated where the policy does not say otherwise.
config::Config config_of(std::string manifest, bool has_dns) {
  config::Loaded loaded = config::parse(manifest, kPolicyFile);
  const auto lacks = [&loaded](std::string_view key) {
    return std::ranges::find(loaded.problems, key, &config::Problem::key) != loaded.problems.end();
  };
  if (manifest.find("hostname") == std::string::npos && lacks("hostname"))
    manifest = "hostname = \"mx.adapter.test\"\n" + manifest;
  if (lacks("listener")) manifest += "\n[[listener]]\naddress = \"127.0.0.1:25\"\n";
  if (has_dns && manifest.find("[dns]") == std::string::npos)
    manifest += "\n[dns]\nresolvers = [\"127.0.0.1:53\"]\n";
  loaded = config::parse(manifest, kPolicyFile);
  if (!loaded.problems.empty()) throw std::invalid_argument(loaded.problems.front().text());
  return loaded.config;
}

/// Who is asked, in place of the gateway.
class World {
 public:
  World(const config::FilterConfig& filter, const Json& zone)
      : lists_(filter.allow, filter.block), zone_(zone) {}

  const pipeline::LocalLists& lists() const { return lists_; }
  void answer_all(filters::Facts& facts) const {
    const std::vector<filters::Question> open = facts.questions();
    for (const filters::Question& question : open)
      facts.answer(question, is_local(question.kind) ? lists_.answer(question) : zone_.answer(question));
  }

 private:
  static bool is_local(filters::QuestionKind kind) {
    return kind == filters::QuestionKind::client_list || kind == filters::QuestionKind::sender_list ||
           kind == filters::QuestionKind::recipient_list;
  }
  pipeline::LocalLists lists_;
  support::Zone zone_;
};

/// Where the policy names them: [filter.rules] folder, spamassassin.
std::shared_ptr<const filters::rules::RuleSet> rules_of(const config::Config& config) {
  auto rules = pipeline::load_rules(config, nullptr);
  if (!rules) throw std::invalid_argument(rules.error());
  return *std::move(rules);
}

/// One message and what is known of the world for it.
class Trial {
 public:
  Trial(const config::Config& config, const Json& zone)
      : world_(config.filter, zone),
        policy_(pipeline::make_policy(config.filter, config.blocklists, world_.lists(), rules_of(config))) {}

  const filters::Policy& policy() const { return policy_; }
  /// All stages in order.
  filters::Verdict run(const filters::Envelope& envelope, const filters::Analysis& analysis) {
    filters::Envelope so_far = envelope;
    so_far.mail_from.clear();
    so_far.recipients.clear();
    if (refuses(filters::Stage::connect, so_far)) return verdict_;
    so_far.mail_from = envelope.mail_from;
    if (refuses(filters::Stage::mail, so_far)) return verdict_;
    for (const std::string& recipient : envelope.recipients) {
      so_far.recipients.push_back(recipient);
      if (refuses(filters::Stage::rcpt, so_far)) return verdict_;
    }
    judge_stage(filters::Stage::data, envelope, &analysis);
    return verdict_;
  }

 private:
  bool refuses(filters::Stage stage, const filters::Envelope& envelope) {
    judge_stage(stage, envelope, nullptr);
    return verdict_.action == filters::Action::reject || verdict_.action == filters::Action::defer;
  }

  void judge_stage(filters::Stage stage, const filters::Envelope& envelope,
                   const filters::Analysis* analysis) {
    for (int round = 0; round < kRoundsMax; ++round) {
      filters::Judgement judgement = filters::judge(stage, envelope, analysis, facts_, policy_, &memo_);
      if (judgement.verdict) {
        verdict_ = *std::move(judgement.verdict);
        return;
      }
      world_.answer_all(facts_);
    }
    throw std::runtime_error("the filters did not come to an end with their questions");
  }

  World world_;
  filters::Policy policy_;
  filters::Facts facts_;
  filters::Memo memo_;
  filters::Verdict verdict_;
};

}  // namespace

Json judge(const Json& question) {
  const config::Config config = config_of(question.value("policy", std::string()), question.contains("zone"));
  const filters::Envelope envelope = envelope_of(question, config.hostname);
  const std::string message = octets_of(question, "message_b64");
  Trial trial(config, question.value("zone", Json::object()));
  const filters::Analysis analysis = filters::analyse(message, trial.policy());
  const filters::Verdict verdict = trial.run(envelope, analysis);
  Json answer = Json::parse(to_json(verdict));
  std::string field = filters::results::write(
      {.authserv_id = config.hostname, .version = 1, .results = verdict.authentication});
  answer["authentication_results"] =
      filters::Analysis::unfolded(std::string_view(field).substr(field.find(':') + 1));
  return answer;
}

}  // namespace postern::adapter
