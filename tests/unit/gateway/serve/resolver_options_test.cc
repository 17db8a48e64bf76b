#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "gateway/serve/preparation.h"
#include "gateway/serve/reloader.h"

namespace postern::serve {
namespace {

struct DnssecCase {
  std::string name;
  std::vector<std::string> resolvers;
  std::string dnssec;
  dns::Dnssec expected;
};

const DnssecCase kDnssecCases[] = {
    {"recursing", {}, "", dns::Dnssec::validate},
    {"with resolvers", {"127.0.0.1:53"}, "", dns::Dnssec::off},
    {"recursing, asked for", {}, "validate", dns::Dnssec::validate},
    {"with resolvers, asked for", {"127.0.0.1:53"}, "validate", dns::Dnssec::validate},
    {"recursing, off", {}, "off", dns::Dnssec::off},
    {"trust is off", {"127.0.0.1:53"}, "trust", dns::Dnssec::off},
    {"trust is off without resolvers too", {}, "trust", dns::Dnssec::off},
};

TEST(ResolverOptions, ValidateAsTheManifestSays) {
  for (const DnssecCase& c : kDnssecCases) {
    SCOPED_TRACE(c.name);
    config::Config config;
    config.dns.resolvers = c.resolvers;
    config.dns.dnssec = c.dnssec;
    const dns::ResolverOptions options = resolver_options(config);
    EXPECT_EQ(options.dnssec, c.expected);
    EXPECT_EQ(options.resolvers, c.resolvers);
  }
}

TEST(ResolverOptions, ExpiredAnswersComeBeforeTheTimeout) {
  struct {
    std::uint32_t timeout_ms;
    std::chrono::milliseconds stale_after;
  } const cases[] = {{10, std::chrono::milliseconds(9)},
                     {1000, std::chrono::milliseconds(900)},
                     {2000, std::chrono::milliseconds(1800)},
                     {60'000, std::chrono::milliseconds(1800)}};
  for (const auto& c : cases) {
    config::Config config;
    config.dns.timeout_ms = c.timeout_ms;
    EXPECT_EQ(resolver_options(config).stale_after, c.stale_after) << c.timeout_ms;
  }
}

TEST(ResolverOptions, CoresShareTheMemoryForCaches) {
  struct {
    std::uint32_t cores;
    std::size_t octets;
  } const cases[] = {{1, 32U << 20}, {8, 32U << 20}, {16, 16U << 20}, {32, 8U << 20}, {64, 8U << 20}};
  for (const auto& c : cases) {
    config::Config config;
    config.cores = c.cores;
    EXPECT_EQ(resolver_options(config).cache_octets, c.octets) << c.cores;
  }
}

TEST(ResolverOptions, AnotherResolverNeedsARestartAndAnotherTimeoutDoesNot) {
  const config::Config running;
  config::Config next = running;
  next.dns.timeout_ms = 50;
  EXPECT_THAT(restart_keys(running, next), testing::IsEmpty());
  next.dns.resolvers = {"127.0.0.1:53"};
  EXPECT_THAT(restart_keys(running, next), testing::ElementsAre("dns.resolvers"));
  next.dns.dnssec = "off";
  EXPECT_THAT(restart_keys(running, next), testing::ElementsAre("dns.resolvers", "dns.dnssec"));
}

}  // namespace
}  // namespace postern::serve
