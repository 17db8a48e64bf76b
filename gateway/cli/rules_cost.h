#pragma once

#include <string>
#include <vector>

#include "filters/rules/rule_set.h"

namespace postern::cli {

/// One message as `postern rules` takes it from a file: its envelope as far as its own header tells.
struct RuleMail {
  std::string name;
  std::string message;
  filters::Envelope envelope;
};
/// What the top Received, Return-Path and Delivered-To say stands in for the envelope; the client is unknown.
RuleMail rule_mail(std::string name, std::string message);

struct PatternCost {
  std::string rule;
  std::string expression;
  std::string stage;          ///< fast, slow or alone, with "+prefilter"
  double us_per_message = 0;  ///< alone in a database, on an average message of the sample
  double octets_per_us = 0;   ///< at that speed
  double compiled_octets = 0;
};
/// Each pattern measured by itself on the texts that it would look at. Takes seconds.
std::vector<PatternCost> pattern_costs(const filters::rules::RuleSet& set,
                                       const std::vector<RuleMail>& sample);

/// Microseconds that looking through one message of the sample takes on average: making the reading, scanning, evaluating.
struct SetCost {
  double analysis_us = 0, content_us = 0, rules_us = 0;
};
SetCost set_cost(const filters::rules::RuleSet& set, const std::vector<RuleMail>& sample);

}  // namespace postern::cli
