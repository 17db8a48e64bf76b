// `postern scan` and the adapter: a message is judged as if it had arrived so; nothing is stored.
#include <utility>

#include "gateway/pipeline/classification.h"
#include "gateway/pipeline/core.h"
#include "gateway/pipeline/inquiry.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/pipeline/record.h"
#include "gateway/pipeline/scan.h"

namespace postern::pipeline {
namespace {

bool refuses(const filters::Verdict& verdict) {
  return verdict.action == filters::Action::reject || verdict.action == filters::Action::defer;
}

std::string_view to_string(filters::Stage stage) {
  switch (stage) {
    case filters::Stage::connect:
      return "connect";
    case filters::Stage::mail:
      return "mail";
    case filters::Stage::rcpt:
      return "rcpt";
    case filters::Stage::data:
      return "data";
  }
  return "data";
}

/// One stage; true when the conversation would have ended there.
reactor::Task<bool> judge_stage(filters::Stage stage, const filters::Envelope& envelope,
                                const filters::Analysis* analysis, const Snapshot& snapshot,
                                const Answers& answers, Pipeline::Scan& scan, filters::Memo* memo = nullptr) {
  scan.verdict =
      co_await judge_and_ask(stage, envelope, analysis, scan.facts, snapshot.policy, answers, memo);
  scan.decided_at = stage;
  co_return refuses(scan.verdict);
}

}  // namespace

reactor::Task<Pipeline::Scan> scan_message(Core& core, filters::Envelope envelope, std::string message) {
  const std::shared_ptr<const Snapshot> snapshot = core.services.snapshots.get();
  Answers answers = answers_of(core, *snapshot);
  answers.with(nullptr, {});  // nobody has come: the greylist is not to remember it
  const std::string sender = std::exchange(envelope.mail_from, {});
  const std::vector<std::string> recipients = std::exchange(envelope.recipients, {});
  const auto now = reactor::Reactor::current().now_utc();
  if (envelope.receiving_host.empty()) envelope.receiving_host = snapshot->config.hostname;
  if (envelope.protocol.empty()) envelope.protocol = "ESMTP";
  if (envelope.received_at.time_since_epoch().count() == 0) envelope.received_at = now;
  if (envelope.id.empty()) envelope.id = core.ids.next(now).text();

  Pipeline::Scan scan;
  bool ended = co_await judge_stage(filters::Stage::connect, envelope, nullptr, *snapshot, answers, scan);
  if (ended) co_return scan;
  envelope.mail_from = sender;
  ended = co_await judge_stage(filters::Stage::mail, envelope, nullptr, *snapshot, answers, scan);
  if (ended) co_return scan;
  for (const std::string& recipient : recipients) {
    envelope.recipients.push_back(recipient);
    ended = co_await judge_stage(filters::Stage::rcpt, envelope, nullptr, *snapshot, answers, scan);
    if (ended) co_return scan;
  }

  std::optional<filters::Analysis> analysis;
  const std::string_view octets = message;
  filters::Memo memo;
  auto work = [&analysis, &memo, &envelope, octets, &policy = snapshot->policy] {
    analysis = filters::analyse(octets, policy);
    memo.prepare(envelope, *analysis, policy);
  };
  const auto done = co_await core.services.workers.run(std::move(work));
  if (!done)
    analysis = filters::analyse(octets, snapshot->policy);  // the workers are busy: a scan may take its time
  const Answers::Classify classify = [&core, &analysis](const filters::Question& question) {
    return classification_of(core.services.classifier, *analysis, question);
  };
  answers.classify_with(&classify);
  ended = co_await judge_stage(filters::Stage::data, envelope, &*analysis, *snapshot, answers, scan, &memo);
  co_return scan;
}

std::string to_json(const Pipeline::Scan& scan) {
  JsonWriter json(1024);
  json.open_object();
  json.members_of(filters::to_json(scan.verdict));
  json.field("decided_at", to_string(scan.decided_at));
  write_facts(json, scan.facts);
  json.field("version", software_version());
  json.close_object();
  return json.take();
}

}  // namespace postern::pipeline
