#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "filters/facts.h"
#include "gateway/check/evidence.h"

namespace postern::check {

/// One list, and what its answers mean; without a map 127.0.0.2 means "listed" (RFC 5782 §2.1).
struct DnsList {
  std::string zone;  ///< normal form
  std::map<std::string, std::string> answers;
};

/// Whether an IP address or a domain (normal form) stands in the lists. An answer that a list's map does not name is unknown,
/// never listed. Each list's own test points (RFC 5782 §5) are asked as well: one that does not list what it must, or lists what it
/// must not, is of no use. Nothing: answers are missing. Its JSON: check, subject, result (listed, not_listed, unknown),
/// lists [{zone, name, result, answer?, meaning?, text?, works, problem?}].
std::optional<Report> check_dnsbl(const std::string& subject, const std::vector<DnsList>& lists,
                                  filters::Facts& facts);

}  // namespace postern::check
