#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/unit/gateway/config/support.h"

namespace postern::config {
namespace {

namespace fs = std::filesystem;

class ConfigLoad : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "postern_config_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(ConfigLoad, RelativePathsStartFromTheManifestsFolder) {
  const fs::path file = folder_ / "m.toml";
  std::ofstream(file) << kLeast << "[store]\npath = \"var/store\"\n";
  const Loaded loaded = load(file);
  EXPECT_EQ(texts(loaded.problems), "");
  EXPECT_EQ(loaded.config.store.path, folder_ / "var/store");
  EXPECT_EQ(loaded.config.file, file);
}

TEST_F(ConfigLoad, ARelativeNameIsMadeAbsolute) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  std::ofstream("m.toml") << kLeast << "[store]\npath = \"store\"\n[nonsense]\n";
  const Loaded loaded = load("m.toml");
  const fs::path here = fs::current_path();
  fs::current_path(before);
  EXPECT_EQ(texts(loaded.problems), "m.toml:8: nonsense: unknown key\n");  // but named as it was given
  EXPECT_EQ(loaded.config.store.path, here / "store");
}

TEST_F(ConfigLoad, WhatCannotBeReadIsOneLine) {
  const fs::path absent = folder_ / "absent.toml";
  EXPECT_EQ(texts(load(absent).problems), absent.string() + ": cannot be read: No such file or directory\n");
  EXPECT_EQ(texts(load(folder_).problems), folder_.string() + ": cannot be read: it is a folder\n");
  const fs::path large = folder_ / "large.toml";
  std::ofstream(large).close();
  fs::resize_file(large, kManifestOctetsMax + 1);
  EXPECT_EQ(texts(load(large).problems), large.string() + ": is larger than 67108864 octets\n");
}

TEST_F(ConfigLoad, FiftyThousandAccountsAreQuick) {
  std::string text(kLeast);
  for (int i = 0; i < 50'000; ++i) {
    const std::string name = "someone." + std::to_string(i);
    text += "[[account]]\naddress = \"" + name + "@test.example\"\naliases = [\"alias." + name +
            "@test.example\"]\nquota_octets = 1073741824\n";
  }
  const fs::path file = folder_ / "m.toml";
  std::ofstream(file) << text;
  const auto start = std::chrono::steady_clock::now();
  const Loaded loaded = load(file);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(texts(loaded.problems), "");
  EXPECT_EQ(loaded.config.accounts.size(), 50'000U);
  RecordProperty("milliseconds", static_cast<int>(taken.count() * 1000));
  EXPECT_LT(taken.count(),
            30.0);  // about half a second in a release build; sanitizers and busy machines take longer

  const auto dump_start = std::chrono::steady_clock::now();
  const Loaded again = parse(dump(loaded), file);
  EXPECT_EQ(again.config, loaded.config);
  const std::chrono::duration<double> dump_taken = std::chrono::steady_clock::now() - dump_start;
  EXPECT_LT(dump_taken.count(), 60.0);
}

TEST_F(ConfigLoad, TooManyMistakesAreCounted) {
  std::string text(kLeast);
  for (std::size_t i = 0; i < kProblemsMax + 5; ++i) text += "wrong" + std::to_string(i) + " = 1\n";
  const Loaded loaded = parse(text);
  ASSERT_EQ(loaded.problems.size(), kProblemsMax + 1);
  EXPECT_EQ(loaded.problems.back().text(), "/etc/postern/m.toml: 5 more mistakes are not listed");
}

}  // namespace
}  // namespace postern::config
