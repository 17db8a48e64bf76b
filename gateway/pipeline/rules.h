#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "filters/rules/rule_set.h"
#include "gateway/config/config.h"

namespace postern::pipeline {

/// Rule files as they were read, before they are compiled.
struct RuleFiles {
  filters::rules::RuleBook book;
  std::vector<filters::rules::Problem>
      problems;  ///< of our own language, or files that cannot be read: nothing may be used
  std::vector<filters::rules::Problem> skipped;  ///< of SpamAssassin's files: what could not be taken
  std::vector<std::filesystem::path> files;      ///< that were read, in their order
};

inline constexpr std::size_t kRuleFileOctetsMax = 16U << 20;

/// The folder that the manifest means, where it is there; empty: none.
std::filesystem::path rules_folder(const config::Config& config);
/// Reads what [filter.rules] names. Blocking.
RuleFiles read_rule_files(const config::Config& config);
/// One file, of our own language or, where its name ends in .cf, of SpamAssassin's. Blocking.
void read_rule_file(const std::filesystem::path& file, RuleFiles& into);
/// [filter.rules] without its files.
filters::rules::Settings rule_settings(const config::RulesConfig& config);

/// The rules of a manifest, compiled or from the cache, which is written where it can be. Null where there are none. The error names the
/// first problem, one sentence; nothing has changed then. Blocking, seconds where nothing is cached: start-up or a worker.
std::expected<std::shared_ptr<const filters::rules::RuleSet>, std::string> load_rules(
    const config::Config& config, std::vector<std::string>* warnings);

}  // namespace postern::pipeline
