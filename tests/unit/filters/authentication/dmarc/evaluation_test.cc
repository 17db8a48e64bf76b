#include "filters/authentication/dmarc/evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/zone.h"

namespace postern::filters::dmarc {
namespace {

struct WalkRow {
  std::string_view name, domain;
  std::vector<std::string> asked;
};

const WalkRow kWalks[] = {
    {"two labels", "a.test", {"_dmarc.a.test", "_dmarc.test"}},
    {"seven labels go up one by one",
     "1.2.3.4.5.6.test",
     {"_dmarc.1.2.3.4.5.6.test", "_dmarc.2.3.4.5.6.test", "_dmarc.3.4.5.6.test", "_dmarc.4.5.6.test",
      "_dmarc.5.6.test", "_dmarc.6.test", "_dmarc.test"}},
    {"eight labels",
     "0.1.2.3.4.5.6.test",
     {"_dmarc.0.1.2.3.4.5.6.test", "_dmarc.1.2.3.4.5.6.test", "_dmarc.2.3.4.5.6.test", "_dmarc.3.4.5.6.test",
      "_dmarc.4.5.6.test", "_dmarc.5.6.test", "_dmarc.6.test", "_dmarc.test"}},
    {"ten labels drop to seven",
     "x.y.0.1.2.3.4.5.6.test",
     {"_dmarc.x.y.0.1.2.3.4.5.6.test", "_dmarc.1.2.3.4.5.6.test", "_dmarc.2.3.4.5.6.test",
      "_dmarc.3.4.5.6.test", "_dmarc.4.5.6.test", "_dmarc.5.6.test", "_dmarc.6.test", "_dmarc.test"}},
    {"U-labels", "bücher.test", {"_dmarc.xn--bcher-kva.test", "_dmarc.test"}},
    {"one label", "localhost", {}},
    {"no domain", "a..b", {}},
};

TEST(Dmarc, TheNamesOfTheWalkAreAskedAtOnce) {
  for (const WalkRow& row : kWalks) {
    SCOPED_TRACE(row.name);
    Facts facts;
    EXPECT_EQ(evaluate(row.domain, {.spf = "", .dkim = {}}, facts).has_value(), row.asked.empty());
    std::vector<std::string> asked;
    for (const Question& question : facts.questions()) asked.push_back(question.name);
    EXPECT_EQ(asked, row.asked);
  }
}

struct OutcomeRow {
  std::string_view name, zone, author, spf;
  std::vector<std::string_view> dkim;
  Result result;
  Policy disposition = Policy::none;
};

const OutcomeRow kOutcomes[] = {
    {"aligned SPF",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=reject"}]})",
     "a.test",
     "a.test",
     {},
     Result::pass},
    {"relaxed: a subdomain",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=reject"}]})",
     "a.test",
     "b.a.test",
     {},
     Result::pass},
    {"strict: not a subdomain",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=reject; aspf=s"}]})",
     "a.test",
     "b.a.test",
     {},
     Result::fail,
     Policy::reject},
    {"one of several signatures",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=reject"}]})",
     "a.test",
     "",
     {"x.test", "a.test"},
     Result::pass},
    {"strict signature",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=quarantine; adkim=s"}]})",
     "a.test",
     "",
     {"m.a.test"},
     Result::fail,
     Policy::quarantine},
    {"another domain",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=quarantine"}]})",
     "a.test",
     "b.test",
     {"c.test"},
     Result::fail,
     Policy::quarantine},
    {"sp of the parent",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=none; sp=reject"}]})",
     "m.a.test",
     "",
     {},
     Result::fail,
     Policy::reject},
    {"np of the parent",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=none; np=reject"}]})",
     "m.a.test",
     "",
     {},
     Result::fail,
     Policy::reject},
    {"np, and the name exists",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=none; np=reject"}], "m.a.test": [{"A": "192.0.2.1"}]})",
     "m.a.test",
     "",
     {},
     Result::fail,
     Policy::none},
    {"testing",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=reject; t=y"}]})",
     "a.test",
     "",
     {},
     Result::fail,
     Policy::quarantine},
    {"two records are none",
     R"({"_dmarc.a.test": [{"TXT": "v=DMARC1; p=reject"}, {"TXT": "v=DMARC1; p=none"}]})",
     "a.test",
     "",
     {},
     Result::none},
    {"no record", "{}", "a.test", "a.test", {}, Result::none},
    {"a suffix's psd=y does not make two domains one",
     R"({"_dmarc.test": [{"TXT": "v=DMARC1; p=reject; psd=y"}]})",
     "a.test",
     "b.test",
     {},
     Result::fail,
     Policy::reject},
    {"in trouble", R"({"_dmarc.a.test": ["TIMEOUT"]})", "a.test", "a.test", {}, Result::temperror},
};

TEST(Dmarc, Outcomes) {
  for (const OutcomeRow& row : kOutcomes) {
    SCOPED_TRACE(row.name);
    const support::Zone zone(nlohmann::json::parse(row.zone));
    Facts facts;
    std::optional<Outcome> outcome;
    for (int round = 0; round < 5 && !outcome; ++round) {
      outcome = evaluate(row.author, {.spf = row.spf, .dkim = row.dkim}, facts);
      zone.answer_all(facts);
    }
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->result, row.result) << outcome->reason;
    EXPECT_EQ(outcome->disposition, row.disposition);
  }
}

}  // namespace
}  // namespace postern::filters::dmarc
