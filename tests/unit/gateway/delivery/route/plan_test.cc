#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "filters/dns.h"
#include "gateway/delivery/route/routes.h"

namespace postern::delivery {
namespace {

namespace dns = filters::dns;
using filters::AnswerStatus;

/// "mx a.example": "10 mx1.a.example" …; what is not there is no such name.
using Zone = std::map<std::string, std::vector<std::string>>;

filters::Answer answer_from(const Zone& zone, const filters::Question& question) {
  const std::string kind = question.kind == filters::QuestionKind::dns_mx  ? "mx "
                           : question.kind == filters::QuestionKind::dns_a ? "a "
                                                                           : "aaaa ";
  filters::Answer answer{.status = AnswerStatus::data};
  const auto found = zone.find(kind + question.name);
  if (found == zone.end()) {
    const bool named = std::ranges::any_of(
        zone, [&](const auto& entry) { return entry.first.ends_with(" " + question.name); });
    answer.status = named ? AnswerStatus::no_data : AnswerStatus::no_such_name;
  } else if (found->second == std::vector<std::string>{"SERVFAIL"}) {
    answer.status = AnswerStatus::servfail;
  } else {
    answer.records = found->second;
  }
  return answer;
}

/// Asks until there is a plan; `one_by_one`: one answer for each round.
Plan planned(const Route& route, std::string_view destination, const Zone& zone, std::uint64_t chance = 1,
             bool one_by_one = false) {
  filters::Facts facts;
  for (int round = 0; round < 100; ++round) {
    Plan made = plan(route, destination, "mx.our.example", facts, chance);
    if (made.kind != Plan::Kind::pending) return made;
    const auto open = facts.questions();
    EXPECT_FALSE(open.empty());
    for (auto question = open.rbegin(); question != open.rend(); ++question) {
      facts.answer(*question, answer_from(zone, *question));
      if (one_by_one) break;
    }
  }
  ADD_FAILURE() << "never ends";
  return {};
}

std::string text_of(const Plan& plan) {
  std::string text;
  if (plan.kind == Plan::Kind::temporary) text = "4: " + plan.enhanced;
  if (plan.kind == Plan::Kind::permanent) text = "5: " + plan.enhanced;
  for (const NextHop& hop : plan.hops)
    text += (text.empty() ? "" : " ") + hop.host_name + "=" + hop.address.text() + (hop.lmtp ? "/lmtp" : "");
  return text;
}

Route route_to(std::vector<std::string> to, std::string source = {}) {
  config::Config config;
  config.hostname = "mx.our.example";
  config.domains.push_back(
      {.name = "r.example", .deliver = "relay", .to = std::move(to), .source = std::move(source)});
  return Routes(config).find("r.example");
}

struct Case {
  std::string_view name, destination;
  Zone zone;
  std::string_view expected;
};

TEST(Plan, FollowsMx) {
  const Case kCases[] = {
      {"preferences",
       "a.example",
       {{"mx a.example", {"20 b2.example", "10 b1.example"}},
        {"a b1.example", {"192.0.2.1"}},
        {"a b2.example", {"192.0.2.2"}}},
       "b1.example=192.0.2.1:25 b2.example=192.0.2.2:25"},
      {"both families",
       "a.example",
       {{"mx a.example", {"10 b.example"}},
        {"a b.example", {"192.0.2.1"}},
        {"aaaa b.example", {"2001:db8::1"}}},
       "b.example=[2001:db8::1]:25 b.example=192.0.2.1:25"},
      {"implicit MX", "a.example", {{"a a.example", {"192.0.2.9"}}}, "a.example=192.0.2.9:25"},
      {"null MX", "a.example", {{"mx a.example", {"0 ."}}, {"a a.example", {"192.0.2.9"}}}, "5: 5.1.10"},
      {"null MX beside others",
       "a.example",
       {{"mx a.example", {"0 .", "10 b.example"}}, {"a b.example", {"192.0.2.1"}}},
       "b.example=192.0.2.1:25"},
      {"no such domain", "a.example", {}, "5: 5.1.2"},
      {"no address at all", "a.example", {{"txt a.example", {}}}, "5: 5.4.4"},
      {"MX in trouble",
       "a.example",
       {{"mx a.example", {"SERVFAIL"}}, {"a a.example", {"192.0.2.1"}}},
       "4: 4.4.3"},
      {"addresses in trouble",
       "a.example",
       {{"mx a.example", {"10 b.example"}}, {"a b.example", {"SERVFAIL"}}},
       "4: 4.4.3"},
      {"one host in trouble",
       "a.example",
       {{"mx a.example", {"10 b1.example", "20 b2.example"}},
        {"a b1.example", {"SERVFAIL"}},
        {"a b2.example", {"192.0.2.2"}}},
       "b2.example=192.0.2.2:25"},
      {"we are the best",
       "a.example",
       {{"mx a.example", {"10 mx.our.example", "20 b.example"}}, {"a b.example", {"192.0.2.1"}}},
       "5: 5.4.6"},
      {"we are a backup",
       "a.example",
       {{"mx a.example", {"10 b.example", "20 mx.our.example", "20 c.example", "30 d.example"}},
        {"a b.example", {"192.0.2.1"}},
        {"a c.example", {"192.0.2.2"}}},
       "b.example=192.0.2.1:25"},
      {"IPv4 literal", "[192.0.2.7]", {}, "192.0.2.7=192.0.2.7:25"},
      {"IPv6 literal", "[IPv6:2001:db8::7]", {}, "2001:db8::7=[2001:db8::7]:25"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(text_of(planned(Route{}, c.destination, c.zone)), c.expected);
    EXPECT_EQ(text_of(planned(Route{}, c.destination, c.zone, 1, true)), c.expected);
  }
}

TEST(Plan, EqualPreferencesAreShared) {
  Zone zone{{"mx a.example", {"10 b1.example", "10 b2.example", "20 b3.example"}}};
  for (int i = 1; i <= 3; ++i) zone[fmt::format("a b{}.example", i)] = {fmt::format("192.0.2.{}", i)};
  int first = 0;
  for (std::uint64_t chance = 0; chance < 1000; ++chance) {
    const Plan plan = planned(Route{}, "a.example", zone, chance);
    ASSERT_EQ(plan.hops.size(), 3U);
    EXPECT_EQ(plan.hops[2].host_name, "b3.example");
    if (plan.hops[0].host_name == "b1.example") ++first;
  }
  EXPECT_GT(first, 400);
  EXPECT_LT(first, 600);
}

TEST(Plan, ListsGoByPriorityAndWeight) {
  const Zone zone{{"a h.example", {"192.0.2.5"}}};
  EXPECT_EQ(text_of(planned(route_to({"192.0.2.1:25", "h.example:2525", "lmtp:unix:/run/lmtp"}), "r.example",
                            zone)),
            "192.0.2.1=192.0.2.1:25 h.example=192.0.2.5:2525 /run/lmtp=unix:/run/lmtp/lmtp");
  EXPECT_EQ(text_of(planned(route_to({"192.0.2.1:25 priority=5", "lmtp:192.0.2.2:24 priority=1"}),
                            "r.example", zone)),
            "192.0.2.2=192.0.2.2:24/lmtp 192.0.2.1=192.0.2.1:25");
  int first = 0;
  const Route weighted = route_to({"192.0.2.1:25 priority=1 weight=3", "192.0.2.2:25 priority=1"});
  for (std::uint64_t chance = 0; chance < 1000; ++chance)
    if (planned(weighted, "r.example", zone, chance).hops[0].host_name == "192.0.2.1") ++first;
  EXPECT_GT(first, 690);
  EXPECT_LT(first, 810);
}

TEST(Plan, OurOwnMistakesAreTemporary) {
  EXPECT_EQ(text_of(planned(route_to({"gone.example:25"}), "r.example", {})), "4: 4.3.5");
  EXPECT_EQ(text_of(planned(route_to({"mx:gone.example"}), "r.example", {})), "4: 4.3.5");
}

TEST(Plan, ASourceAddressKeepsToItsFamily) {
  const Zone zone{{"a h.example", {"192.0.2.5"}}, {"aaaa h.example", {"2001:db8::5"}}};
  const Plan plan = planned(route_to({"h.example:25"}, "192.0.2.99"), "r.example", zone);
  EXPECT_EQ(text_of(plan), "h.example=192.0.2.5:25");
  ASSERT_TRUE(plan.hops[0].source);
  EXPECT_EQ(plan.hops[0].source->ip.text(), "192.0.2.99");
}

TEST(Plan, IsBounded) {
  Zone zone;
  for (int i = 0; i < 100; ++i) {
    zone["mx a.example"].push_back(fmt::format("{} h{}.example", i, i));
    for (int k = 0; k < 50; ++k)
      zone[fmt::format("a h{}.example", i)].push_back(fmt::format("192.0.{}.{}", i, k));
  }
  EXPECT_EQ(planned(Route{}, "a.example", zone).hops.size(), kPlanHopsMax);
}

}  // namespace
}  // namespace postern::delivery
