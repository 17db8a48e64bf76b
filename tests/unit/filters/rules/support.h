#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "filters/rules/language.h"
#include "filters/rules/rule_set.h"
#include "filters/rules/samples.h"

namespace postern::filters::rules {

inline std::shared_ptr<const RuleSet> set_of(std::string_view text, const Settings& settings = {}) {
  RuleBook book;
  for (const Problem& problem : read_rules(text, "test.rules", book)) ADD_FAILURE() << problem.text();
  auto set = RuleSet::compile(std::move(book), settings);
  if (set) return *std::move(set);
  for (const Problem& problem : set.error()) ADD_FAILURE() << problem.text();
  return nullptr;
}

/// What a rule set finds in the message that the pieces make.
inline Findings findings_of(const RuleSet& set, std::vector<std::pair<std::string, std::string>> pieces) {
  const SampleMail mail = make_mail({.match = true, .pieces = std::move(pieces), .place = {}});
  Analysis analysis = Analysis::of(mail.message);
  analysis.read_content();
  Findings findings = mail.others;
  const auto scanned = set.scan(mail.envelope, analysis, *analysis.content());
  set.report(*scanned, findings);
  return findings;
}

inline std::vector<std::string> names_of(const Findings& findings) {
  std::vector<std::string> names;
  for (const Finding& finding : findings.found) names.push_back(finding.name);
  return names;
}

}  // namespace postern::filters::rules
