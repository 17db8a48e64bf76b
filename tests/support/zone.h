#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "filters/facts.h"

namespace postern::support {

/// A made-up DNS for tests: answers the questions of Facts from a JSON zone in the shape of the openspf
/// suite:
///   {"name": [{"A": "192.0.2.1"}, {"TXT": ["a", "b"]}, {"MX": [10, "host"]}, {"CNAME": "other"}, "TIMEOUT",
///   "SERVFAIL"]}
/// A name that is absent does not exist; one that is there without the type has no data. "TIMEOUT" and
/// "SERVFAIL" hold for every type that the name does not list before it; {"TXT": "TIMEOUT"} for that type
/// alone. {"SPF": …} is a TXT record as well unless the name has a TXT entry; {"TXT": "NONE"} switches that
/// off. Strings are octets: characters up to U+00FF stand for the octet of that number.
class Zone {
 public:
  explicit Zone(const nlohmann::json& zone);

  filters::Answer answer(const filters::Question& question) const;
  /// Answers everything open. Gives the number of questions answered.
  std::size_t answer_all(filters::Facts& facts) const;
  /// Answers one of the open questions, the one at `pick` modulo their number. False when there was none.
  bool answer_one(filters::Facts& facts, std::size_t pick) const;

 private:
  struct Name {
    std::map<std::string, std::vector<std::string>> records;  // by type
    std::map<std::string, filters::AnswerStatus> failures;    // by type; "" for whatever is not listed
  };
  filters::Answer look_up(std::string_view name, const std::string& type, unsigned aliases_left) const;
  std::map<std::string, Name> names_;
  std::set<std::string> parents_;  // empty non-terminals: they exist (RFC 8020)
};

}  // namespace postern::support
