#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/check/evidence.h"
#include "tests/support/zone.h"

namespace postern::check {

/// The report once everything is answered from the zone.
template <typename Check>
Report settled(const nlohmann::json& zone, Check one) {
  const support::Zone names(zone);
  filters::Facts facts;
  for (int round = 0; round < 64; ++round) {
    std::optional<Report> report = one(facts);
    if (report) return *std::move(report);
    if (names.answer_all(facts) == 0) break;
  }
  ADD_FAILURE() << "pending, and nothing is asked";
  return {};
}

inline bool says(const std::vector<std::string>& lines, std::string_view part) {
  return part.empty() || std::ranges::any_of(lines, [&](const std::string& line) {
           return line.find(part) != std::string::npos;
         });
}

}  // namespace postern::check
