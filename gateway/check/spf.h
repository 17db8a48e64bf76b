#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "filters/facts.h"
#include "filters/ip.h"
#include "gateway/check/evidence.h"

namespace postern::check {

struct SpfRequest {
  filters::Ip ip;
  std::string helo;
  std::string
      mail_from;  ///< address in normal form, a bare domain, or "" for the null reverse-path: then HELO is checked
  std::string receiver;  ///< %{r} of explanations
  std::chrono::sys_seconds now{};
};

/// SPF (RFC 7208) with each term, each answer and the limits used. Nothing: answers are missing. Its JSON: check, result,
/// identity, domain, term?, record_domain?, explanation?, problem?, limits {terms, terms_max, void_lookups, void_lookups_max},
/// steps [{depth, domain, term, what, terms, void_lookups, asked [{kind, name}]}].
std::optional<Report> check_spf(const SpfRequest& request, filters::Facts& facts);

}  // namespace postern::check
