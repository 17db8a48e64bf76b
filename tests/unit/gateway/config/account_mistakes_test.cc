// Domains, accounts, aliases: what refers to what.
#include <gtest/gtest.h>

#include "tests/unit/gateway/config/support.h"

namespace postern::config {
namespace {

struct Mistake {
  std::string_view name;
  std::string_view
      text;  ///< behind a postmaster on line 1, kLeast on 2 to 6, and an account a@test.example on 7 and 8
  std::string_view expected;
};

constexpr Mistake kMistakes[] = {
    {"nothing wrong", "", ""},
    {"an alias", "aliases = [\"b@test.example\"]\n", ""},
    {"no address", "[[account]]\n", "9: account[1].address: is missing\n"},
    {"not an address", "[[account]]\naddress = \"b\"\n",
     "10: account[1].address: \"b\" is not an address of the form local@domain\n"},
    {"an empty address", "[[account]]\naddress = \"\"\n",
     "10: account[1].address: \"\" is not an address of the form local@domain\n"},
    {"an address in angle brackets", "[[account]]\naddress = \"<b@test.example>\"\n",
     "10: account[1].address: \"<b@test.example>\" is not an address of the form local@domain\n"},
    {"a foreign account", "[[account]]\naddress = \"b@other.example\"\n",
     "10: account[1].address: \"b@other.example\" is not in a [[domain]] of this manifest\n"},
    {"a subdomain is another domain", "[[account]]\naddress = \"b@sub.test.example\"\n",
     "10: account[1].address: \"b@sub.test.example\" is not in a [[domain]] of this manifest\n"},
    {"twice the same account", "[[account]]\naddress = \"a@test.example\"\n",
     "10: account[1].address: \"a@test.example\" is an [[account]] already, line 8\n"},
    {"twice the same but for case", "[[account]]\naddress = \"A@TEST.example\"\n",
     "10: account[1].address: \"A@test.example\" is an [[account]] already, line 8\n"},
    {"an alias that is not an address", "aliases = [\n\"b@test.example\",\n\"c\"]\n",
     "11: account[0].aliases: \"c\" is not an address of the form local@domain\n"},
    {"a foreign alias", "aliases = [\"b@other.example\"]\n",
     "9: account[0].aliases: \"b@other.example\" is not in a [[domain]] of this manifest\n"},
    {"an alias of itself", "aliases = [\"a@test.example\"]\n",
     "9: account[0].aliases: \"a@test.example\" is the account's own address\n"},
    {"an alias twice", "aliases = [\n\"b@test.example\",\n\"B@test.example\"]\n",
     "11: account[0].aliases: \"B@test.example\" is an alias already, line 10\n"},
    {"an alias of two accounts",
     "aliases = [\"x@test.example\"]\n[[account]]\naddress = \"b@test.example\"\naliases = "
     "[\"x@test.example\"]\n",
     "12: account[1].aliases: \"x@test.example\" is an alias already, line 9\n"},
    {"an alias that is an account further down",
     "aliases = [\"b@test.example\"]\n[[account]]\naddress = \"b@test.example\"\n",
     "9: account[0].aliases: \"b@test.example\" is an [[account]], line 11\n"},
    {"a negative quota", "quota_octets = -1\n",
     "9: account[0].quota_octets: -1 is out of range: 0 to 1125899906842624\n"},
    {"a domain without name", "[[domain]]\n", "9: domain[1].name: is missing\n"},
    {"not a domain", "[[domain]]\nname = \"-test.example\"\n",
     "10: domain[1].name: \"-test.example\" is not a domain name\n"},
    {"an empty domain", "[[domain]]\nname = \"\"\n", "10: domain[1].name: \"\" is not a domain name\n"},
    {"an address literal for a domain", "[[domain]]\nname = \"[192.0.2.1]\"\n",
     "10: domain[1].name: \"[192.0.2.1]\" is not a domain name\n"},
    {"a domain twice", "[[domain]]\nname = \"TEST.example\"\n",
     "10: domain[1].name: \"test.example\" is a [[domain]] already, line 6\n"},
    {"a domain twice, in U-labels and A-labels",
     "[[domain]]\nname = \"bücher.example\"\n[[domain]]\nname = \"xn--bcher-kva.example\"\n",
     "12: domain[2].name: \"xn--bcher-kva.example\" is a [[domain]] already, line 10\n"},
    {"an account in A-labels of a domain in U-labels",
     "aliases = [\"b@xn--bcher-kva.example\", \"b@bücher.example\"]\n[[domain]]\nname = \"bücher.example\"\n",
     "9: account[0].aliases: \"b@bücher.example\" is an alias already, line 9\n"},
    {"no such delivery", "[[domain]]\nname = \"b.example\"\ndeliver = \"maildir\"\n",
     "11: domain[1].deliver: expected \"mailbox\" or \"relay\", found the string \"maildir\"\n"},
    {"recipients from nowhere", "[[domain]]\nname = \"b.example\"\nrecipients = \"file =\"\n",
     "11: domain[1].recipients: the path is empty\n"},
    {"recipients as a list", "[[domain]]\nname = \"b.example\"\nrecipients = [\"x@b.example\"]\n",
     "11: domain[1].recipients: expected \"accounts\", \"any\" or \"file=PATH\", found an array\n"},
    {"no such recipients", "[[domain]]\nname = \"b.example\"\nrecipients = \"all\"\n",
     "11: domain[1].recipients: \"all\" is not \"accounts\", \"any\" or \"file=PATH\"\n"},
    {"catch-all is nobody", "[[domain]]\nname = \"b.example\"\ncatch_all = \"b@test.example\"\n",
     "11: domain[1].catch_all: \"b@test.example\" is not the address of an [[account]]\n"},
    {"catch-all is an alias",
     "aliases = [\"b@test.example\"]\n[[domain]]\nname = \"b.example\"\ncatch_all = \"b@test.example\"\n",
     "12: domain[1].catch_all: \"b@test.example\" is an alias; name its account\n"},
    {"catch-all is no address", "[[domain]]\nname = \"b.example\"\ncatch_all = \"a\"\n",
     "11: domain[1].catch_all: \"a\" is not an address of the form local@domain\n"},
    {"catch-all of another domain", "[[domain]]\nname = \"b.example\"\ncatch_all = \"a@test.example\"\n", ""},
    {"any recipients beside accounts", "[[domain]]\nname = \"b.example\"\nrecipients = \"any\"\n", ""},
};

TEST(ConfigAccounts, Mistakes) {
  const std::string before = "postmaster = \"a@test.example\"\n" + std::string(kLeast) +
                             "[[account]]\naddress = \"a@test.example\"\n";
  for (const Mistake& mistake : kMistakes) {
    SCOPED_TRACE(mistake.name);
    std::string lines;
    for (const Problem& problem : parse(before + std::string(mistake.text)).problems) {
      lines += problem.text().substr(std::string_view("/etc/postern/m.toml:").size()) + "\n";
    }
    EXPECT_EQ(lines, mistake.expected);
  }
}

TEST(ConfigAccounts, PostmasterIsAnAccount) {
  const std::string account =
      std::string(kLeast) + "[[account]]\naddress = \"a@test.example\"\naliases = [\"b@test.example\"]\n";
  EXPECT_EQ(texts(parse("postmaster = \"c@test.example\"\n" + account).problems),
            "/etc/postern/m.toml:1: postmaster: \"c@test.example\" is not the address of an [[account]]\n");
  EXPECT_EQ(texts(parse("postmaster = \"b@test.example\"\n" + account).problems),
            "/etc/postern/m.toml:1: postmaster: \"b@test.example\" is an alias; name its account\n");
  EXPECT_EQ(texts(parse("postmaster = \"postmaster\"\n" + account).problems),
            "/etc/postern/m.toml:1: postmaster: \"postmaster\" is not an address of the form local@domain\n");
  EXPECT_EQ(parse("postmaster = \"A@Test.example\"\n" + account).config.postmaster, "A@test.example");
  EXPECT_EQ(texts(parse("postmaster = \"c@test.example\"\n" + std::string(kLeast)).problems),
            "/etc/postern/m.toml:1: postmaster: \"c@test.example\" is not the address of an [[account]]\n");
}

TEST(ConfigAccounts, WhoReceivesNothingIsAWarning) {
  EXPECT_EQ(texts(parse(std::string(kLeast)).warnings),
            "/etc/postern/m.toml:5: domain[0].name: \"test.example\" has no accounts: every recipient but "
            "postmaster is "
            "refused\n");
  EXPECT_EQ(texts(parse("hostname = \"mx\"\n[[listener]]\naddress = \"127.0.0.1:25\"\n").warnings),
            "/etc/postern/m.toml:1: domain: there is no [[domain]]: every recipient is refused\n");
  EXPECT_EQ(texts(parse(std::string(kLeast) + "recipients = \"any\"\n").warnings), "");
}

}  // namespace
}  // namespace postern::config
