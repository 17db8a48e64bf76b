#include "gateway/pipeline/directory.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::pipeline {
namespace {

using Kind = Resolution::Kind;

/// Three domains: accounts only, anybody, catch-all; and one under an international name.
config::Config manifest() {
  config::Config config;
  config.hostname = "mx.test.example";
  config.postmaster = "alice@test.example";
  config.listeners = {
      {.address = "192.0.2.25:25"}, {.address = "[2001:db8::25]:25"}, {.address = "unix:/run/lmtp"}};
  config.domains = {{.name = "test.example"},
                    {.name = "any.example", .recipients = "any"},
                    {.name = "catch.example", .catch_all = "bob@test.example"},
                    {.name = "bücher.example", .recipients = "any"}};
  config.accounts = {{.address = "alice@test.example", .aliases = {"info@test.example", "hello@any.example"}},
                     {.address = "bob@test.example", .quota_octets = 1000},
                     {.address = "\"white space\"@test.example"},
                     {.address = "\"a@b\"@test.example"},
                     {.address = "per%cent@test.example"},
                     {.address = "grün@test.example"}};
  return config;
}

Resolution resolve(const Directory& directory, std::string_view text, const filters::Ip& local = {}) {
  std::size_t consumed = 0;
  const auto path = smtp::parse_path(text, smtp::PathKind::forward, true, &consumed);
  if (!path) {
    ADD_FAILURE() << text << " is no path: " << path.error().rule;
    return {};
  }
  return directory.resolve(*path, local);
}

struct Row {
  std::string_view name, path;
  Kind kind = Kind::mailbox;
  std::string_view mailbox = {};
};

constexpr Row kRows[] = {
    {"an account", "<alice@test.example>", Kind::mailbox, "alice@test.example"},
    {"case of the local part", "<ALice@test.example>", Kind::mailbox, "alice@test.example"},
    {"case of the domain", "<alice@TEST.Example>", Kind::mailbox, "alice@test.example"},
    {"an alias", "<info@test.example>", Kind::mailbox, "alice@test.example"},
    {"an alias in another domain", "<Hello@any.example>", Kind::mailbox, "alice@test.example"},
    {"nobody", "<nobody@test.example>", Kind::unknown},
    {"quoted without need", "<\"alice\"@test.example>", Kind::mailbox, "alice@test.example"},
    {"escaped without need", "<\"al\\ice\"@test.example>", Kind::mailbox, "alice@test.example"},
    {"a space in quotes", "<\"White Space\"@test.example>", Kind::mailbox, "\"white space\"@test.example"},
    {"an at sign in quotes that is an account", "<\"A@b\"@test.example>", Kind::mailbox,
     "\"a@b\"@test.example"},
    {"a percent sign that is an account", "<per%cent@test.example>", Kind::mailbox, "per%cent@test.example"},
    {"UTF-8", "<grün@test.example>", Kind::mailbox, "grün@test.example"},

    {"postmaster without a domain", "<Postmaster>", Kind::mailbox, "alice@test.example"},
    {"postmaster in our domain", "<postmaster@test.example>", Kind::mailbox, "alice@test.example"},
    {"postmaster where anybody receives", "<POSTMASTER@any.example>", Kind::mailbox, "alice@test.example"},
    {"postmaster where there is a catch-all", "<postmaster@catch.example>", Kind::mailbox,
     "alice@test.example"},
    {"postmaster elsewhere", "<postmaster@elsewhere.example>", Kind::foreign},

    {"a catch-all", "<whoever@catch.example>", Kind::mailbox, "bob@test.example"},
    {"anybody", "<Who.Ever@any.example>", Kind::mailbox, "who.ever@any.example"},
    {"anybody who needs quotes", "<\"Who Ever\"@any.example>", Kind::mailbox, "\"who ever\"@any.example"},
    {"anybody, subaddress", "<who+tag@any.example>", Kind::mailbox, "who+tag@any.example"},
    {"a U-label", "<leser@bücher.example>", Kind::mailbox, "leser@bücher.example"},
    {"the A-label of it", "<leser@xn--bcher-kva.example>", Kind::mailbox, "leser@bücher.example"},
    {"the A-label in capitals", "<leser@XN--BCHER-KVA.example>", Kind::mailbox, "leser@bücher.example"},
    {"the U-label in capitals", "<leser@BÜCHER.example>", Kind::mailbox, "leser@bücher.example"},

    {"another domain", "<user@elsewhere.example>", Kind::foreign},
    {"a subdomain", "<alice@sub.test.example>", Kind::foreign},
    {"a longer name", "<alice@xtest.example>", Kind::foreign},
    {"a shorter name", "<alice@example>", Kind::foreign},
    {"our name in front", "<alice@test.example.elsewhere.example>", Kind::foreign},
    {"our own host name", "<alice@mx.test.example>", Kind::foreign},

    {"percent hack", "<user%elsewhere.example@test.example>", Kind::bad_address},
    {"percent hack, anybody receives", "<user%elsewhere.example@any.example>", Kind::bad_address},
    {"percent hack, catch-all", "<user%elsewhere.example@catch.example>", Kind::bad_address},
    {"percent hack within ours", "<alice%test.example@test.example>", Kind::bad_address},
    {"bang path", "<elsewhere.example!user@test.example>", Kind::bad_address},
    {"bang path, anybody receives", "<elsewhere.example!user@any.example>", Kind::bad_address},
    {"an address in quotes", "<\"user@elsewhere.example\"@any.example>", Kind::bad_address},
    {"our address in quotes", "<\"alice@test.example\"@test.example>", Kind::bad_address},
    {"a route in quotes", "<\"@elsewhere.example:user\"@any.example>", Kind::bad_address},
    {"percent hack in quotes", "<\"user%elsewhere.example\"@any.example>", Kind::bad_address},
    {"a source route to us", "<@elsewhere.example,@other.example:alice@test.example>", Kind::mailbox,
     "alice@test.example"},
    {"a source route through us", "<@test.example:user@elsewhere.example>", Kind::foreign},

    {"postmaster at our address", "<postmaster@[192.0.2.25]>", Kind::mailbox, "alice@test.example"},
    {"postmaster at our IPv6 address", "<Postmaster@[IPv6:2001:db8:0::25]>", Kind::mailbox,
     "alice@test.example"},
    {"somebody else at our address", "<alice@[192.0.2.25]>", Kind::unknown},
    {"postmaster at another address", "<postmaster@[192.0.2.26]>", Kind::foreign},
    {"somebody at another address", "<user@[IPv6:2001:db8::1]>", Kind::foreign},
};

TEST(Directory, Resolves) {
  const Directory directory(manifest());
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Resolution found = resolve(directory, row.path);
    EXPECT_EQ(found.kind, row.kind);
    EXPECT_EQ(found.mailbox, row.mailbox);
  }
}

