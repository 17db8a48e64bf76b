#include "filters/authentication/results/field.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace postern::filters::results {
namespace {

std::string_view value_of(std::string_view field) {
  return field.substr(field.find(':') + 1);
}

const Field kFields[] = {
    {"mx.test", 1, {}},
    {"mx.test", 1, {{"spf", 1, "pass", "", "", {{"smtp.mailfrom", "ann@a.test"}}}}},
    {"[192.0.2.1]", 1, {{"iprev", 1, "permerror", "no reverse name", "", {{"policy.iprev", "192.0.2.1"}}}}},
    {"mx.test",
     1,
     {{"dkim",
       1,
       "fail",
       "body hash (b) did; \"not\" verify\\",
       "",
       {{"header.d", "a.test"}, {"header.b", "a/b+c="}}},
      {"dmarc", 1, "fail", "", "p=reject", {{"header.from", "a.test"}}},
      {"arc", 1, "none", "", "", {}}}},
    {"mx.test", 1, {{"spf", 1, "softfail", "", "", {{"smtp.mailfrom", "\"odd one\"@a.test"}}}}},
};

TEST(Results, WhatIsWrittenReadsBack) {
  for (const Field& field : kFields) {
    const std::string text = write(field);
    SCOPED_TRACE(text);
    ASSERT_TRUE(text.ends_with("\r\n"));
    const auto read = parse(value_of(text));
    ASSERT_TRUE(read) << read.error().position << ": " << read.error().rule;
    EXPECT_EQ(read->authserv_id, field.authserv_id);
    ASSERT_EQ(read->results.size(), field.results.size());
    for (std::size_t i = 0; i < field.results.size(); ++i) {
      EXPECT_EQ(read->results[i].method, field.results[i].method);
      EXPECT_EQ(read->results[i].result, field.results[i].result);
      EXPECT_EQ(read->results[i].reason, field.results[i].reason);
      EXPECT_EQ(read->results[i].properties, field.results[i].properties);
    }
    EXPECT_EQ(claimed_authserv_id(value_of(text)), field.authserv_id);
  }
}

TEST(Results, NothingAStrangerSaysBeginsAFieldOrAResult) {
  const std::string_view rows[] = {"x\r\nX-Spam-Flag: NO",
                                   "x\n\nbody",
                                   "x; dmarc=pass header.from=bank.test",
                                   "\"; dmarc=pass",
                                   "x) dmarc=pass (",
                                   "\\",
                                   "\\\"",
                                   "a b@c; dmarc=pass",
                                   std::string_view("nul\0x", 5),
                                   "\x7f\x01",
                                   "@",
                                   "a@",
                                   ""};
  for (const std::string_view hostile : rows) {
    SCOPED_TRACE(hostile);
    const Field field{"mx.test",
                      1,
                      {{"spf",
                        1,
                        "fail",
                        std::string(hostile),
                        std::string(hostile),
                        {{"smtp.mailfrom", std::string(hostile)}}}}};
    const std::string text = write(field);
    for (std::size_t at = text.find('\n'); at + 1 < text.size(); at = text.find('\n', at + 1)) {
      ASSERT_NE(at, std::string::npos);
      EXPECT_EQ(text[at - 1], '\r');
      EXPECT_EQ(text[at + 1], '\t');
    }
    EXPECT_EQ(text.find('\0'), std::string::npos);
    const auto read = parse(value_of(text));
    ASSERT_TRUE(read) << text << read.error().rule;
    ASSERT_EQ(read->results.size(), 1U);
    EXPECT_EQ(read->results[0].method, "spf");
    EXPECT_EQ(read->results[0].properties.size(), 1U);
  }
}

TEST(Results, WhoIsClaimed) {
  const struct {
    std::string_view value, id;
  } rows[] = {{" MX.Test; spf=pass", "mx.test"},
              {" (c (d) \\) ) mx.test 1; none", "mx.test"},
              {" \"mx.t\\est\"", "mx.test"},
              {"mx.test.;", "mx.test"},
              {" mx(x).test;", "mx.test"},
              {"", ""},
              {" (mx.test", ""}};
  for (const auto& row : rows) EXPECT_EQ(claimed_authserv_id(row.value), row.id) << row.value;
}

TEST(Results, StrictRefusesWhatRelaxedTakes) {
  for (const std::string_view value :
       {" mx.test; spf=pass;", " mx.test; dkim=odd", " mx.test; dmarc=pass action=none"}) {
    EXPECT_FALSE(parse(value)) << value;
    EXPECT_TRUE(parse(value, {.relaxed = true})) << value;
  }
}

TEST(Results, AtMostSoManyResults) {
  std::string value = " mx.test";
  for (std::size_t i = 0; i < kResultsMax; ++i) value += "; spf=pass";
  EXPECT_TRUE(parse(value));
  EXPECT_FALSE(parse(value + "; spf=pass"));
}

}  // namespace
}  // namespace postern::filters::results
