#include "gateway/pipeline/record.h"

#include <string_view>

namespace postern::pipeline {
namespace {

constexpr std::size_t kEnvelopeOctetsExpected = 768;
constexpr std::size_t kDecisionOctetsExpected = 768;

std::string_view to_string(smtp::BodyType body) {
  switch (body) {
    case smtp::BodyType::seven_bit:
      return "7BIT";
    case smtp::BodyType::eight_bit_mime:
      return "8BITMIME";
    case smtp::BodyType::binary_mime:
      return "BINARYMIME";
  }
  return "7BIT";
}

std::string_view to_string(smtp::DsnReturn ret) {
  return ret == smtp::DsnReturn::full ? "FULL" : "HDRS";
}

std::int64_t milliseconds(std::chrono::sys_time<std::chrono::milliseconds> time) {
  return time.time_since_epoch().count();
}

/// NOTIFY as RFC 3461 §4.1 spells it.
void write_notify(JsonWriter& json, std::uint8_t notify) {
  if (notify == smtp::kNotifyUnspecified) return;
  json.open_array("notify");
  if ((notify & smtp::kNotifyNever) != 0) json.element("NEVER");
  if ((notify & smtp::kNotifySuccess) != 0) json.element("SUCCESS");
  if ((notify & smtp::kNotifyFailure) != 0) json.element("FAILURE");
  if ((notify & smtp::kNotifyDelay) != 0) json.element("DELAY");
  json.close_array();
}

void write_recipients(JsonWriter& json, const Mail& mail) {
  json.open_array("recipients");
  for (std::size_t i = 0; i < mail.transaction.recipients.size(); ++i) {
    const smtp::AcceptedRecipient& recipient = mail.transaction.recipients[i];
    json.open_object();
    json.field("address", mail.envelope.recipients[i]);
    json.field("as_given", recipient.as_given);
    json.field("mailbox", mail.addresses[i].mailbox);
    if (mail.addresses[i].relayed()) json.field("destination", mail.addresses[i].destination);
    write_notify(json, recipient.command.notify);
    if (!recipient.command.orcpt.empty()) json.field("orcpt", recipient.command.orcpt);
    json.close_object();
  }
  json.close_array();
}

void write_client(JsonWriter& json, const filters::Envelope& envelope) {
  json.field("ip", envelope.client_ip.text());
  json.field("ptr", envelope.client_name);
  json.field("helo", envelope.helo);
  json.field("protocol", envelope.protocol);
  json.field("early_talker", envelope.early_talker);
  json.field("pipelined_early", envelope.pipelined_early);
  if (!envelope.tls.active()) return;
  json.open_object("tls");
  json.field("version", envelope.tls.version);
  json.field("cipher", envelope.tls.cipher);
  json.field("server_name", envelope.tls.server_name);
  json.close_object();
}

void write_stages(JsonWriter& json, const Timings& timings) {
  json.open_object("stage_us");
  json.field("mail", timings.mail.count());
  json.field("rcpt", timings.rcpt.count());
  json.field("analysis", timings.analysis.count());
  json.field("judge", timings.judge.count());
  json.close_object();
}

}  // namespace

std::string_view software_version() {
  return POSTERN_VERSION;
}

std::string envelope_json(const Mail& mail, std::size_t octets) {
  const filters::Envelope& envelope = mail.envelope;
  const smtp::MailCommand& command = mail.transaction.mail;
  JsonWriter json(kEnvelopeOctetsExpected);
  json.open_object();
  json.field("id", envelope.id);
  json.field("session", mail.session_id);
  json.field("received_at_ms", milliseconds(envelope.received_at));
  json.field("receiving_host", envelope.receiving_host);
  write_client(json, envelope);
  json.field("mail_from", envelope.mail_from);
  json.field("smtputf8", command.smtputf8);
  json.field("body", to_string(command.body));
  if (command.size > 0) json.field("declared_octets", command.size);
  if (command.ret != smtp::DsnReturn::unspecified) json.field("ret", to_string(command.ret));
  if (!command.envid.empty()) json.field("envid", command.envid);
  json.field("octets", octets);
  json.field("chunked", mail.transaction.chunked);
  json.field("normalized", mail.transaction.normalized);
  write_recipients(json, mail);
  json.close_object();
  return json.take();
}

void write_facts(JsonWriter& json, const filters::Facts& facts) {
  json.open_array("facts");
  for (const auto& [question, answer] : facts.answers()) {
    json.open_object();
    json.field("kind", filters::to_string(question.kind));
    json.field("name", question.name);
    json.field("status", filters::to_string(answer.status));
    json.open_array("records");
    for (const std::string& record : answer.records) json.element(record);
    json.close_array();
    json.field("ttl", answer.ttl.count());
    json.field("secure", answer.secure);
    json.field("took_us", answer.took.count());
    json.field("asked_at_ms", milliseconds(answer.asked_at));
    json.close_object();
  }
  json.close_array();
}

void write_policy(JsonWriter& json, const filters::Policy& policy) {
  json.open_object("policy");
  json.field("enabled", policy.enabled);
  json.field("reject_score", policy.reject_score);
  json.field("quarantine_score", policy.quarantine_score);
  json.field("tag_score", policy.tag_score);
  if (policy.discard_score > 0) json.field("discard_score", policy.discard_score);
  if (!policy.profiles.empty()) json.field("profiles", policy.profiles.size());
  json.field("allow_score", policy.allow_score);
  json.field("block_score", policy.block_score);
  json.field("received_hops_max", policy.received_hops_max);
  json.field("authentication", policy.authentication.enabled);
  json.field("blocklists", policy.blocklists.size());
  json.close_object();
}

std::string decision_json(const Mail& mail, const filters::Verdict& verdict) {
  JsonWriter json(kDecisionOctetsExpected);
  json.open_object();
  json.members_of(filters::to_json(verdict));
  write_facts(json, mail.facts);
  write_policy(json, mail.snapshot->policy);
  write_stages(json, mail.timings);
  json.field("version", software_version());
  json.close_object();
  return json.take();
}

}  // namespace postern::pipeline
