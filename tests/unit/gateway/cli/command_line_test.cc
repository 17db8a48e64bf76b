#include "gateway/cli/command_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/control/exit_codes.h"

namespace postern::cli {
namespace {

struct Said {
  int code = -1;
  std::string out, err;
};

Said say(std::vector<const char*> words) {
  words.insert(words.begin(), "postern");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Said said;
  said.code = run(static_cast<int>(words.size()), words.data());
  said.out = testing::internal::GetCapturedStdout();
  said.err = testing::internal::GetCapturedStderr();
  return said;
}

TEST(CommandLine, WhatIsWrongIsUsage) {
  const std::vector<std::vector<const char*>> wrong = {
      {},
      {"frobnicate"},
      {"mailbox"},
      {"mailbox", "show"},
      {"config"},
      {"scan"},
      {"serve", "--unknown"},
      {"mailbox", "export", "a@b.example"},
      {"explain"},
      {"status", "extra"},
      {"scan", "--ip", "x", "-"},
      {"config", "check", "a", "--config", "b"},
      {"explain", "tooshort"},
      {"check"},
      {"check", "spf"},
      {"check", "spf", "--ip", "192.0.2.1"},
      {"check", "spf", "--ip", "nonsense", "--mail-from", "a@b.example"},
      {"check", "spf", "--ip", "192.0.2.1", "--mail-from", "a@b.example", "--resolver", "nobody"},
      {"check", "dkim"},
      {"check", "dmarc"},
      {"check", "dmarc", "--from", "a@b.example", "message.eml"},
      {"check", "dmarc", "--spf", "pass:b.example", "message.eml"},
      {"check", "dmarc", "--from", "a@b.example, c@d.example"},
      {"check", "dnsbl"},
      {"check", "dnsbl", "not..a..name", "--zone", "bl.example"},
      {"check", "dnsbl", "192.0.2.1", "--zone", "not..a.zone"},
      {"dkim"},
      {"dkim", "keygen", "--domain", "a.example", "--selector", "s"},
      {"dkim", "keygen", "--domain", "a..example", "--selector", "s", "--out", "/nowhere/key"},
      {"dkim", "keygen", "--domain", "a.example", "--selector", "", "--out", "/nowhere/key"},
      {"dkim", "keygen", "--type", "dsa", "--domain", "a.example", "--selector", "s", "--out",
       "/nowhere/key"},
      {"dkim", "keygen", "--bits", "2047", "--domain", "a.example", "--selector", "s", "--out",
       "/nowhere/key"},
      {"dkim", "keygen", "--bits", "4097", "--domain", "a.example", "--selector", "s", "--out",
       "/nowhere/key"},
      {"dkim", "record"},
  };
  for (const auto& words : wrong) {
    const Said said = say(words);
    EXPECT_EQ(said.code, control::kUsage) << said.err;
    EXPECT_EQ(said.out, "");
    EXPECT_TRUE(said.err.starts_with("postern: ")) << said.err;
  }
}

TEST(CommandLine, HelpNamesEveryVerbAndEndsWell) {
  const Said said = say({"--help"});
  EXPECT_EQ(said.code, control::kOk);
  EXPECT_EQ(said.err, "");
  for (const char* verb :
       {"serve", "config", "scan", "mailbox", "explain", "status", "reload", "verify", "check", "dkim"}) {
    EXPECT_NE(said.out.find(std::string("\n  ") + verb + " "), std::string::npos) << verb;
    const Said help = say({verb, "--help"});
    EXPECT_EQ(help.code, control::kOk) << verb;
    EXPECT_NE(help.out.find("Usage: postern "), std::string::npos) << help.out;
  }
}

TEST(CommandLine, VersionIsOneLine) {
  const Said said = say({"--version"});
  EXPECT_EQ(said.code, control::kOk);
  EXPECT_TRUE(said.out.starts_with("postern ")) << said.out;
  EXPECT_EQ(std::count(said.out.begin(), said.out.end(), '\n'), 1);
}

TEST(CommandLine, AManifestThatIsNotThereIsConfig) {
  for (const auto& words : std::vector<std::vector<const char*>>{
           {"config", "check", "/nowhere/postern.toml"},
           {"config", "dump", "/nowhere/postern.toml"},
           {"config", "check", "--config", "/nowhere/postern.toml"},
           {"mailbox", "list", "--json", "--config", "/nowhere/postern.toml"},
           {"status", "--config", "/nowhere/postern.toml"},
           {"serve", "--config", "/nowhere/postern.toml"}}) {
    const Said said = say(words);
    EXPECT_EQ(said.code, control::kConfig) << said.err;
    EXPECT_TRUE(said.err.starts_with("/nowhere/postern.toml")) << said.err;
  }
}

TEST(CommandLine, AMessageThatIsNotThereIsNoInput) {
  for (const char* check : {"dkim", "arc", "dmarc"}) {
    const Said said = say({"check", check, "/nowhere/message.eml"});
    EXPECT_EQ(said.code, control::kNoInput) << said.err;
    EXPECT_EQ(said.out, "");
  }
}

TEST(CommandLine, KeysAreTheReference) {
  const Said said = say({"config", "keys"});
  EXPECT_EQ(said.code, control::kOk);
  EXPECT_NE(said.out.find("recipients_max"), std::string::npos);
}

}  // namespace
}  // namespace postern::cli
