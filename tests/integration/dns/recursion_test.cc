// From a root of the test's own down to a zone on another address: no forwarder.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "filters/dns.h"
#include "gateway/dns/resolver.h"
#include "tests/integration/dns/conversation.h"
#include "tests/integration/dns/name_server.h"

namespace postern::dns {
namespace {

using filters::AnswerStatus;
using test::Conversation;
using test::NameServer;

constexpr std::uint16_t kDnsPort = 53;  // hints and delegations know no other

constexpr const char* kRootZone = R"($TTL 300
. SOA root.servers.test. root.servers.test. 1 3600 600 86400 60
. NS root.servers.test.
root.servers.test. A {}
zone.test. NS ns.zone.test.
ns.zone.test. A {}
lame.test. NS ns.zone.test.
)";

constexpr const char* kZone = R"($TTL 300
@ SOA ns.zone.test. root.zone.test. 1 3600 600 86400 60
@ NS ns.zone.test.
ns A {}
www A 192.0.2.1
deep.er.www A 192.0.2.2
)";

TEST(ResolverRecursion, FollowsDelegationsFromTheRoot) {
  if (!NameServer::installed()) GTEST_SKIP() << "nsd is not installed";
  const unsigned process = static_cast<unsigned>(::getpid());
  const std::string root_ip = fmt::format("127.{}.{}.1", 1 + (process >> 8) % 250, process % 250);
  const std::string zone_ip = fmt::format("127.{}.{}.2", 1 + (process >> 8) % 250, process % 250);
  if (!test::can_bind(root_ip, kDnsPort)) GTEST_SKIP() << "port 53 may not be bound";
  const NameServer root({.ip = root_ip,
                         .port = kDnsPort,
                         .zones = {{".", fmt::format(fmt::runtime(kRootZone), root_ip, zone_ip)}}});
  const NameServer zone(
      {.ip = zone_ip, .port = kDnsPort, .zones = {{"zone.test", fmt::format(fmt::runtime(kZone), zone_ip)}}});
  ASSERT_EQ(root.trouble(), "");
  ASSERT_EQ(zone.trouble(), "");
  const test::ScratchFolder folder;
  ResolverOptions options;
  options.dnssec = Dnssec::off;
  options.root_hints = (folder.path() / "hints").string();
  std::ofstream(options.root_hints) << ". 300 NS root.servers.test.\nroot.servers.test. 300 A " << root_ip
                                    << "\n";

  const Conversation result =
      test::converse(options, {filters::dns::a("www.zone.test"), filters::dns::a("deep.er.www.zone.test"),
                               filters::dns::a("nothing.zone.test"), filters::dns::a("nothing"),
                               filters::dns::a("www.lame.test")});
  ASSERT_EQ(result.trouble, "");
  EXPECT_EQ(result.answers[0].status, AnswerStatus::data) << to_string(result.answers[0].status);
  EXPECT_THAT(result.answers[0].records, testing::ElementsAre("192.0.2.1"));
  EXPECT_THAT(result.answers[1].records, testing::ElementsAre("192.0.2.2"));
  EXPECT_EQ(result.answers[2].status, AnswerStatus::no_such_name);
  EXPECT_EQ(result.answers[3].status, AnswerStatus::no_such_name);
  EXPECT_TRUE(result.answers[4].failed()) << to_string(result.answers[4].status);
}

}  // namespace
}  // namespace postern::dns
