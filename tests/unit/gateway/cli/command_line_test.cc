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
  for (const char* verb : {"serve", "config", "scan", "mailbox", "explain", "status", "reload", "verify"}) {
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

TEST(CommandLine, KeysAreTheReference) {
  const Said said = say({"config", "keys"});
  EXPECT_EQ(said.code, control::kOk);
  EXPECT_NE(said.out.find("recipients_max"), std::string::npos);
}

}  // namespace
}  // namespace postern::cli
