#include "gateway/smtp/address.h"

#include <gtest/gtest.h>

namespace postern::smtp {
namespace {

std::string times(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

struct ValidCase {
  std::string_view name;
  std::string text, local, domain;
  std::string normal = {};  ///< empty: the text itself
  bool utf8 = false;
};

const ValidCase kValid[] = {
    {"plain", "user@test.example", "user", "test.example"},
    {"single label", "user@localhost", "user", "localhost"},
    {"every atext", "a!#$%&'*+-/=?^_`{|}~z@test.example", "a!#$%&'*+-/=?^_`{|}~z", "test.example"},
    {"dots inside", "a.b.c@test.example", "a.b.c", "test.example"},
    {"domain in capitals", "User@TEST.Example", "User", "test.example", "User@test.example"},
    {"digits and hyphens", "a@1-2.3--4.example", "a", "1-2.3--4.example"},
    {"A-label stays", "a@xn--bcher-kva.example", "a", "xn--bcher-kva.example"},
    {"needless quotes", "\"user\"@test.example", "user", "test.example", "user@test.example"},
    {"needless backslash", "\"al\\ice\"@test.example", "alice", "test.example", "alice@test.example"},
    {"quoted blank", "\"a b\"@test.example", "a b", "test.example"},
    {"quoted at sign", "\"a@b\"@test.example", "a@b", "test.example"},
    {"quoted quote and backslash", "\"a\\\"b\\\\c\"@test.example", "a\"b\\c", "test.example"},
    {"quoted dots at the edges", "\".a.\"@test.example", ".a.", "test.example"},
    {"quoted and empty", "\"\"@test.example", "", "test.example"},
    {"quoted angle bracket", "\"a>b\"@test.example", "a>b", "test.example"},
    {"IPv4 literal", "a@[192.0.2.1]", "a", "[192.0.2.1]"},
    {"IPv6 literal", "a@[IPv6:2001:DB8::1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
    {"tag in small letters", "a@[ipv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
    {"IPv6 with an IPv4 tail", "a@[IPv6:::ffff:192.0.2.1]", "a", "[IPv6:::ffff:192.0.2.1]"},
    {"UTF-8 local part", "jörg@test.example", "jörg", "test.example", "", true},
    {"UTF-8 of four octets", "a😀@test.example", "a😀", "test.example", "", true},
    {"UTF-8 in quotes", "\"jörg b\"@test.example", "jörg b", "test.example", "", true},
    {"UTF-8 in needless quotes", "\"jörg\"@test.example", "jörg", "test.example", "jörg@test.example", true},
    {"U-label", "a@Bücher.example", "a", "bücher.example", "a@bücher.example", true},
    {"U-label right to left", "a@אב.example", "a", "אב.example", "", true},
    {"64 octets of local part", times("a", 64) + "@test.example", times("a", 64), "test.example"},
    {"64 octets with the quotes", "\"" + times("a", 62) + "\"@test.example", times("a", 62), "test.example",
     times("a", 62) + "@test.example"},
    {"a label of 63 octets", "a@" + times("b", 63) + ".example", "a", times("b", 63) + ".example"},
    {"254 octets", "a@" + times("bcd.", 62) + "efgh", "a", times("bcd.", 62) + "efgh"},
};

TEST(Mailbox, TakesWhatTheGrammarAllows) {
  for (const ValidCase& c : kValid) {
    SCOPED_TRACE(c.name);
    const auto parsed = parse_mailbox(c.text, c.utf8);
    ASSERT_TRUE(parsed) << parsed.error().position << ": " << parsed.error().rule;
    EXPECT_EQ(parsed->local, c.local);
    EXPECT_EQ(parsed->domain, c.domain);
    EXPECT_EQ(parsed->utf8, c.utf8);
    EXPECT_EQ(parsed->quoted, c.text.front() == '"');
    EXPECT_EQ(parsed->literal, c.domain.front() == '[');
    EXPECT_EQ(parsed->literal, !parsed->literal_ip.empty());
    EXPECT_EQ(parsed->normal_form(), c.normal.empty() ? c.text : c.normal);
    // The normal form names the same mailbox and is its own normal form.
    const auto again = parse_mailbox(parsed->normal_form(), c.utf8);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->local, c.local);
    EXPECT_EQ(again->normal_form(), parsed->normal_form());
  }
}

TEST(Mailbox, KnowsTheAddressInALiteral) {
  EXPECT_EQ(parse_mailbox("a@[192.0.2.1]", false)->literal_ip, filters::Ip::parse("192.0.2.1"));
  EXPECT_EQ(parse_mailbox("a@[IPv6:2001:db8::1]", false)->literal_ip, filters::Ip::parse("2001:db8::1"));
}

struct InvalidCase {
  std::string_view name;
  std::string text;
  std::size_t position;
  std::string_view rule;  ///< a part of it
  bool utf8 = false;
};

const InvalidCase kInvalid[] = {
    {"nothing", "", 0, "word of the local part"},
    {"no at sign", "user", 4, "at sign"},
    {"no local part", "@test.example", 0, "word of the local part"},
    {"no domain", "user@", 5, "domain label"},
    {"dot in front", ".a@test.example", 0, "word of the local part"},
    {"dot at the end", "a.@test.example", 2, "word of the local part"},
    {"two dots", "a..b@test.example", 2, "word of the local part"},
    {"blank", "a b@test.example", 1, "at sign"},
    {"quote inside", "a\"b@test.example", 1, "at sign"},
    {"quote left open", "\"ab@test.example", 16, "closing quote"},
    {"backslash at the end", "\"ab\\", 4, "after the backslash"},
    {"tab in quotes", "\"a\tb\"@test.example", 2, "printable text"},
    {"NUL in quotes", std::string("\"a\0b\"@test.example", 18), 2, "printable text"},
    {"escaped control", "\"a\\\tb\"@test.example", 3, "after the backslash"},
    {"escaped UTF-8", "\"a\\ö\"@test.example", 3, "after the backslash", true},
    {"text behind the quotes", "\"a\"b@test.example", 3, "at sign"},
    {"two at signs", "a@b@c.example", 3, "end of the mailbox"},
    {"dot before the domain", "a@.example", 2, "domain label"},
    {"dot behind the domain", "a@test.example.", 15, "domain label"},
    {"two dots in the domain", "a@b..example", 4, "domain label"},
    {"hyphen in front of a label", "a@-b.example", 2, "hyphen"},
    {"hyphen at the end of a label", "a@b-.example", 3, "hyphen"},
    {"underscore in the domain", "a@b_c.example", 3, "end of the mailbox"},
    {"comment", "a@test.example (A)", 14, "end of the mailbox"},
    {"display name", "A <a@test.example>", 1, "at sign"},
    {"empty literal", "a@[]", 3, "address literal"},
    {"literal left open", "a@[192.0.2.1", 2, "closed address literal"},
    {"literal of three numbers", "a@[192.0.2]", 3, "address literal"},
    {"literal over 255", "a@[192.0.2.256]", 3, "address literal"},
    {"IPv6 without tag", "a@[2001:db8::1]", 3, "address literal"},
    {"IPv4 with the tag of IPv6", "a@[IPv6:192.0.2.1]", 3, "address literal"},
    {"a tag nobody registered", "a@[tag:something]", 3, "address literal"},
    {"IPv6 of too many groups", "a@[IPv6:1:2:3:4:5:6:7:8:9]", 3, "address literal"},
    {"zone in a literal", "a@[IPv6:fe80::1%eth0]", 3, "address literal"},
    {"text behind the literal", "a@[192.0.2.1]x", 13, "end of the mailbox"},
    {"UTF-8 without SMTPUTF8", "jörg@test.example", 1, "SMTPUTF8"},
    {"U-label without SMTPUTF8", "a@bücher.example", 3, "SMTPUTF8"},
    {"Latin-1", "j\xf6rg@test.example", 1, "UTF-8", true},
    {"overlong", "a\xc0\xaf@test.example", 1, "UTF-8", true},
    {"surrogate", "a\xed\xa0\x80@test.example", 1, "UTF-8", true},
    {"over U+10FFFF", "a\xf4\x90\x80\x80@test.example", 1, "UTF-8", true},
    {"cut short", "a\xc3", 1, "UTF-8", true},
    {"C1 control", "a\xc2\x85@test.example", 1, "UTF-8", true},
    {"ideographic full stop", "a@b。example", 2, "IDNA2008", true},
    {"full-width letters", "a@ｔｅｓｔ.example", 2, "IDNA2008", true},
    {"an emoji is no label", "a@x😀.example", 2, "IDNA2008", true},
    {"65 octets of local part", times("a", 65) + "@test.example", 64, "64 octets"},
    {"65 octets with the quotes", "\"" + times("a", 63) + "\"@test.example", 64, "64 octets"},
    {"a label of 64 octets", "a@" + times("b", 64) + ".example", 2, "63 octets"},
    {"a U-label whose A-label is too long", "a@" + times("ü", 60) + ".example", 2, "", true},
    {"255 octets", "a@" + times("bcd.", 63) + "e", 254, "256 octets"},
    {"a domain of 256 octets", "a@" + times("bcd.", 63) + "efgh", 2, "255 octets"},
    {"a domain without end", "a@" + times("b.", 5000), 2, "255 octets"},
};

TEST(Mailbox, NamesPositionAndRule) {
  for (const InvalidCase& c : kInvalid) {
    SCOPED_TRACE(c.name);
    const auto parsed = parse_mailbox(c.text, c.utf8);
    ASSERT_FALSE(parsed) << parsed->normal_form();
    EXPECT_EQ(parsed.error().position, c.position) << parsed.error().rule;
    EXPECT_NE(parsed.error().rule.find(c.rule), std::string::npos) << parsed.error().rule;
    for (const char octet : parsed.error().rule)
      EXPECT_TRUE(octet >= ' ' && octet <= '~') << "replies quote it";
  }
}

struct PathCase {
  std::string_view name;
  std::string text;
  PathKind kind = PathKind::forward;
  std::string normal = {};
  std::vector<std::string> route = {};
  std::size_t left = 0;  ///< octets behind the path
};

const PathCase kPaths[] = {
    {"plain", "<a@test.example>", PathKind::forward, "a@test.example"},
    {"null", "<>", PathKind::reverse, ""},
    {"postmaster alone", "<PostMaster>", PathKind::forward, "postmaster"},
    {"postmaster with a domain", "<Postmaster@Test.example>", PathKind::forward, "Postmaster@test.example"},
    {"one hop", "<@one.example:a@test.example>", PathKind::forward, "a@test.example", {"one.example"}},
    {"two hops",
     "<@one.example,@Two.example:a@test.example>",
     PathKind::reverse,
     "a@test.example",
     {"one.example", "two.example"}},
    {"brackets inside quotes", "<\"a>b\"@test.example>", PathKind::forward, "\"a>b\"@test.example"},
    {"parameters behind", "<a@test.example> SIZE=1", PathKind::reverse, "a@test.example", {}, 7},
    {"256 octets", "<" + times("a", 64) + "@" + times("bcd.", 47) + "e>", PathKind::forward,
     times("a", 64) + "@" + times("bcd.", 47) + "e"},
};

TEST(Path, IsReadUpToItsEnd) {
  for (const PathCase& c : kPaths) {
    SCOPED_TRACE(c.name);
    std::size_t consumed = 0;
    const auto parsed = parse_path(c.text, c.kind, false, &consumed);
    ASSERT_TRUE(parsed) << parsed.error().position << ": " << parsed.error().rule;
    EXPECT_EQ(parsed->normal_form(), c.normal);
    EXPECT_EQ(parsed->route, c.route);
    EXPECT_EQ(parsed->null, c.text == "<>");
    EXPECT_EQ(parsed->postmaster, c.normal == "postmaster");
    EXPECT_EQ(consumed, c.text.size() - c.left);
  }
}

struct BadPathCase {
  std::string_view name;
  std::string text;
  PathKind kind;
  std::size_t position;
  std::string_view rule;
};

const BadPathCase kBadPaths[] = {
    {"nothing", "", PathKind::reverse, 0, "angle brackets"},
    {"no brackets", "a@test.example", PathKind::reverse, 0, "angle brackets"},
    {"null where mail should go", "<>", PathKind::forward, 0, "may not be empty"},
    {"postmaster as a sender", "<postmaster>", PathKind::reverse, 11, "at sign"},
    {"anybody without a domain", "<alice>", PathKind::forward, 6, "at sign"},
    {"left open", "<a@test.example", PathKind::forward, 15, "closing bracket"},
    {"two at signs", "<a@b.example@c.example>", PathKind::forward, 12, "closing bracket"},
    {"route without a mailbox", "<@one.example>", PathKind::forward, 13, "source route"},
    {"route without a comma", "<@one.example@two.example:a@test.example>", PathKind::forward, 13,
     "source route"},
    {"route without an at sign", "<@one.example,two.example:a@test.example>", PathKind::forward, 14,
     "at sign"},
    {"route over a literal", "<@[192.0.2.1]:a@test.example>", PathKind::forward, 2, "domain label"},
    {"route to nobody", "<@one.example:>", PathKind::forward, 14, "word of the local part"},
    {"257 octets", "<" + times("a", 64) + "@" + times("bcd.", 47) + "ef>", PathKind::forward, 255,
     "256 octets"},
    {"257 octets with a route", "<@one.example:" + times("a", 64) + "@" + times("bcd.", 44) + "e>",
     PathKind::forward, 256, "256 octets"},
    {"a route without end", "<" + times("@b.example,", 1000), PathKind::forward, 256, "256 octets"},
};

TEST(Path, NamesPositionAndRule) {
  for (const BadPathCase& c : kBadPaths) {
    SCOPED_TRACE(c.name);
    const auto parsed = parse_path(c.text, c.kind, false, nullptr);
    ASSERT_FALSE(parsed) << parsed->normal_form();
    EXPECT_EQ(parsed.error().position, c.position) << parsed.error().rule;
    EXPECT_NE(parsed.error().rule.find(c.rule), std::string::npos) << parsed.error().rule;
  }
}

}  // namespace
}  // namespace postern::smtp
