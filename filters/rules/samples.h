#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "filters/envelope.h"
#include "filters/rules/rule_set.h"

namespace postern::filters::rules {

/// A message as it would arrive, made of a sample's pieces: what a piece does not say is what any ordinary message has.
struct SampleMail {
  Envelope envelope;
  std::string message;
  Findings others;  ///< what authentication would have found
};
SampleMail make_mail(const Sample& sample);

/// Runs every sample of every rule through the whole set. What does not come out as the rule file says is a problem at the sample.
std::vector<Problem> check_samples(const RuleSet& set);

}  // namespace postern::filters::rules
