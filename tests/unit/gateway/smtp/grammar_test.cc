#include "gateway/smtp/grammar.h"

#include <gtest/gtest.h>

namespace postern::smtp {
namespace {

struct LineCase {
  std::string_view name, line;
  Verb verb;
  std::string_view word, argument;
  bool foreign = false;
};

constexpr LineCase kLines[] = {
    {"verb alone", "QUIT", Verb::quit, "QUIT", ""},
    {"any case", "eHlO a", Verb::ehlo, "eHlO", "a"},
    {"argument", "MAIL FROM:<a@b> SIZE=1", Verb::mail, "MAIL", "FROM:<a@b> SIZE=1"},
    {"several blanks", "NOOP   a  b", Verb::noop, "NOOP", "a  b"},
    {"tab", "NOOP\ta", Verb::noop, "NOOP", "a"},
    {"blanks at the end", "RSET  \t ", Verb::rset, "RSET", ""},
    {"blank in front", " QUIT", Verb::unknown, "", "QUIT"},
    {"nothing", "", Verb::unknown, "", ""},
    {"blanks alone", "   ", Verb::unknown, "", ""},
    {"verb with more letters", "QUITE", Verb::unknown, "QUITE", ""},
    {"verb with fewer letters", "QUI", Verb::unknown, "QUI", ""},
    {"colon at the verb", "DATA:", Verb::unknown, "DATA:", ""},
    {"XCLIENT", "xclient NAME=a", Verb::xclient, "xclient", "NAME=a"},
    {"GET", "GET / HTTP/1.1", Verb::unknown, "GET", "/ HTTP/1.1", true},
    {"post in small letters", "post / HTTP/1.1", Verb::unknown, "post", "/ HTTP/1.1", true},
    {"HTTP/2", "PRI * HTTP/2.0", Verb::unknown, "PRI", "* HTTP/2.0", true},
    {"a field of HTTP", "Host: mx.test.example", Verb::unknown, "Host:", "mx.test.example", true},
    {"SSH", "SSH-2.0-OpenSSH_9", Verb::unknown, "SSH-2.0-OpenSSH_9", "", true},
    {"TLS", "\x16\x03\x01", Verb::unknown, "\x16\x03\x01", "", true},
    {"a word that begins like GET", "GETTING", Verb::unknown, "GETTING", ""},
    {"HELP is not HEAD", "HELP", Verb::help, "HELP", ""},
};

TEST(SplitCommand, VerbAndArgument) {
  for (const LineCase& c : kLines) {
    SCOPED_TRACE(c.name);
    const CommandLine command = split_command(c.line);
    EXPECT_EQ(command.verb, c.verb);
    EXPECT_EQ(command.word, c.word);
    EXPECT_EQ(command.argument, c.argument);
    EXPECT_EQ(command.foreign_protocol, c.foreign);
  }
}

TEST(SplitCommand, EveryVerbComesBackFromItsName) {
  for (int i = static_cast<int>(Verb::unknown) + 1; i <= static_cast<int>(Verb::turn); ++i) {
    const auto verb = static_cast<Verb>(i);
    EXPECT_NE(to_string(verb), "unknown") << i;
    EXPECT_EQ(split_command(to_string(verb)).verb, verb) << to_string(verb);
  }
  EXPECT_EQ(to_string(Verb::unknown), "unknown");
}

struct BdatCase {
  std::string_view name, argument;
  bool valid = false;
  std::uint64_t octets = 0;
  bool last = false;
};

constexpr BdatCase kBdats[] = {
    {"count", "86", true, 86},
    {"last", "86 LAST", true, 86, true},
    {"last in small letters, blanks", "86   last", true, 86, true},
    {"zero", "0 LAST", true, 0, true},
    {"leading zeros", "0010", true, 10},
    {"the largest number", "18446744073709551615", true, 18446744073709551615u},
    {"one more", "18446744073709551616"},
    {"far more", "99999999999999999999999999999999999 LAST"},
    {"nothing", ""},
    {"LAST alone", "LAST"},
    {"no number", "ten"},
    {"sign", "-1"},
    {"plus", "+1"},
    {"hexadecimal", "0x10"},
    {"fraction", "1.0"},
    {"another word", "10 FIRST"},
    {"LAST and more", "10 LAST LAST"},
    {"LAST without a blank", "10LAST"},
};

TEST(ParseBdat, CountAndLast) {
  for (const BdatCase& c : kBdats) {
    SCOPED_TRACE(c.name);
    const auto parsed = parse_bdat(c.argument);
    ASSERT_EQ(parsed.has_value(), c.valid);
    if (!parsed) {
      EXPECT_EQ(parsed.error().code, 501);
      EXPECT_EQ(parsed.error().enhanced, "5.5.4");
      continue;
    }
    EXPECT_EQ(parsed->octets, c.octets);
    EXPECT_EQ(parsed->last, c.last);
  }
}

TEST(ParseHelo, TakesWhatRealClientsSay) {
  for (const std::string& name :
       {std::string("client.test.example"), std::string("[192.0.2.1]"), std::string("[IPv6:2001:db8::1]"),
        std::string("my_pc"), std::string("a"), std::string("-"), std::string(255, 'x')}) {
    const auto parsed = parse_helo(name);
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(*parsed, name);
  }
  for (const std::string& name : {std::string(), std::string("two words"), std::string("a\tb"),
                                  std::string("a\x7f"), std::string("b\xc3\xbc"), std::string(256, 'x')}) {
    const auto parsed = parse_helo(name);
    ASSERT_FALSE(parsed) << name;
    EXPECT_EQ(parsed.error().code, 501);
    EXPECT_EQ(parsed.error().enhanced, "5.5.4");
  }
}

TEST(ParseXclient, KnownAttributesDecoded) {
  const auto parsed =
      parse_xclient("name=spike.example ADDR=IPV6:2001:db8::1  PORT=25 Proto=ESMTP HELO=a+2Bb");
  ASSERT_TRUE(parsed) << parsed.error().text;
  using Attributes = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(parsed->attributes, (Attributes{{"NAME", "spike.example"},
                                            {"ADDR", "IPV6:2001:db8::1"},
                                            {"PORT", "25"},
                                            {"PROTO", "ESMTP"},
                                            {"HELO", "a+b"}}));
  EXPECT_EQ(parse_xclient("NAME=[UNAVAILABLE]")->attributes.front().second, "[UNAVAILABLE]");
}

struct BadXclient {
  std::string_view name, argument;
};
constexpr BadXclient kBadXclients[] = {
    {"nothing", ""},
    {"no value", "NAME"},
    {"an empty value", "NAME="},
    {"unknown", "FLAVOUR=vanilla"},
    {"unknown behind a known one", "NAME=a FLAVOUR=vanilla"},
    {"repeated", "NAME=a name=b"},
    {"no xtext", "NAME=a+2"},
    {"a control character", "NAME=a+0Ab"},
    {"a blank", "HELO=a+20b"},
    {"eight bits", "NAME=b\xc3\xbc"},
    {"another protocol", "PROTO=HTTP"},
};

TEST(ParseXclient, RefusesTheRest) {
  for (const BadXclient& c : kBadXclients) {
    SCOPED_TRACE(c.name);
    const auto parsed = parse_xclient(c.argument);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, 501);
    EXPECT_EQ(parsed.error().enhanced, "5.5.4");
  }
  EXPECT_TRUE(parse_xclient("NAME=" + std::string(255, 'a')));
  EXPECT_FALSE(parse_xclient("NAME=" + std::string(256, 'a')));
}

}  // namespace
}  // namespace postern::smtp
