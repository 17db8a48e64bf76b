#include "filters/rules/rule.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::filters::rules {

std::string Problem::text() const {
  if (place.line == 0) return fmt::format("{}: {}", place.file, what);
  return fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, what);
}

bool Pattern::same_as(const Pattern& other) const {
  return subject == other.subject && expression == other.expression && caseless == other.caseless &&
         multiline == other.multiline && dotall == other.dotall && extended == other.extended &&
         counted == other.counted && inverted == other.inverted && has_default == other.has_default &&
         default_value == other.default_value;
}

std::uint32_t RuleBook::subject(Subject wanted) {
  const auto found = std::ranges::find(subjects, wanted);
  if (found != subjects.end()) return static_cast<std::uint32_t>(found - subjects.begin());
  subjects.push_back(std::move(wanted));
  return static_cast<std::uint32_t>(subjects.size() - 1);
}

std::uint32_t RuleBook::pattern(Pattern wanted) {
  patterns.push_back(std::move(wanted));
  return static_cast<std::uint32_t>(patterns.size() - 1);
}

std::uint32_t RuleBook::name(std::string_view wanted) {
  names.emplace_back(wanted);
  return static_cast<std::uint32_t>(names.size() - 1);
}

Rule* RuleBook::find(std::string_view name) {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : &rules[found->second];
}

Rule& RuleBook::add(Rule rule) {
  by_name_.emplace(rule.name, rules.size());
  return rules.emplace_back(std::move(rule));
}

}  // namespace postern::filters::rules
