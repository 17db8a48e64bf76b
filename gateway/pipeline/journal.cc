#include "gateway/pipeline/journal.h"

#include <array>
#include <utility>

#include "gateway/pipeline/json.h"
#include "gateway/pipeline/pseudonym.h"

namespace postern::pipeline {
namespace {

constexpr std::array<std::string_view, 6> kStages = {"connect", "mail", "rcpt", "analysis", "judge", "store"};
constexpr std::array kActions = {filters::Action::accept,     filters::Action::tag,
                                 filters::Action::quarantine, filters::Action::discard,
                                 filters::Action::defer,      filters::Action::reject};
constexpr std::string_view kOther = "other";

std::vector<double> duration_bounds() {
  return {1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1, 5, 10, 60};
}

/// log.addresses = false: the log may be kept longer than addresses may.
std::string shown(std::string_view address, bool addresses) {
  return addresses ? std::string(address) : pseudonym(address);
}

std::vector<std::string> shown(const std::vector<std::string>& all, bool addresses) {
  if (addresses) return all;
  std::vector<std::string> hidden;
  hidden.reserve(all.size());
  for (const std::string& address : all) hidden.push_back(pseudonym(address));
  return hidden;
}

std::vector<std::string> rules_of(const filters::Verdict* verdict) {
  std::vector<std::string> rules;
  if (verdict == nullptr) return rules;
  rules.reserve(verdict->findings.size());
  for (const filters::Finding& finding : verdict->findings) rules.push_back(finding.name);
  return rules;
}

std::string stages(const Timings& timings) {
  JsonWriter json(128);
  json.open_object();
  json.field("mail", timings.mail.count());
  json.field("rcpt", timings.rcpt.count());
  json.field("analysis", timings.analysis.count());
  json.field("judge", timings.judge.count());
  json.field("store", timings.store.count());
  json.close_object();
  return json.take();
}

/// What became of it. A message that was to be kept and could not be is put off by us, whatever the verdict
/// was.
filters::Action action_of(const Journal::Fate& fate) {
  if (!fate.stored) return fate.reply.permanent() ? filters::Action::reject : filters::Action::defer;
  return fate.verdict == nullptr ? filters::Action::accept : fate.verdict->action;
}

}  // namespace

Journal::Journal(log::Logger& logger, metrics::Registry& metrics)
    : logger_(logger),
      metrics_(metrics),
      received_(metrics.counter("postern_messages_received_total",
                                "Messages received whole, whatever became of them.")),
      asked_ahead_(metrics.counter("postern_questions_total", "Questions of visits by when they were asked.",
                                   {{"when", "ahead"}})),
      asked_when_needed_(metrics.counter(
          "postern_questions_total", "Questions of visits by when they were asked.", {{"when", "needed"}})) {
  for (const filters::Action action : kActions)
    by_action_.push_back(&metrics.counter("postern_messages_total", "Messages by what became of them.",
                                          {{"action", std::string(filters::to_string(action))}}));
  for (const std::string_view stage : kStages)
    durations_.push_back(&metrics.histogram("postern_stage_duration_seconds",
                                            "Time spent on one stage of a message.", duration_bounds(),
                                            {{"stage", std::string(stage)}}));
}

void Journal::took(Stage stage, std::chrono::microseconds time) {
  durations_[static_cast<std::size_t>(stage)]->observe(static_cast<double>(time.count()) * 1e-6);
}

void Journal::asked(Inquiry::Counts counts) {
  if (counts.ahead > 0) asked_ahead_.add(counts.ahead);
  if (counts.needed > 0) asked_when_needed_.add(counts.needed);
}

metrics::Counter& Journal::learn(Known& known, std::string key, std::string_view family,
                                 std::string_view help, metrics::Labels labels) {
  if (known.size() >= kLabelsMax) {
    key = kOther;
    for (auto& [name, value] : labels) value = kOther;
  }
  return *known.try_emplace(std::move(key), &metrics_.counter(family, help, labels)).first->second;
}

void Journal::degraded(std::string_view stage, std::string_view cause) {
  std::string key(stage);
  key.append(1, ' ').append(cause);
  const auto found = degraded_.find(key);
  if (found != degraded_.end()) return found->second->add();
  learn(degraded_, std::move(key), "postern_stage_degraded_total",
        "Stages that could not do all of their work, by cause.",
        {{"stage", std::string(stage)}, {"cause", std::string(cause)}})
      .add();
}

void Journal::hit(const std::string& rule) {
  const auto found = rules_.find(rule);
  if (found != rules_.end()) return found->second->add();
  learn(rules_, rule, "postern_rule_hits_total", "Findings, by rule.", {{"rule", rule}}).add();
}

void Journal::rejected(const Rejection& rejection) {
  if (!logger_.enabled(log::Level::info)) return;
  const filters::Envelope& envelope = rejection.envelope;
  const bool addresses = rejection.addresses;
  logger_.write(log::Line(log::Level::info, "rejected")
                    .field("stage", rejection.stage)
                    .field("sid", rejection.session_id)
                    .field("ip", envelope.client_ip.text())
                    .field("ptr", envelope.client_name)
                    .field("helo", envelope.helo)
                    .field("from", shown(envelope.mail_from, addresses))
                    .field("rcpt", shown(rejection.recipient, addresses))
                    .field("code", rejection.reply.code)
                    .field("ecode", rejection.reply.enhanced)
                    .field("reply", rejection.reply.text)
                    // A verdict's reason may quote the entry of a list, which may be an address.
                    .field("reason", addresses ? rejection.reason : std::string_view()));
}

void Journal::count(const Fate& fate) {
  received_.add();
  by_action_[static_cast<std::size_t>(action_of(fate))]->add();
  const Timings& timings = fate.mail.timings;
  took(Stage::mail, timings.mail);
  took(Stage::rcpt, timings.rcpt);
  took(Stage::analysis, timings.analysis);
  if (fate.verdict == nullptr) return;
  took(Stage::judge, timings.judge);
  if (fate.stored) took(Stage::store, timings.store);
  for (const filters::Finding& finding : fate.verdict->findings) hit(finding.name);
  for (const std::string& missing : fate.verdict->incomplete)
    degraded("judge", std::string_view(missing).substr(0, missing.find(':')));
}

void Journal::message(const Fate& fate) {
  count(fate);
  if (!logger_.enabled(log::Level::info)) return;
  const filters::Envelope& envelope = fate.mail.envelope;
  const bool addresses = fate.mail.snapshot->config.log.addresses;
  const filters::Verdict* verdict = fate.verdict;
  logger_.write(log::Line(log::Level::info, "message")
                    .field("mid", envelope.id)
                    .field("sid", fate.mail.session_id)
                    .field("ip", envelope.client_ip.text())
                    .field("ptr", envelope.client_name)
                    .field("helo", envelope.helo)
                    .field("protocol", envelope.protocol)
                    .field("tls", envelope.tls.version)
                    .field("from", shown(envelope.mail_from, addresses))
                    .field("rcpt", shown(envelope.recipients, addresses))
                    .field("size", std::uint64_t{fate.octets})
                    .field("msgid", fate.message_id)
                    .field("score", verdict != nullptr ? verdict->score : 0.0)
                    .field("action", filters::to_string(action_of(fate)))
                    .field("rules", rules_of(verdict))
                    .field("reason", verdict != nullptr && addresses ? verdict->reason : std::string())
                    .field("code", fate.reply.code)
                    .field("ecode", fate.reply.enhanced)
                    .field("reply", fate.reply.text)
                    .raw("stage_us", stages(fate.mail.timings)));
}

}  // namespace postern::pipeline
