#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "filters/facts.h"
#include "gateway/dns/resolver.h"

namespace postern::test {

/// What came of asking, on a reactor of its own.
struct Conversation {
  std::vector<filters::Answer> answers;  ///< in the order of the questions
  dns::ResolverCounters counters;
  std::chrono::milliseconds asking{0}, closing{0};
  std::string trouble;  ///< the resolver could not be made
};

struct Manner {
  std::chrono::milliseconds timeout{5000};
  bool at_once = true;                        ///< all questions in parallel; else one after the other
  std::chrono::milliseconds pause{0};         ///< between one and the next
  std::chrono::milliseconds close_after{-1};  ///< close() while questions are under way; negative: afterwards
};

Conversation converse(const dns::ResolverOptions& options, const std::vector<filters::Question>& questions,
                      const Manner& manner = {});

/// Forwards to one server, without validation.
dns::ResolverOptions forwarding(const std::string& address);

}  // namespace postern::test