TEST(Directory, GivesTheQuotaOfTheAccount) {
  const Directory directory(manifest());
  EXPECT_EQ(resolve(directory, "<bob@test.example>").quota_octets, 1000U);
  EXPECT_EQ(resolve(directory, "<x@catch.example>").quota_octets, 1000U);
  EXPECT_EQ(resolve(directory, "<alice@test.example>").quota_octets, 0U);
}

TEST(Directory, KnowsTheAddressTheClientConnectedTo) {
  config::Config config = manifest();
  config.listeners = {{.address = "0.0.0.0:25"}};
  const Directory directory(config);
  const auto local = filters::Ip::v4({198, 51, 100, 7});
  EXPECT_EQ(resolve(directory, "<postmaster@[198.51.100.7]>", local).kind, Kind::mailbox);
  EXPECT_EQ(resolve(directory, "<postmaster@[198.51.100.8]>", local).kind, Kind::foreign);
  EXPECT_EQ(resolve(directory, "<postmaster@[198.51.100.7]>").kind, Kind::foreign);
}

TEST(Directory, ReachesPostmasterWithoutAnyAccount) {
  config::Config config;
  config.hostname = "mx.test.example";
  config.domains = {{.name = "test.example"}};
  const Directory directory(config);
  EXPECT_EQ(resolve(directory, "<Postmaster>").mailbox, "postmaster@test.example");
  EXPECT_EQ(resolve(directory, "<postmaster@test.example>").mailbox, "postmaster@test.example");
  EXPECT_EQ(resolve(directory, "<x@test.example>").kind, Kind::unknown);
}

TEST(Directory, PostmasterMayHaveAnAccountOfItsOwn) {
  config::Config config = manifest();
  config.accounts.push_back({.address = "postmaster@any.example"});
  const Directory directory(config);
  EXPECT_EQ(resolve(directory, "<postmaster@any.example>").mailbox, "postmaster@any.example");
  EXPECT_EQ(resolve(directory, "<postmaster@test.example>").mailbox, "alice@test.example");
}

TEST(Directory, AnEmptyOneKnowsNobody) {
  const Directory directory;
  EXPECT_EQ(resolve(directory, "<alice@test.example>").kind, Kind::foreign);
  EXPECT_FALSE(directory.is_local_domain("test.example"));
}

TEST(Directory, LocalDomains) {
  const Directory directory(manifest());
  EXPECT_TRUE(directory.is_local_domain("Test.Example"));
  EXPECT_TRUE(directory.is_local_domain("xn--bcher-kva.example"));
  EXPECT_FALSE(directory.is_local_domain("sub.test.example"));
  EXPECT_FALSE(directory.is_local_domain(""));
}

}  // namespace
}  // namespace postern::pipeline
