#pragma once

#include <map>
#include <memory>
#include <utility>

#include "gateway/dns/resolver.h"
#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/answers.h"

namespace postern::serve {

/// One core's resolver as the pipeline asks it, counted: postern_dns_queries_total{kind,result} and
/// postern_dns_duration_seconds{kind}. Its core's thread only; the registry outlives it.
class DnsSource final : public pipeline::Source {
 public:
  DnsSource(std::unique_ptr<dns::Resolver> resolver, metrics::Registry& metrics);

  reactor::Task<filters::Answer> ask(filters::Question question, reactor::Deadline deadline) override;
  /// Everybody who asked must have gone, or goes with servfail.
  reactor::Task<void> close();

 private:
  void count(filters::QuestionKind kind, const filters::Answer& answer);

  std::unique_ptr<dns::Resolver> resolver_;
  std::map<std::pair<filters::QuestionKind, filters::AnswerStatus>, metrics::Counter*> queries_;
  std::map<filters::QuestionKind, metrics::Histogram*> durations_;
};

}  // namespace postern::serve
