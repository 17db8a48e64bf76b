#include "gateway/check/spf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/unit/gateway/check/settled.h"

namespace postern::check {
namespace {

const nlohmann::json kZone = nlohmann::json::parse(R"({
  "good.test": [{"TXT": "v=spf1 a:host.good.test include:more.good.test -all"}],
  "host.good.test": [{"A": "192.0.2.9"}],
  "more.good.test": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
  "loop.test": [{"TXT": "v=spf1 include:loop.test -all"}],
  "dead.test": [{"TXT": "v=spf1 a:a.dead.test a:b.dead.test a:c.dead.test -all"}],
  "broken.test": [{"TXT": "v=spf1 ipv4:192.0.2.1 -all"}],
  "twice.test": [{"TXT": "v=spf1 -all"}, {"TXT": "v=spf1 ~all"}],
  "open.test": [{"TXT": "v=spf1 +all"}],
  "wide.test": [{"TXT": "v=spf1 ip4:192.0.0.0/8 ptr -all"}],
  "endless.test": [{"TXT": "v=spf1 ip4:198.51.100.1"}],
  "slow.test": ["TIMEOUT"]
})");

struct Case {
  std::string_view name, mail_from, result;
  std::string_view line;    ///< in one of the lines
  std::string_view advice;  ///< in one of the sentences; "": there is none at all
  bool temporary = false;
  std::string_view helo = "";
};

constexpr Case kCases[] = {
    {.name = "pass through an include",
     .mail_from = "a@good.test",
     .result = "pass",
     .line = "A host.good.test: 192.0.2.9 (TTL",
     .advice = ""},
    {.name = "HELO of the null sender",
     .mail_from = "",
     .result = "pass",
     .line = "HELO good.test",
     .advice = "",
     .helo = "good.test"},
    {.name = "bare domain",
     .mail_from = "good.test",
     .result = "pass",
     .line = "MAIL FROM <good.test>",
     .advice = ""},
    {.name = "no record",
     .mail_from = "a@nothing.test",
     .result = "none",
     .line = "no such name",
     .advice = "nothing.test. IN TXT \"v=spf1 ip4:192.0.2.1 -all\""},
    {.name = "too many terms",
     .mail_from = "a@loop.test",
     .result = "permerror",
     .line = "11 of 10 terms",
     .advice = "more than 10 DNS look-ups"},
    {.name = "too many void look-ups",
     .mail_from = "a@dead.test",
     .result = "permerror",
     .line = "3 of 2 look-ups",
     .advice = "take the dead names out"},
    {.name = "syntax",
     .mail_from = "a@broken.test",
     .result = "permerror",
     .line = "at octet 7",
     .advice = "must be corrected"},
    {.name = "two records",
     .mail_from = "a@twice.test",
     .result = "permerror",
     .line = "several",
     .advice = "several SPF records"},
    {.name = "the whole world",
     .mail_from = "a@open.test",
     .result = "pass",
     .line = "+all: match",
     .advice = "whole world"},
    {.name = "a wide network",
     .mail_from = "a@wide.test",
     .result = "pass",
     .line = "match",
     .advice = "very large network"},
    {.name = "ptr", .mail_from = "a@wide.test", .result = "pass", .line = "", .advice = "\"ptr\" is slow"},
    {.name = "no all",
     .mail_from = "a@endless.test",
     .result = "neutral",
     .line = "neutral",
     .advice = "does not end in"},
    {.name = "a silent name server",
     .mail_from = "a@slow.test",
     .result = "temperror",
     .line = "no answer in time",
     .advice = "no name server answered in time",
     .temporary = true},
};

TEST(CheckSpf, TellsEachStepAndWhatToChange) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const SpfRequest request{.ip = *filters::Ip::parse("192.0.2.1"),
                             .helo = std::string(c.helo),
                             .mail_from = std::string(c.mail_from),
                             .receiver = {},
                             .now = {}};
    const Report report = settled(kZone, [&](filters::Facts& facts) { return check_spf(request, facts); });
    EXPECT_EQ(report.json["result"], c.result);
    EXPECT_EQ(report.temporary, c.temporary);
    EXPECT_TRUE(says(report.lines, c.line)) << fmt::format("{}", fmt::join(report.lines, "\n"));
    EXPECT_TRUE(says(report.advice, c.advice)) << fmt::format("{}", fmt::join(report.advice, "\n"));
    if (c.advice.empty() && c.name != "ptr") {
      EXPECT_TRUE(report.advice.empty());
    }
  }
}

TEST(CheckSpf, EveryQuestionStandsAtTheStepThatAskedIt) {
  const SpfRequest request{.ip = *filters::Ip::parse("192.0.2.1"),
                           .helo = {},
                           .mail_from = "a@good.test",
                           .receiver = {},
                           .now = {}};
  const Report report = settled(kZone, [&](filters::Facts& facts) { return check_spf(request, facts); });
  std::string trail;
  for (const auto& step : report.json["steps"])
    for (const auto& asked : step["asked"])
      trail += fmt::format("{}|{} {};", step["term"].get<std::string>(), asked["kind"].get<std::string>(),
                           asked["name"].get<std::string>());
  EXPECT_EQ(trail, "|dns_txt good.test;a:host.good.test|dns_a host.good.test;|dns_txt more.good.test;");
  EXPECT_EQ(report.json["limits"]["terms"], 2);
  EXPECT_EQ(report.json["term"], "include:more.good.test");
}

}  // namespace
}  // namespace postern::check
