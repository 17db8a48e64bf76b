#include "gateway/pipeline/aggregate.h"

#include "gateway/pipeline/json.h"

namespace postern::pipeline {
namespace {

constexpr std::size_t kRowOctetsExpected = 512;

std::string_view pass_or_fail(bool aligned) {
  return aligned ? "pass" : "fail";
}

std::string_view mode_of(bool strict) {
  return strict ? "s" : "r";
}

void write_published(JsonWriter& json, const filters::AggregateRow& row) {
  json.open_object("policy_published");
  json.field("p", row.policy);
  if (!row.subdomain_policy.empty()) json.field("sp", row.subdomain_policy);
  if (!row.nonexistent_policy.empty()) json.field("np", row.nonexistent_policy);
  json.field("adkim", mode_of(row.dkim_strict));
  json.field("aspf", mode_of(row.spf_strict));
  json.field("testing", row.testing ? "y" : "n");
  json.close_object();
}

void write_results(JsonWriter& json, const filters::AggregateRow& row) {
  json.open_object("auth_results");
  json.open_array("dkim");
  for (const filters::AggregateRow::Signature& signature : row.dkim) {
    json.open_object();
    json.field("domain", signature.domain);
    json.field("selector", signature.selector);
    json.field("result", signature.result);
    json.close_object();
  }
  json.close_array();
  if (!row.spf_result.empty()) {
    json.open_object("spf");
    json.field("domain", row.spf_domain);
    json.field("scope", row.spf_scope);
    json.field("result", row.spf_result);
    json.close_object();
  }
  json.close_object();
}

}  // namespace

storage::Counted counted_for_dmarc(const filters::Envelope& envelope, const filters::Verdict& verdict) {
  if (!verdict.aggregate) return {};
  const filters::AggregateRow& row = *verdict.aggregate;
  JsonWriter json(kRowOctetsExpected);
  json.open_object();
  json.field("source_ip", envelope.client_ip.text());
  json.field("disposition", row.disposition);
  json.field("dkim", pass_or_fail(row.dkim_aligned));
  json.field("spf", pass_or_fail(row.spf_aligned));
  json.open_array("reasons");
  for (const auto& [type, comment] : row.reasons) {
    json.open_object();
    json.field("type", type);
    json.field("comment", comment);
    json.close_object();
  }
  json.close_array();
  json.field("header_from", row.header_from);
  json.field("envelope_from", row.envelope_from);
  write_results(json, row);
  write_published(json, row);
  json.close_object();
  return {.domain = row.policy_domain, .row = json.take()};
}

}  // namespace postern::pipeline
