#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "filters/rules/rule.h"

namespace postern::filters::rules {

/// Reads a file of our own rule language (README.md) into the book, and goes on after a mistake so that all are told, at most
/// kProblemsMax. What is wrong is left out of the book; whoever gets problems must not use it. Linear in the text.
inline constexpr std::size_t kProblemsMax = 200;
std::vector<Problem> read_rules(std::string_view text, std::string_view file, RuleBook& book);

/// A score: a decimal number from -1000 to 1000.
bool read_score(std::string_view text, double& score);

}  // namespace postern::filters::rules
