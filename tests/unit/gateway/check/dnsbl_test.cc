#include "gateway/check/dnsbl.h"

#include "tests/unit/gateway/check/settled.h"

namespace postern::check {
namespace {

const nlohmann::json kZone = nlohmann::json::parse(R"({
  "2.0.0.127.bl.test": [{"A": "127.0.0.2"}],
  "5.2.0.192.bl.test": [{"A": "127.0.0.2"}, {"TXT": "seen spamming"}],
  "6.2.0.192.bl.test": [{"A": "127.0.0.4"}],
  "2.0.0.127.all.test": [{"A": "127.0.0.2"}], "1.0.0.127.all.test": [{"A": "127.0.0.2"}], "7.2.0.192.all.test": [{"A": "127.0.0.2"}],
  "2.0.0.127.no.test": [{"A": "127.0.0.2"}], "7.2.0.192.no.test": [{"A": "127.255.255.254"}],
  "7.2.0.192.slow.test": ["TIMEOUT"],
  "test.names.test": [{"A": "127.0.0.2"}],
  "bad.test.names.test": [{"A": "127.0.0.2"}]
})");

struct Case {
  std::string_view name, subject, zone, result;
  bool works = true, temporary = false;
  std::string_view line = "";
};

constexpr Case kCases[] = {
    {.name = "listed, with the list's words",
     .subject = "192.0.2.5",
     .zone = "bl.test",
     .result = "listed",
     .line = "seen spamming"},
    {.name = "not listed", .subject = "192.0.2.7", .zone = "bl.test", .result = "not_listed"},
    {.name = "an answer outside the map",
     .subject = "192.0.2.6",
     .zone = "bl.test",
     .result = "unknown",
     .line = "means nothing"},
    {.name = "a list that lists everything",
     .subject = "192.0.2.7",
     .zone = "all.test",
     .result = "listed",
     .works = false,
     .line = "which no list may hold"},
    {.name = "a list that is gone",
     .subject = "192.0.2.7",
     .zone = "gone.test",
     .result = "not_listed",
     .works = false,
     .line = "does not list 2.0.0.127"},
    {.name = "a refusal",
     .subject = "192.0.2.7",
     .zone = "no.test",
     .result = "unknown",
     .works = false,
     .line = "refuses to answer"},
    {.name = "silence",
     .subject = "192.0.2.7",
     .zone = "slow.test",
     .result = "unknown",
     .works = false,
     .temporary = true},
    {.name = "a domain", .subject = "bad.test", .zone = "names.test", .result = "listed"},
    {.name = "IPv6",
     .subject = "2001:db8::1",
     .zone = "bl.test",
     .result = "not_listed",
     .works = false,
     .line = "A 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test: no such name"},
};

TEST(CheckDnsbl, KnowsListedFromUnknown) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Report report = settled(kZone, [&](filters::Facts& facts) {
      return check_dnsbl(std::string(c.subject), {{.zone = std::string(c.zone), .answers = {}}}, facts);
    });
    EXPECT_EQ(report.json["result"], c.result);
    EXPECT_EQ(report.json["lists"][0]["works"], c.works);
    EXPECT_EQ(report.temporary, c.temporary);
    EXPECT_TRUE(says(report.lines, c.line));
  }
}

TEST(CheckDnsbl, TheMapOfAListDecides) {
  const Report report = settled(kZone, [&](filters::Facts& facts) {
    return check_dnsbl("192.0.2.6", {{.zone = "bl.test", .answers = {{"127.0.0.4", "open relay"}}}}, facts);
  });
  EXPECT_EQ(report.json["result"], "listed");
  EXPECT_EQ(report.json["lists"][0]["meaning"], "open relay");
}

TEST(CheckDnsbl, ANameThatIsTooLongIsUnknown) {
  const std::string subject = std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') +
                              "." + std::string(60, 'd');
  const Report report = settled(kZone, [&](filters::Facts& facts) {
    return check_dnsbl(subject, {{.zone = "bl.test", .answers = {}}}, facts);
  });
  EXPECT_EQ(report.json["result"], "unknown");
}

}  // namespace
}  // namespace postern::check
