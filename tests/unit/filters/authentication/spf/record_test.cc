#include "filters/authentication/spf/record.h"

#include <gtest/gtest.h>

namespace postern::filters::spf {
namespace {

struct SyntaxCase {
  std::string_view name, text;
  std::string_view rule = {};  ///< part of the rule that is broken; empty: the record is good
};

constexpr SyntaxCase kSyntaxCases[] = {
    {.name = "nothing but the version", .text = "v=spf1"},
    {.name = "spaces at the end", .text = "v=spf1   "},
    {.name = "all qualifiers", .text = "v=spf1 +a -mx ~ptr ?exists:a.example -all"},
    {.name = "upper case", .text = "V=SPF1 A MX -ALL REDIRECT=a.example"},
    {.name = "both prefix lengths", .text = "v=spf1 a/24//64 mx:b.example//48 a:c.example/0"},
    {.name = "slash in a macro", .text = "v=spf1 a:%{d/}.example/24"},
    {.name = "unknown modifier", .text = "v=spf1 some-thing=%{d}x -all"},
    {.name = "final dot", .text = "v=spf1 include:a.example."},
    {.name = "all with an argument", .text = "v=spf1 all:a.example", .rule = "§5.1"},
    {.name = "include without a domain", .text = "v=spf1 include", .rule = "§5.2"},
    {.name = "include with a prefix length", .text = "v=spf1 include:a.example/24", .rule = "domain-spec"},
    {.name = "empty domain", .text = "v=spf1 a:", .rule = "domain-spec"},
    {.name = "top label of digits", .text = "v=spf1 a:host.123", .rule = "domain-spec"},
    {.name = "one label", .text = "v=spf1 a:localhost", .rule = "domain-spec"},
    {.name = "prefix length with a leading zero", .text = "v=spf1 a/024", .rule = "ip4-cidr-length"},
    {.name = "prefix length 33", .text = "v=spf1 a/33", .rule = "ip4-cidr-length"},
    {.name = "ip6 prefix length 129", .text = "v=spf1 a//129", .rule = "ip6-cidr-length"},
    {.name = "slash at the end", .text = "v=spf1 a/", .rule = "ip4-cidr-length"},
    {.name = "ip4 of three parts", .text = "v=spf1 ip4:192.0.2", .rule = "ip4-network"},
    {.name = "ip4 without an address", .text = "v=spf1 ip4", .rule = "ip4-network"},
    {.name = "ip4 of an IPv6 address", .text = "v=spf1 ip4:2001:db8::1", .rule = "ip4-network"},
    {.name = "ip6 of an IPv4 address", .text = "v=spf1 ip6:192.0.2.1", .rule = "ip6-network"},
    {.name = "unknown mechanism", .text = "v=spf1 smile -all", .rule = "mechanism"},
    {.name = "qualifier before a modifier", .text = "v=spf1 -redirect=a.example", .rule = "mechanism"},
    {.name = "redirect twice", .text = "v=spf1 redirect=a.example redirect=b.example", .rule = "§6"},
    {.name = "exp twice", .text = "v=spf1 exp=a.example exp=b.example", .rule = "§6"},
    {.name = "redirect to nothing", .text = "v=spf1 redirect=", .rule = "domain-spec"},
    {.name = "macro letter of explanations", .text = "v=spf1 exists:%{c}.example", .rule = "domain-spec"},
    {.name = "percent alone", .text = "v=spf1 exists:a%b.example", .rule = "domain-spec"},
    {.name = "macro of zero parts", .text = "v=spf1 exists:%{d0}.example", .rule = "domain-spec"},
    {.name = "a tab is no separator", .text = "v=spf1 a\t-all", .rule = "mechanism"},
    {.name = "eight bits", .text = "v=spf1 x=\xc3\xbc -all", .rule = "macro-string"},
};

TEST(SpfRecord, FindsWhatBreaksTheSyntax) {
  for (const SyntaxCase& c : kSyntaxCases) {
    SCOPED_TRACE(c.name);
    ASSERT_TRUE(is_spf(c.text));
    const auto record = parse_record(c.text);
    EXPECT_EQ(record.has_value(), c.rule.empty()) << (record ? "" : record.error().rule);
    if (record || c.rule.empty()) continue;
    EXPECT_NE(record.error().rule.find(c.rule), std::string::npos) << record.error().rule;
    EXPECT_LE(record.error().position, c.text.size());
  }
}

TEST(SpfRecord, KnowsItsVersion) {
  EXPECT_TRUE(is_spf("v=spf1"));
  EXPECT_TRUE(is_spf("v=spf1 all"));
  EXPECT_FALSE(is_spf("v=spf10 all"));
  EXPECT_FALSE(is_spf("v=spf1\tall"));
  EXPECT_FALSE(is_spf(" v=spf1"));
  EXPECT_FALSE(is_spf(""));
}

TEST(SpfRecord, TakesPrefixLengthsApart) {
  const auto record = parse_record("v=spf1 a:host.example/24//64 mx//48 a/16");
  ASSERT_TRUE(record);
  ASSERT_EQ(record->directives.size(), 3U);
  EXPECT_EQ(record->directives[0].target, "host.example");
  EXPECT_EQ(record->directives[0].v4_bits, 24);
  EXPECT_EQ(record->directives[0].v6_bits, 64);
  EXPECT_EQ(record->directives[1].target, "");
  EXPECT_EQ(record->directives[1].v4_bits, 32);
  EXPECT_EQ(record->directives[1].v6_bits, 48);
  EXPECT_EQ(record->directives[2].v4_bits, 16);
}

}  // namespace
}  // namespace postern::filters::spf
