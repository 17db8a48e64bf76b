#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "gateway/config/schema.h"
#include "tests/unit/gateway/config/support.h"

namespace postern::config {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Converts to whatever a member is: an aggregate has as many members as it can be initialised with.
struct Anything {
  template <typename T>
  operator T() const;  // NOLINT: never defined, only named
};

template <typename T, typename... Members>
consteval std::size_t member_count() {
  if constexpr (requires { T{Members{}..., Anything{}}; }) {
    return member_count<T, Members..., Anything>();
  } else {
    return sizeof...(Members);
  }
}

TEST(ConfigSchema, HasARowForEveryMember) {
  constexpr std::size_t kNotKeysOfConfig = 1 + 17;  // file, and the members that are sections
  const struct {
    std::string_view section;
    std::size_t members;
  } cases[] = {
      {"", member_count<Config>() - kNotKeysOfConfig},
      {"store", member_count<StoreConfig>()},
      {"control", member_count<ControlConfig>()},
      {"metrics", member_count<MetricsConfig>()},
      {"log", member_count<LogConfig>()},
      {"dns", member_count<DnsConfig>()},
      {"listener", member_count<ListenerConfig>()},
      {"tls", member_count<TlsConfig>() - 1 +
                  member_count<CertificateConfig>()},  // the list's first is written there
      {"tls.certificates", member_count<CertificateConfig>()},
      {"smtp", member_count<SmtpConfig>()},
      {"limits", member_count<LimitsConfig>()},
      {"blocklist", member_count<BlocklistConfig>()},
      {"domain", member_count<DomainConfig>()},
      {"account", member_count<AccountConfig>()},
      {"relay", member_count<RelayConfig>()},
      {"queue", member_count<QueueConfig>()},
      {"submission", member_count<SubmissionConfig>()},
      {"signing", member_count<SigningConfig>()},
      {"filter", member_count<FilterConfig>() - 8},  // those that follow are sections
      {"filter.profile", member_count<ProfileConfig>()},
      {"filter.incomplete", member_count<IncompleteConfig>()},
      {"filter.greylist", member_count<GreylistConfig>()},
      {"filter.allow", member_count<LocalList>()},
      {"filter.block", member_count<LocalList>()},
      {"filter.authentication",
       member_count<AuthenticationConfig>() - 2},  // overrides and forwarders are sections
      {"filter.authentication.override", member_count<OverrideConfig>()},
      {"filter.authentication.forwarder", member_count<ForwarderConfig>()},
      {"filter.rules", member_count<RulesConfig>()},
      {"filter.bayes", member_count<BayesConfig>()},
  };
  ASSERT_EQ(std::size(cases), sections().size());
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(cases[i].section);
    EXPECT_EQ(sections()[i].name, cases[i].section);
    EXPECT_EQ(sections()[i].keys.size(), cases[i].members);
  }
}

TEST(ConfigSchema, RowsAreWellFormed) {
  for (const Section& section : sections()) {
    SCOPED_TRACE(section.name);
    EXPECT_FALSE(section.doc.empty());
    std::set<std::string_view> names;
    for (const Key& key : section.keys) {
      SCOPED_TRACE(key.name);
      EXPECT_TRUE(names.insert(key.name).second);
      EXPECT_THAT(std::string(key.doc), testing::EndsWith("."));
      EXPECT_LE(key.rule.min, key.rule.max);
    }
  }
}

/// What is dumped loads again without problems and means the same; dumped again it says the same, but for the
/// marks.
void expect_round_trip(const Loaded& loaded) {
  ASSERT_EQ(texts(loaded.problems), "");
  const std::string text = dump(loaded);
  const Loaded again = parse(text, loaded.config.file);
  ASSERT_EQ(texts(again.problems), "") << text;
  EXPECT_EQ(again.config, loaded.config) << text;
  const std::string all_set = dump(again);
  EXPECT_THAT(all_set, Not(HasSubstr("# default")));
  EXPECT_EQ(dump(parse(all_set, loaded.config.file)), all_set);
}

TEST(ConfigDump, TheLeastManifestComesBack) {
  expect_round_trip(parse(std::string(kLeast)));
}

