#include "filters/authentication/iprev.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/zone.h"

namespace postern::filters::authentication {
namespace {

struct IprevRow {
  std::string_view name, ip, zone;
  IprevResult result;
  std::string_view host, reason;
};

const IprevRow kRows[] = {
    {"there and back", "192.0.2.1",
     R"({"1.2.0.192.in-addr.arpa": [{"PTR": "mx.a.test"}], "mx.a.test": [{"A": "192.0.2.1"}]})",
     IprevResult::pass, "mx.a.test", ""},
    {"IPv6", "2001:db8::1",
     R"({"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": [{"PTR": "mx.a.test"}],
         "mx.a.test": [{"AAAA": "2001:db8::1"}]})",
     IprevResult::pass, "mx.a.test", ""},
    {"the second name leads back", "192.0.2.1",
     R"({"1.2.0.192.in-addr.arpa": [{"PTR": "z.a.test"}, {"PTR": "a.a.test"}], "z.a.test": [{"A": "192.0.2.1"}]})",
     IprevResult::pass, "z.a.test", ""},
    {"of two the first in the alphabet", "192.0.2.1",
     R"({"1.2.0.192.in-addr.arpa": [{"PTR": "z.a.test"}, {"PTR": "b.a.test"}],
         "z.a.test": [{"A": "192.0.2.1"}], "b.a.test": [{"A": "192.0.2.1"}]})",
     IprevResult::pass, "b.a.test", ""},
    {"leads elsewhere", "192.0.2.1",
     R"({"1.2.0.192.in-addr.arpa": [{"PTR": "mx.a.test"}], "mx.a.test": [{"A": "192.0.2.2"}]})",
     IprevResult::fail, "", "mx.a.test does not lead back"},
    {"no name", "192.0.2.1", "{}", IprevResult::permerror, "", "no reverse name"},
    {"the name is no name", "192.0.2.1", R"({"1.2.0.192.in-addr.arpa": [{"PTR": "a..b"}]})",
     IprevResult::permerror, "", "no reverse name"},
    {"reverse in trouble", "192.0.2.1", R"({"1.2.0.192.in-addr.arpa": ["TIMEOUT"]})", IprevResult::temperror,
     "", "reverse name: timed_out"},
    {"forward in trouble", "192.0.2.1",
     R"({"1.2.0.192.in-addr.arpa": [{"PTR": "mx.a.test"}], "mx.a.test": ["SERVFAIL"]})",
     IprevResult::temperror, "", "mx.a.test: servfail"},
};

TEST(Iprev, Rows) {
  for (const IprevRow& row : kRows) {
    SCOPED_TRACE(row.name);
    const support::Zone zone(nlohmann::json::parse(row.zone));
    Facts facts;
    std::optional<Iprev> iprev;
    for (int round = 0; round < 3 && !iprev; ++round) {
      iprev = check_iprev(*Ip::parse(row.ip), facts);
      zone.answer_all(facts);
    }
    ASSERT_TRUE(iprev);
    EXPECT_EQ(iprev->result, row.result);
    EXPECT_EQ(iprev->name, row.host);
    EXPECT_EQ(iprev->reason, row.reason);
  }
}

TEST(Iprev, LooksAtNoMoreThanTenNames) {
  Facts facts;
  Answer names{.status = AnswerStatus::data};
  for (char c = 'a'; c <= 'z'; ++c) names.records.push_back(std::string(1, c) + ".a.test");
  const Ip ip = *Ip::parse("192.0.2.1");
  EXPECT_FALSE(check_iprev(ip, facts));
  const Question reverse = facts.questions().front();
  facts.answer(reverse, std::move(names));
  EXPECT_FALSE(check_iprev(ip, facts));
  EXPECT_EQ(facts.questions().size(), kReverseNamesMax);
}

}  // namespace
}  // namespace postern::filters::authentication
