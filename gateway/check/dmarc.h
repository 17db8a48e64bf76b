#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "filters/facts.h"
#include "gateway/check/evidence.h"

namespace postern::check {

/// What DMARC is asked about, once SPF and DKIM are known.
struct DmarcRequest {
  std::string author_domain;
  std::string spf_result = "none", spf_domain;            ///< of MAIL FROM or HELO
  std::vector<std::pair<std::string, std::string>> dkim;  ///< result and d= of each signature
  std::string multiple;  ///< why there is no single author domain; "" when there is one
};

/// DMARC (RFC 9989): the tree walk, the record, who is aligned, and what the owner asks for. Nothing: answers are missing. Its
/// JSON: check, result, reason?, author_domain, organizational_domain, record_domain, record?, policy?, disposition, aligned {spf,
/// dkim}, identifiers [{method, result, domain, mode, aligned}].
std::optional<Report> check_dmarc(const DmarcRequest& request, filters::Facts& facts);

}  // namespace postern::check
