#include "filters/reputation/test_points.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tests/support/zone.h"

namespace postern::filters {
namespace {

using enum ListTrial::Outcome;

constexpr std::string_view kV6Listed =
    "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.test";
constexpr std::string_view kV6Unlisted =
    "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.test";

struct Row {
  std::string_view name, zone;
  BlocklistKind kind;
  ListTrial::Outcome outcome;
  std::string_view reason = {};
};

const Row kRows[] = {
    {"as it should be", R"({"2.0.0.127.bl.test": [{"A": "127.0.0.2"}]})", BlocklistKind::ip, sound},
    {"lists everybody",
     R"({"2.0.0.127.bl.test": [{"A": "127.0.0.2"}], "1.0.0.127.bl.test": [{"A": "127.0.0.2"}]})",
     BlocklistKind::ip, wrong, "it lists 127.0.0.1, which must never be listed, as 127.0.0.2"},
    {"the zone has been sold",
     R"({"2.0.0.127.bl.test": [{"A": "203.0.113.80"}], "1.0.0.127.bl.test": [{"A": "203.0.113.80"}]})",
     BlocklistKind::ip, wrong, "it lists 127.0.0.1, which must never be listed, as 203.0.113.80"},
    {"has had enough of us",
     R"({"2.0.0.127.bl.test": [{"A": "127.255.255.254"}], "1.0.0.127.bl.test": [{"A": "127.255.255.254"}]})",
     BlocklistKind::ip, wrong, "it refuses: 127.255.255.254"},
    {"its server refuses", R"({"2.0.0.127.bl.test": ["REFUSED"], "1.0.0.127.bl.test": ["REFUSED"]})",
     BlocklistKind::ip, wrong, "it refuses: refused"},
    {"lists nobody any more", R"({"bl.test": [{"A": "192.0.2.1"}]})", BlocklistKind::ip, silent,
     "it does not list its test entry"},
    {"does not answer", R"({"2.0.0.127.bl.test": ["TIMEOUT"], "1.0.0.127.bl.test": ["TIMEOUT"]})",
     BlocklistKind::ip, unknown, "no answer: timed_out"},
    {"in trouble with what it lists", R"({"2.0.0.127.bl.test": ["SERVFAIL"]})", BlocklistKind::ip, unknown,
     "no answer: servfail"},
    {"a list of domains", R"({"test.bl.test": [{"A": "127.0.1.2"}]})", BlocklistKind::domain, sound},
    {"of domains, and lists INVALID",
     R"({"test.bl.test": [{"A": "127.0.1.2"}], "invalid.bl.test": [{"A": "127.0.1.2"}]})",
     BlocklistKind::domain, wrong, "it lists INVALID, which must never be listed, as 127.0.1.2"},
};

ListTrial tried(const Row& row, const nlohmann::json& content) {
  const support::Zone zone(content);
  Facts facts;
  const Blocklist list{.zone = "bl.test", .kind = row.kind, .answers = {}, .score = 1};
  EXPECT_FALSE(try_list(list, facts).has_value());
  EXPECT_EQ(facts.questions().size(), row.kind == BlocklistKind::ip ? 4U : 2U) << "all in one round";
  zone.answer_all(facts);
  return try_list(list, facts).value_or(ListTrial{.outcome = unknown, .reason = "pending"});
}

TEST(TestPoints, Rows) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const ListTrial trial = tried(row, nlohmann::json::parse(row.zone));
    EXPECT_EQ(to_string(trial.outcome), to_string(row.outcome));
    EXPECT_EQ(trial.reason, row.reason);
  }
}

TEST(TestPoints, IPv6EntriesMayBeMissingAndMustNotBeWrong) {
  nlohmann::json content = {{"2.0.0.127.bl.test", {{{"A", "127.0.0.2"}}}}};
  content[std::string(kV6Listed)] = {{{"A", "127.0.0.2"}}};
  EXPECT_EQ(tried(kRows[0], content).outcome, sound);
  content[std::string(kV6Unlisted)] = {{{"A", "127.0.0.2"}}};
  const ListTrial trial = tried(kRows[0], content);
  EXPECT_EQ(trial.outcome, wrong);
  EXPECT_EQ(trial.reason, "it lists ::FFFF:7F00:1, which must never be listed, as 127.0.0.2");
}

}  // namespace
}  // namespace postern::filters
