#include "filters/authentication/spf/macro.h"

#include <gtest/gtest.h>

#include "filters/dns.h"

namespace postern::filters::spf {
namespace {

struct MacroCase {
  std::string_view name, text, v4, v6 = v4;
};

// RFC 7208 §7.4: the sender strong-bad@email.example.com, the client 192.0.2.3 or 2001:db8::cb01.
constexpr MacroCase kMacroCases[] = {
    {.name = "s", .text = "%{s}", .v4 = "strong-bad@email.example.com"},
    {.name = "o", .text = "%{o}", .v4 = "email.example.com"},
    {.name = "d", .text = "%{d}", .v4 = "email.example.com"},
    {.name = "d4", .text = "%{d4}", .v4 = "email.example.com"},
    {.name = "d2", .text = "%{d2}", .v4 = "example.com"},
    {.name = "d1", .text = "%{d1}", .v4 = "com"},
    {.name = "dr", .text = "%{dr}", .v4 = "com.example.email"},
    {.name = "d2r", .text = "%{d2r}", .v4 = "example.email"},
    {.name = "l", .text = "%{l}", .v4 = "strong-bad"},
    {.name = "l-", .text = "%{l-}", .v4 = "strong.bad"},
    {.name = "lr", .text = "%{lr}", .v4 = "strong-bad"},
    {.name = "lr-", .text = "%{lr-}", .v4 = "bad.strong"},
    {.name = "l1r-", .text = "%{l1r-}", .v4 = "strong"},
    {.name = "ir.v",
     .text = "%{ir}.%{v}._spf.%{d2}",
     .v4 = "3.2.0.192.in-addr._spf.example.com",
     .v6 = "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
    {.name = "literals", .text = "a%%b%_c%-d", .v4 = "a%b c%20d"},
    {.name = "escaped", .text = "%{S}", .v4 = "strong-bad%40email.example.com"},
    {.name = "more parts than there are", .text = "%{d99999999999999999999}", .v4 = "email.example.com"},
    {.name = "nobody validated", .text = "%{p}", .v4 = "unknown"},
    {.name = "readable address", .text = "%{c}", .v4 = "192.0.2.3", .v6 = "2001:db8::cb01"},
    {.name = "time and receiver", .text = "%{t} %{r}", .v4 = "1000 mx.test.example"},
};

TEST(SpfMacro, ExpandsAsTheStandardShows) {
  for (const MacroCase& c : kMacroCases) {
    SCOPED_TRACE(c.name);
    ASSERT_FALSE(check_macro_string(c.text, MacroUse::explanation));
    MacroValues values{.ip = *Ip::parse("192.0.2.3"),
                       .sender = "strong-bad@email.example.com",
                       .domain = "email.example.com",
                       .helo = "helo.example",
                       .receiver = "mx.test.example",
                       .now = std::chrono::sys_seconds(std::chrono::seconds(1000))};
    EXPECT_EQ(expand(c.text, values), c.v4);
    values.ip = *Ip::parse("2001:db8::cb01");
    EXPECT_EQ(expand(c.text, values), c.v6);
  }
}

TEST(SpfMacro, LongNamesLoseLabelsFromTheLeft) {
  std::string local;
  for (int i = 0; i < 100; ++i) local += "abcd.";
  const std::string sender = local + "x@host.example";
  const std::string name = expand_name(
      "%{l}.%{d}",
      {.ip = {}, .sender = sender, .domain = "host.example", .helo = {}, .receiver = {}, .now = {}});
  EXPECT_LE(name.size(), dns::kNameOctetsMax);
  EXPECT_GT(name.size(), dns::kNameOctetsMax - 6);
  EXPECT_TRUE(name.ends_with(".abcd.x.host.example"));
  EXPECT_TRUE(name.starts_with("abcd."));
}

TEST(SpfMacro, ExpansionIsBounded) {
  const std::string sender = std::string(64, 'a') + "@host.example";
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "%{S}";
  EXPECT_EQ(
      expand(text, {.ip = {}, .sender = sender, .domain = {}, .helo = {}, .receiver = {}, .now = {}}).size(),
      kExpandedOctetsMax);
}

}  // namespace
}  // namespace postern::filters::spf