TEST(ConfigDump, EverythingUnusualComesBack) {
  expect_round_trip(parse(R"(
hostname = "[IPv6:2001:db8::1]"
[store]
path = "with \"quotes\" and \\ and \ttab/é"
[[listener]]
address = "unix:a b.sock"
service = "lmtp"
proxy_protocol_from = ["192.0.2.0/24", "2001:db8::/32"]
[[listener]]
address = "[::1]:2525"
[tls]
certificate = "a.pem"
key = "a.key"
[[tls.certificates]]
certificate = "b.pem"
key = "b.key"
[[tls.certificates]]
certificate = "c.pem"
key = "c.key"
[dns]
resolvers = ["127.0.0.1:5353"]
dnssec = "off"
[limits]
unlimited_from = []
[[blocklist]]
zone = "bl.test.example"
kind = "hash"
answers = { "127.0.0.3" = "a \"name\"", "127.0.0.2" = "" }
score = 0.1
[[domain]]
name = "bücher.example"
catch_all = "grün@bücher.example"
[[account]]
address = "grün@bücher.example"
aliases = ["a@bücher.example", "b@bücher.example"]
[[account]]
address = "second@bücher.example"
[filter]
tag_score = -0.3333333333333333
[filter.allow]
senders = ["<>", "@.a.example"]
[filter.authentication]
received_spf = true
[[filter.authentication.override]]
domain = "list.example"
disposition = "accept"
reason = "their \"list\""
[[filter.authentication.forwarder]]
authserv_id = "mx.forwarder.example"
networks = ["192.0.2.0/24"]
)"));
}

TEST(ConfigDump, MarksWhatTheManifestDidNotSet) {
  const std::string text = dump(parse(std::string(kLeast) + "[limits]\nrecipients_max = 1000\n"));
  EXPECT_THAT(text, HasSubstr("\nhostname = \"mx.test.example\"\n"));
  EXPECT_THAT(text, HasSubstr("\nrecipients_max = 1000\n"));  // set, though to the default
  EXPECT_THAT(text, HasSubstr("\nerrors_max = 20  # default\n"));
  EXPECT_THAT(text, HasSubstr("\nservice = \"mx\"  # default\n"));
  EXPECT_THAT(text, HasSubstr("\nunlimited_from = [\"127.0.0.0/8\", \"::1/128\"]  # default\n"));
  EXPECT_THAT(text, HasSubstr("\nreject_score = 15.0  # default\n"));
  EXPECT_THAT(text, HasSubstr("\n# [[account]]\n"));
}

TEST(ConfigDump, DocumentsEveryKey) {
  const std::string text = dump(parse(std::string(kLeast)));
  std::string words;  // comments are broken into lines: compare without the breaks
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.compare(at, 3, "\n# ") == 0) {
      words += ' ';
      at += 2;
    } else {
      words += text[at];
    }
  }
  for (const Section& section : sections()) {
    for (const Key& key : section.keys) EXPECT_THAT(words, HasSubstr(std::string(key.doc))) << key.name;
  }
}

TEST(ConfigReference, NamesEveryKeyWithItsRange) {
  const std::string text = reference();
  for (const Section& section : sections()) {
    for (const Key& key : section.keys)
      EXPECT_THAT(text, HasSubstr("| `" + std::string(key.name) + "` | ")) << key.name;
  }
  EXPECT_THAT(text, HasSubstr("### Top level\n"));
  EXPECT_THAT(text, HasSubstr("### `[[tls.certificates]]`\n"));
  EXPECT_THAT(text, HasSubstr("| `hostname` | a domain name or an address literal | required |"));
  EXPECT_THAT(text, HasSubstr("| `workers` | an integer from 1 to 256 | `2` |"));
  EXPECT_THAT(text, HasSubstr("| `path` | a path | `\"/var/lib/postern/store\"` |"));
  EXPECT_THAT(text,
              HasSubstr("| `service` | \"mx\", \"submission\", \"submissions\" or \"lmtp\" | `\"mx\"` |"));
}

TEST(ConfigManifests, ThoseOfTheTreeLoad) {
  const char* source = std::getenv("POSTERN_SOURCE");
  if (source == nullptr) GTEST_SKIP() << "POSTERN_SOURCE is not set";
  const std::filesystem::path folder = std::filesystem::path(source) / "deploy/manifests";
  for (const char* name : {"postern.toml", "small.toml", "medium.toml", "large.toml"}) {
    SCOPED_TRACE(name);
    const Loaded loaded = load(folder / name);
    EXPECT_EQ(texts(loaded.warnings), "");
    expect_round_trip(loaded);
  }
  const Loaded sample = load(folder / "postern.toml");
  EXPECT_EQ(sample.config.accounts.size(), 3U);
  EXPECT_EQ(sample.config.listeners.size(), 3U);
}

}  // namespace
}  // namespace postern::config
