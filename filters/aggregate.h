#pragma once

#include <string>
#include <utility>
#include <vector>

namespace postern::filters {

/// What an aggregate report of DMARC says about one message (RFC 9990 §3.1): messages that agree in all of it, and in the client's
/// address, are one row. Values are cut to authentication::kValueOctetsMax; spelled as the RFC prints them.
struct AggregateRow {
  struct Signature {
    std::string domain, selector, result;
    friend bool operator==(const Signature&, const Signature&) = default;
  };
  std::string policy_domain;               ///< where the record stands; whose owner gets the report
  std::string header_from, envelope_from;  ///< domains
  std::string disposition;                 ///< none pass quarantine reject
  bool dkim_aligned = false, spf_aligned = false;
  std::vector<std::pair<std::string, std::string>> reasons;  ///< type and comment of each override
  std::string spf_domain, spf_scope, spf_result;  ///< scope: helo mfrom; all empty when not evaluated
  std::vector<Signature> dkim;
  std::string policy, subdomain_policy, nonexistent_policy;  ///< as published; "" when absent
  bool dkim_strict = false, spf_strict = false, testing = false;
  friend bool operator==(const AggregateRow&, const AggregateRow&) = default;
};

}  // namespace postern::filters
