#include "gateway/pipeline/aggregate.h"

#include <gtest/gtest.h>

#include "storage/codec.h"

namespace postern::pipeline {
namespace {

filters::Verdict verdict() {
  filters::Verdict verdict;
  verdict.aggregate = {.policy_domain = "a.test",
                       .header_from = "mail.a.test",
                       .envelope_from = "b.test",
                       .disposition = "none",
                       .dkim_aligned = false,
                       .spf_aligned = false,
                       .reasons = {{"local_policy", "a \"friend\""}},
                       .spf_domain = "b.test",
                       .spf_scope = "mfrom",
                       .spf_result = "pass",
                       .dkim = {{.domain = "c.test", .selector = "k", .result = "fail"}},
                       .policy = "reject",
                       .subdomain_policy = "none",
                       .nonexistent_policy = {},
                       .dkim_strict = true,
                       .testing = true};
  return verdict;
}

TEST(Aggregate, ARowIsOneText) {
  filters::Envelope envelope;
  envelope.client_ip = *filters::Ip::parse("192.0.2.1");
  const storage::Counted counted = counted_for_dmarc(envelope, verdict());
  EXPECT_EQ(counted.domain, "a.test");
  EXPECT_EQ(
      counted.row,
      R"({"source_ip":"192.0.2.1","disposition":"none","dkim":"fail","spf":"fail","reasons":[{"type":"local_policy",)"
      R"("comment":"a \"friend\""}],"header_from":"mail.a.test","envelope_from":"b.test","auth_results":{"dkim":[{)"
      R"("domain":"c.test","selector":"k","result":"fail"}],"spf":{"domain":"b.test","scope":"mfrom","result":"pass"}},)"
      R"("policy_published":{"p":"reject","sp":"none","adkim":"s","aspf":"r","testing":"y"}})");
}

TEST(Aggregate, WhatIsNotToBeReportedHasNoDomain) {
  EXPECT_EQ(counted_for_dmarc({}, {}).domain, "");
}

TEST(Aggregate, TwelveSignaturesWithTheLongestNamesFitIntoACounter) {
  filters::Verdict longest = verdict();
  filters::AggregateRow& row = *longest.aggregate;
  const std::string value(320, 'x');  // as results are cut
  row.envelope_from = row.spf_domain = value;
  row.dkim.assign(12,
                  {.domain = std::string(189, 'd'), .selector = std::string(63, 's'), .result = "permerror"});
  EXPECT_LE(counted_for_dmarc({}, longest).row.size(), storage::kCountRowOctetsMax);
}

}  // namespace
}  // namespace postern::pipeline
