#include <fmt/format.h>
#include <gtest/gtest.h>

#include "gateway/config/target.h"
#include "tests/unit/gateway/config/support.h"

namespace postern::config {
namespace {

struct TargetCase {
  std::string_view name, text, normal;  ///< no normal form: it is a mistake
};

constexpr TargetCase kTargets[] = {
    {"an address", "10.0.0.5:25", "10.0.0.5:25"},
    {"without port", "10.0.0.5", "10.0.0.5:25"},
    {"IPv6", "[2001:DB8::5]:2525", "[2001:db8::5]:2525"},
    {"IPv6 without port", "[2001:db8::5]", "[2001:db8::5]:25"},
    {"a host", "MX1.Company.Example:26", "mx1.company.example:26"},
    {"LMTP over TCP", "lmtp:dovecot.example:24", "lmtp:dovecot.example:24"},
    {"LMTP over a Unix socket", "lmtp:unix:/run/dovecot/lmtp", "lmtp:unix:/run/dovecot/lmtp"},
    {"a relative socket", "lmtp:unix:lmtp", "lmtp:unix:/etc/postern/lmtp"},
    {"MX of the recipient's domain", "mx:", "mx::25"},
    {"and again", "mx::25", "mx::25"},
    {"MX of another", "mx:other.example:2525", "mx:other.example:2525"},
    {"options", "10.0.0.5:25  weight=3 priority=10", "10.0.0.5:25 priority=10 weight=3"},
    {"nothing", "", ""},
    {"LMTP without port", "lmtp:dovecot.example", ""},
    {"a Unix socket without LMTP", "unix:/run/x", ""},
    {"port 0", "10.0.0.5:0", ""},
    {"port 65536", "10.0.0.5:65536", ""},
    {"no port behind the colon", "10.0.0.5:", ""},
    {"IPv6 without brackets", "2001:db8::5", ""},
    {"an address that is none", "10.0.0.256:25", ""},
    {"weight 0", "10.0.0.5:25 weight=0", ""},
    {"weight 65536", "10.0.0.5:25 weight=65536", ""},
    {"an unknown option", "10.0.0.5:25 mass=1", ""},
    {"an empty label", "a..example:25", ""},
};

TEST(Target, IsReadAndWritten) {
  for (const TargetCase& c : kTargets) {
    SCOPED_TRACE(c.name);
    const auto target = parse_target(c.text, "/etc/postern");
    EXPECT_EQ(target ? target->text() : "", c.normal);
    if (!target) continue;
    const auto again = parse_target(target->text());
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, *target);
  }
}

constexpr std::string_view kRelay =
    "[[domain]]\nname = \"r.example\"\ndeliver = \"relay\"\nrecipients = \"any\"\n";

TEST(RelayChecks, NameWhatIsWrong) {
  const std::string relay(kRelay);
  const std::string with_to = relay + "to = [\"10.0.0.5:25\"]\n";
  const struct {
    std::string_view name;
    std::string text, expected;
  } cases[] = {
      {"all is well", with_to, ""},
      {"nowhere to go", relay,
       "8: domain[1].deliver: \"relay\" needs `to`, the hosts that the mail is for\n"},
      {"an empty list", relay + "to = []\n", "10: domain[1].to: is empty: nobody would get the mail\n"},
      {"a target that is none", relay + "to = [\"10.0.0.5:25\", \"x\\n\"]\n",
       "10: domain[1].to: \"x\\x0a\" is not HOST:PORT, IP:PORT, [IP6]:PORT, mx:DOMAIN or lmtp:unix:PATH, "
       "then "
       "priority=N and weight=N\n"},
      {"ourselves", relay + "to = [\"127.0.0.1:2525\"]\n",
       "10: domain[1].to: \"127.0.0.1:2525\" is a [[listener]] of this server: mail would go in circles\n"},
      {"verify without a name", with_to + "tls = \"verify\"\n",
       "11: domain[1].tls: \"verify\" needs tls_names, since \"10.0.0.5:25\" has no name\n"},
      {"names without verify", with_to + "tls_names = [\"a.example\"]\n",
       "11: domain[1].tls_names: goes with tls = \"verify\" only\n"},
      {"a source that is none", with_to + "source = \"eth0\"\n",
       "11: domain[1].source: \"eth0\" is not an IP address\n"},
      {"accounts only",
       "[[domain]]\nname = \"r.example\"\ndeliver = \"relay\"\nrecipients = \"accounts\"\nto = "
       "[\"10.0.0.5:25\"]\n",
       "9: domain[1].recipients: \"accounts\" would leave nothing to relay; \"any\" or \"file=PATH\" "
       "does\n"},
      {"a user without password", "[relay]\nto = [\"smart.example:587\"]\ntls = \"encrypt\"\nuser = \"me\"\n",
       "9: relay.user: user and password_file go together\n"},
      {"a password in the clear",
       "[relay]\nto = [\"smart.example:587\"]\nuser = \"me\"\npassword_file = \"pw\"\n",
       "8: relay.user: a password is sent under TLS only: tls = \"encrypt\" or \"verify\"\n"},
      {"a first wait longer than the longest", "[queue]\nretry_first_s = 10\nretry_max_s = 5\n",
       "7: queue.retry_first_s: retry_first_s (10) is above retry_max_s (5)\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    std::string found;
    for (const Problem& problem : parse(std::string(kLeast) + c.text).problems)
      found += fmt::format("{}: {}: {}\n", problem.line, problem.key, problem.what);
    EXPECT_EQ(found, c.expected);
  }
}

TEST(RelayChecks, ARelayedDomainTakesAnyoneUnlessToldAndSaysSo) {
  const Loaded loaded =
      parse(std::string(kLeast) +
            "[[domain]]\nname = \"r.example\"\ndeliver = \"relay\"\nto = [\"10.0.0.5:25\"]\n");
  EXPECT_EQ(texts(loaded.problems), "");
  EXPECT_EQ(loaded.config.domains.back().recipients, "any");
  EXPECT_NE(texts(loaded.warnings).find("domain[1].recipients: is not set"), std::string::npos);
}

TEST(RelayChecks, AFileOfRecipientsMayBeWrittenWithBlanks) {
  for (const std::string_view text : {"file=who.txt", "file = who.txt"}) {
    const Loaded loaded = parse(std::string(kLeast) + "[[domain]]\nname = \"b.example\"\nrecipients = \"" +
                                std::string(text) + "\"\n");
    EXPECT_EQ(texts(loaded.problems), "");
    EXPECT_EQ(loaded.config.domains.back().recipients, "file=/etc/postern/who.txt");
  }
}

}  // namespace
}  // namespace postern::config
