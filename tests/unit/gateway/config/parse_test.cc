#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/config/support.h"

namespace postern::config {
namespace {

using filters::Network;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Network> networks(std::initializer_list<std::string_view> texts) {
  std::vector<Network> out;
  for (const std::string_view text : texts) out.push_back(Network::parse(text).value());
  return out;
}

TEST(ConfigParse, TheLeastManifestHasAllDefaults) {
  const Loaded loaded = parse(std::string(kLeast));
  EXPECT_EQ(texts(loaded.problems), "");
  const Config& config = loaded.config;
  EXPECT_EQ(config.file, "/etc/postern/m.toml");
  EXPECT_EQ(config.hostname, "mx.test.example");
  EXPECT_EQ(config.cores, 0U);
  EXPECT_EQ(config.over_quota, "defer");
  EXPECT_EQ(config.store.path, "/var/lib/postern/store");
  EXPECT_EQ(config.control.socket, "/run/postern/control.sock");
  EXPECT_EQ(config.metrics.listen, "127.0.0.1:9125");
  EXPECT_EQ(config.log.file, "");
  EXPECT_EQ(config.log.level, "info");
  ASSERT_EQ(config.listeners.size(), 1U);
  EXPECT_EQ(config.listeners[0].service, Service::mx);
  EXPECT_FALSE(config.listeners[0].implicit_tls);
  EXPECT_THAT(config.tls.certificates, IsEmpty());
  EXPECT_TRUE(config.tls.enabled);
  EXPECT_EQ(config.limits.message_octets_max, 26'214'400U);
  EXPECT_EQ(config.limits.unlimited_from, networks({"127.0.0.0/8", "::1/128"}));
  EXPECT_EQ(config.domains[0].recipients, "accounts");
  EXPECT_EQ(config.filter.reject_score, 15.0);
}

TEST(ConfigParse, EveryKeyArrives) {
  const Loaded loaded = parse(R"(
hostname = "MX.Test.Example"
cores = 3
pin_cores = true
spread_evenly = true
workers = 7
postmaster = "Anna@TEST.example"
over_quota = "refuse"
[store]
path = "var/../store"
queue_octets_max = 100000
queue_transactions_max = 11
gather_us = 500
memtable_octets = 1048576
block_cache_octets = 2097152
free_octets_min = 0
[control]
socket = "control.sock"
[metrics]
listen = ""
[log]
file = "log/postern.log"
level = "debug"
addresses = false
[dns]
resolvers = ["127.0.0.1:5353", "[::1]:53"]
dnssec = "trust"
timeout_ms = 10
[[listener]]
address = "[0:0::1]:25"
implicit_tls = true
proxy_protocol_from = ["10.0.0.1"]
xclient_from = ["10.0.0.77/8", "2001:db8::1/32"]
[[listener]]
address = "unix:run/lmtp.sock"
service = "lmtp"
[tls]
certificate = "a.pem"
key = "/keys/a.key"
required = true
[[tls.certificates]]
certificate = "b.pem"
key = "b.key"
[smtp]
bare_line_endings = "normalize"
bare_line_endings_exempt = ["10.1.0.0/16"]
greeting_delay_ms = 60000
early_talker = "reject"
greeting_delay_exempt = ["10.2.0.0/16"]
[limits]
message_octets_max = 1024
recipients_max = 1
connections_max = 2
connections_per_network_max = 3
unlimited_from = []
body_memory_octets_max = 65536
command_octets_max = 512
errors_max = 4
commands_max = 10
idle_commands_max = 5
transactions_max = 6
command_timeout_s = 7
data_timeout_s = 8
session_timeout_s = 9
drain_s = 0
handshakes_per_turn_max = 1
analysis_inline_octets_max = 0
[[blocklist]]
zone = "BL.test.example"
kind = "domain"
answers = { "127.0.0.4" = "new", "127.0.0.2" = "listed" }
score = 4
[[domain]]
name = "Test.EXAMPLE"
deliver = "mailbox"
recipients = "any"
catch_all = "anna@test.example"
[[domain]]
name = "bücher.example"
[[account]]
address = "Anna@Test.example"
aliases = ["info@test.example", "anna@bücher.example", "shop@xn--bcher-kva.example"]
quota_octets = 5
[filter]
enabled = false
reject_score = 3
quarantine_score = 2.5
tag_score = -1
allow_score = -50
block_score = 50.25
received_hops_max = 30
[filter.rules]
folder = "own"
spamassassin = ["local.cf", "/a/b.cf"]
profile = "strict"
scores = { LURE_A = 0.5, __B = -3 }
disabled = ["C_1"]
protected_names = { "Example Bank" = "Bank.example" }
cache = "/var/cache/x"
[filter.allow]
clients = ["192.0.2.1"]
senders = ["<>", "@a.example", "@.B.example", "C@d.example"]
[filter.block]
recipients = ["@e.example"]
)");
  EXPECT_EQ(texts(loaded.problems), "");
  const Config& c = loaded.config;
  EXPECT_EQ(c.hostname, "mx.test.example");
  EXPECT_EQ(c.cores, 3U);
  EXPECT_TRUE(c.pin_cores);
  EXPECT_TRUE(c.spread_evenly);
  EXPECT_EQ(c.workers, 7U);
  EXPECT_EQ(c.postmaster, "Anna@test.example");
  EXPECT_EQ(c.over_quota, "refuse");
  EXPECT_EQ(c.store, (StoreConfig{"/etc/postern/store", 100000, 11, 500, 1048576, 2097152, 0}));
  EXPECT_EQ(c.control.socket, "/etc/postern/control.sock");
  EXPECT_EQ(c.metrics.listen, "");
  EXPECT_EQ(c.log, (LogConfig{"/etc/postern/log/postern.log", "debug", false}));
  EXPECT_EQ(c.dns, (DnsConfig{{"127.0.0.1:5353", "[::1]:53"}, "trust", 10, 5000}));
  ASSERT_EQ(c.listeners.size(), 2U);
  EXPECT_EQ(c.listeners[0], (ListenerConfig{"[::1]:25", Service::mx, true, networks({"10.0.0.1/32"}),
                                            networks({"10.0.0.0/8", "2001:db8::/32"})}));
  EXPECT_EQ(c.listeners[1],
            (ListenerConfig{"unix:/etc/postern/run/lmtp.sock", Service::lmtp, false, {}, {}}));
  EXPECT_EQ(c.tls,
            (TlsConfig{{{"/etc/postern/a.pem", "/keys/a.key"}, {"/etc/postern/b.pem", "/etc/postern/b.key"}},
                       true,
                       true}));
  EXPECT_EQ(c.smtp,
            (SmtpConfig{"normalize", networks({"10.1.0.0/16"}), 60000, "reject", networks({"10.2.0.0/16"})}));
  EXPECT_EQ(c.limits, (LimitsConfig{1024, 1, 2, 3, {}, 65536, 512, 4, 10, 5, 6, 7, 8, 9, 0, 1, 0}));
  ASSERT_EQ(c.blocklists.size(), 1U);
  EXPECT_EQ(c.blocklists[0],
            (BlocklistConfig{
                "bl.test.example", "domain", {{"127.0.0.2", "listed"}, {"127.0.0.4", "new"}}, 4.0, false}));
  ASSERT_EQ(c.domains.size(), 2U);
  EXPECT_EQ(c.domains[0],
            (DomainConfig{.name = "test.example", .recipients = "any", .catch_all = "anna@test.example"}));
  EXPECT_EQ(c.domains[1].name, "bücher.example");
  ASSERT_EQ(c.accounts.size(), 1U);
  EXPECT_EQ(c.accounts[0].address, "Anna@test.example");
  EXPECT_THAT(c.accounts[0].aliases,
              ElementsAre("info@test.example", "anna@bücher.example", "shop@xn--bcher-kva.example"));
  EXPECT_EQ(c.accounts[0].quota_octets, 5U);
  EXPECT_EQ(c.filter, (FilterConfig{.enabled = false,
                                    .reject_score = 3.0,
                                    .quarantine_score = 2.5,
                                    .tag_score = -1.0,
                                    .allow_score = -50.0,
                                    .block_score = 50.25,
                                    .blocklist_reject_score = 3.0,  // as reject_score
                                    .received_hops_max = 30,
                                    .allow = {.clients = networks({"192.0.2.1/32"}),
                                              .senders = {"<>", "@a.example", "@.b.example", "C@d.example"}},
                                    .block = {.recipients = {"@e.example"}},
                                    .authentication = {.enabled = true},  // resolvers are set
                                    .rules = {.enabled = true,
                                              .folder = "/etc/postern/own",
                                              .spamassassin = {"/etc/postern/local.cf", "/a/b.cf"},
                                              .profile = "strict",
                                              .scores = {{"LURE_A", "0.5"}, {"__B", "-3"}},
                                              .disabled = {"C_1"},
                                              .protected_names = {{"Example Bank", "bank.example"}},
                                              .cache = "/var/cache/x"}}));
}

TEST(ConfigParse, TablesMayBeInlineAndInAnyOrder) {
  const Loaded loaded = parse(
      "limits = { recipients_max = 5 }\n"
      "filter.allow.clients = [\"192.0.2.0/24\"]\n"
      "listener = [{ address = \"127.0.0.1:0\" }, { address = \"127.0.0.1:0\" }]\n"
      "hostname = \"[192.0.2.1]\"\n");
  EXPECT_EQ(texts(loaded.problems), "");
  EXPECT_EQ(loaded.config.limits.recipients_max, 5U);
  EXPECT_EQ(loaded.config.filter.allow.clients, networks({"192.0.2.0/24"}));
  EXPECT_EQ(loaded.config.listeners.size(), 2U);
}

TEST(ConfigParse, TheFirstAccountIsPostmasterUnlessSaid) {
  const std::string accounts = std::string(kLeast) +
                               "[[account]]\naddress = \"b@test.example\"\n"
                               "[[account]]\naddress = \"a@test.example\"\n";
  const Loaded loaded = parse(accounts);
  EXPECT_EQ(loaded.config.postmaster, "b@test.example");
  EXPECT_EQ(texts(loaded.warnings),
            "/etc/postern/m.toml:1: postmaster: is not set: mail to postmaster goes to the first account, "
            "\"b@test.example\"\n");
  const Loaded said = parse("postmaster = \"a@test.example\"\n" + accounts);
  EXPECT_EQ(said.config.postmaster, "a@test.example");
  EXPECT_EQ(texts(said.warnings), "");
}

TEST(ConfigParse, NumbersAtTheirBounds) {
  const struct {
    const char* name;
    const char* line;
    bool good;
  } cases[] = {
      {"least", "workers = 1", true},
      {"below the least", "workers = 0", false},
      {"most", "workers = 256", true},
      {"above the most", "workers = 257", false},
      {"negative", "cores = -1", false},
      {"zero cores are all", "cores = 0", true},
      {"largest integer of TOML", "workers = 9223372036854775807", false},
      {"hexadecimal", "workers = 0x10", true},
      {"underscores", "workers = 1_0", true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(parse(std::string(c.line) + "\n" + std::string(kLeast)).problems.empty(), c.good);
  }
}

TEST(ConfigParse, SendersAreAuthenticatedWhereDnsIsToBeHad) {
  const struct {
    std::string_view name, text;
    bool enabled;
  } rows[] = {
      {"no resolver", "", false},
      {"a resolver", "[dns]\nresolvers = [\"127.0.0.1:53\"]\n", true},
      {"a resolver, and a word",
       "[dns]\nresolvers = [\"127.0.0.1:53\"]\n[filter.authentication]\nenabled = false\n", false},
      {"a word", "[filter.authentication]\nenabled = true\n", true},
      {"another key", "[filter.authentication]\nspf_fail_score = 4\n", false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const Loaded loaded = parse(std::string(kLeast) + std::string(row.text), "/etc/postern/m.toml");
    EXPECT_TRUE(loaded.problems.empty());
    EXPECT_EQ(loaded.config.filter.authentication.enabled, row.enabled);
  }
}

}  // namespace
}  // namespace postern::config
