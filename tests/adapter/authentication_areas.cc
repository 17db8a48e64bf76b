// spf, dkim, arc, dmarc: one question each, DNS from the zone given with it.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "filters/authentication/arc/chain.h"
#include "filters/authentication/dkim/verify.h"
#include "filters/authentication/dmarc/evaluation.h"
#include "filters/authentication/spf/check_host.h"
#include "filters/message/address_list.h"
#include "tests/adapter/areas.h"
#include "tests/support/zone.h"

namespace postern::adapter {
namespace {

/// A filter that is still pending after so many rounds goes in circles.
constexpr int kRoundsMax = 64;

/// Asks and answers until there is an outcome.
template <typename Ask>
auto settled(const Json& question, filters::Facts& facts, Ask ask) {
  const support::Zone zone(question.value("zone", Json::object()));
  for (int round = 0; round < kRoundsMax; ++round) {
    if (auto outcome = ask(facts)) return *std::move(outcome);
    zone.answer_all(facts);
  }
  throw std::runtime_error("no conclusion");
}

std::chrono::sys_seconds now_of(const Json& question) {
  return std::chrono::sys_seconds(std::chrono::seconds(question.value("now", std::int64_t{0})));
}

filters::Ip ip_of(const Json& question) {
  const auto text = question.at("ip").get<std::string>();
  const auto ip = filters::Ip::parse(text);
  if (!ip) throw std::invalid_argument(text + " is no address");
  return *ip;
}

filters::spf::Outcome evaluate_spf(const Json& question, filters::Facts& facts, std::string& domain) {
  const std::string sender = question.value("mail_from", ""), helo = question.value("helo", "");
  const std::string receiver = question.value("receiver", "");
  // RFC 7208 §2.4: the null reverse-path stands for postmaster at the HELO name.
  const std::size_t at = sender.rfind('@');
  domain = sender.empty() ? helo : at == std::string::npos ? sender : sender.substr(at + 1);
  const filters::spf::Identity identity{.ip = ip_of(question),
                                        .domain = domain,
                                        .sender = sender.empty() ? helo : sender,
                                        .helo = helo,
                                        .receiver = receiver,
                                        .now = now_of(question)};
  return settled(question, facts, [&](filters::Facts& f) { return filters::spf::check_host(identity, f); });
}

}  // namespace

Json spf(const Json& question) {
  filters::Facts facts;
  std::string domain;
  const auto outcome = evaluate_spf(question, facts, domain);
  Json answer = {{"result", filters::spf::to_string(outcome.result)}};
  if (!outcome.explanation.empty()) answer["explanation"] = outcome.explanation;
  if (!outcome.problem.empty()) answer["problem"] = outcome.problem;
  return answer;
}

Json dkim(const Json& question) {
  const std::string message = octets_of(question, "message_b64");
  const auto analysis = filters::Analysis::of(message);
  filters::dkim::Verifier verifier(analysis);
  filters::Facts facts;
  const auto results =
      settled(question, facts, [&](filters::Facts& f) { return verifier.verify(f, now_of(question)); });
  Json answer = {{"signatures", Json::array()}};
  for (const auto& result : results) {
    Json entry = {{"result", filters::dkim::to_string(result.result)},
                  {"d", result.domain},
                  {"s", result.selector},
                  {"a", result.algorithm},
                  {"i", result.identity}};
    if (!result.reason.empty()) entry["reason"] = result.reason;
    answer["signatures"].push_back(std::move(entry));
  }
  return answer;
}

Json arc(const Json& question) {
  const std::string message = octets_of(question, "message_b64");
  const auto analysis = filters::Analysis::of(message);
  filters::dkim::BodyHashes hashes(analysis.body());
  filters::arc::Chain chain(analysis, hashes);
  filters::Facts facts;
  const auto result =
      settled(question, facts, [&](filters::Facts& f) { return chain.verify(f, now_of(question)); });
  Json answer = {{"cv", filters::arc::to_string(result.status)}};
  if (!result.reason.empty()) answer["reason"] = result.reason;
  return answer;
}

Json dmarc(const Json& question) {
  filters::Facts facts;
  std::string from, spf_domain;
  std::vector<std::string> signers;
  if (question.contains("message_b64")) {
    const std::string message = octets_of(question, "message_b64");
    const auto analysis = filters::Analysis::of(message);
    if (analysis.count("From") == 1) from = std::string(analysis.find("From")->value);
    std::string domain;
    if (evaluate_spf(question, facts, domain).result == filters::spf::Result::pass) spf_domain = domain;
    filters::dkim::Verifier verifier(analysis);
    for (const auto& result :
         settled(question, facts, [&](filters::Facts& f) { return verifier.verify(f, now_of(question)); }))
      if (result.result == filters::dkim::Result::pass) signers.push_back(result.domain);
  } else {
    from = question.at("from").get<std::string>();
    const Json spf_given = question.value("spf", Json::object());
    if (spf_given.value("result", "") == "pass") spf_domain = spf_given.value("domain", "");
    for (const Json& signature : question.value("dkim", Json::array()))
      if (signature.value("result", "") == "pass") signers.push_back(signature.value("domain", ""));
  }
  // RFC 9989 §5.3.1: exactly one author domain; several mailboxes of one domain have one.
  std::string author;
  for (const auto& mailbox : filters::parse_addresses(from).mailboxes) {
    const std::string& domain = mailbox.domain.empty() ? mailbox.local : mailbox.domain;
    if (!author.empty() && author != domain)
      return {{"result", "none"}, {"reason", "several author domains"}};
    author = domain;
  }
  const std::vector<std::string_view> views(signers.begin(), signers.end());
  const filters::dmarc::Identifiers identifiers{.spf = spf_domain, .dkim = views};
  const auto outcome = settled(
      question, facts, [&](filters::Facts& f) { return filters::dmarc::evaluate(author, identifiers, f); });
  Json answer = {{"result", filters::dmarc::to_string(outcome.result)}};
  if (outcome.policy) answer["policy"] = filters::dmarc::to_string(*outcome.policy);
  answer["disposition"] = filters::dmarc::to_string(outcome.disposition);
  answer["author_domain"] = outcome.author_domain;
  answer["organizational_domain"] = outcome.organizational_domain;
  answer["record_domain"] = outcome.record_domain;
  answer["aligned"] = {{"spf", outcome.spf_aligned}, {"dkim", outcome.dkim_aligned}};
  if (!outcome.reason.empty()) answer["reason"] = outcome.reason;
  return answer;
}

}  // namespace postern::adapter
