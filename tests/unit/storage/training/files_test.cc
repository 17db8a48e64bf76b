#include "storage/training/files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>

namespace postern::storage::training {
namespace {

namespace fs = std::filesystem;

class TrainingFiles : public ::testing::Test {
 protected:
  TrainingFiles() {
    std::string name = (fs::temp_directory_path() / "postern-training-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) parent_ = name;
  }
  ~TrainingFiles() override { fs::remove_all(parent_); }

  fs::path folder() const { return parent_ / "store" / "classifier"; }
  std::unique_ptr<Files> open() {
    warnings_.clear();
    auto files = Files::open(folder(), warnings_);
    EXPECT_TRUE(files) << files.error().text();
    return files ? std::move(*files) : nullptr;
  }
  std::vector<std::string> records(Files& files) {
    std::vector<std::string> found;
    EXPECT_TRUE(files.replay(
        [&found](std::string_view record) {
          if (record == "unknown") return false;
          found.emplace_back(record);
          return true;
        },
        warnings_));
    return found;
  }
  static std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const fs::path& path, std::string_view octets) {
    std::ofstream(path, std::ios::binary) << octets;
  }

  fs::path parent_;
  std::vector<std::string> warnings_;
};

TEST_F(TrainingFiles, KeepsSecretSnapshotAndJournal) {
  Files::Secret secret{};
  {
    auto files = open();
    secret = files->secret();
    EXPECT_FALSE(files->take_snapshot());
    EXPECT_TRUE(records(*files).empty());
    EXPECT_TRUE(files->append("one"));
    EXPECT_TRUE(files->replace_snapshot([](const Files::Sink& sink) {
      sink("pay");
      sink("load");
    }));
    EXPECT_TRUE(files->append("two"));
    EXPECT_TRUE(files->append(""));
    EXPECT_TRUE(files->sync());
  }
  auto files = open();
  EXPECT_TRUE(warnings_.empty());
  EXPECT_EQ(files->secret(), secret);
  EXPECT_EQ(files->take_snapshot(), "payload");
  EXPECT_EQ(records(*files), (std::vector<std::string>{"two", ""}));
  std::vector<std::string> kept;
  files->for_each_kept([&kept](std::string_view record) {
    kept.emplace_back(record);
    return true;
  });
  EXPECT_EQ(kept, (std::vector<std::string>{"one", "two", ""}));
}

TEST_F(TrainingFiles, OneProcessHasThem) {
  const auto files = open();
  std::vector<std::string> ignored;
  const auto second = Files::open(folder(), ignored);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::locked);
}

TEST_F(TrainingFiles, SetsADamagedSnapshotAsideAndReadsTheJournals) {
  {
    auto files = open();
    (void)records(*files);
    EXPECT_TRUE(files->append("one"));
    EXPECT_TRUE(files->replace_snapshot([](const Files::Sink& sink) { sink("payload"); }));
    EXPECT_TRUE(files->append("two"));
  }
  const std::string whole = read(folder() / "snapshot");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    SCOPED_TRACE(i);
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    write(folder() / "snapshot", broken);
    auto files = open();
    EXPECT_FALSE(files->take_snapshot());
    ASSERT_EQ(warnings_.size(), 1U);
    EXPECT_EQ(records(*files), (std::vector<std::string>{"one", "two"}));
    EXPECT_FALSE(fs::exists(folder() / "snapshot"));
  }
}

TEST_F(TrainingFiles, CutsTheJournalAtTheFirstDamage) {
  struct Row {
    std::string_view name;
    std::size_t keep;   // octets
    std::size_t touch;  // an octet to change; 0: none
    std::vector<std::string> left;
  };
  const Row rows[] = {
      {"the end is torn off", 8 + 3 + 8 + 2, 0, {"one"}},
      {"a length is torn", 8 + 3 + 5, 0, {"one"}},
      {"a payload is changed", 22, 8 + 3 + 8, {"one"}},
      {"a checksum is changed", 22, 8 + 3 + 5, {"one"}},
      {"the first is damaged", 22, 9, {}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    fs::remove_all(folder());
    {
      auto files = open();
      (void)records(*files);
      EXPECT_TRUE(files->append("one"));
      EXPECT_TRUE(files->append("two"));
    }
    std::string journal = read(folder() / "journal.0").substr(0, row.keep);
    if (row.touch != 0) journal[row.touch] = static_cast<char>(journal[row.touch] ^ 1);
    write(folder() / "journal.0", journal);
    {
      auto files = open();
      EXPECT_EQ(records(*files), row.left);
      EXPECT_EQ(warnings_.size(), 1U);
      EXPECT_TRUE(files->append("three"));
    }
    auto files = open();
    auto expected = row.left;
    expected.emplace_back("three");
    EXPECT_EQ(records(*files), expected);
    EXPECT_TRUE(warnings_.empty());
  }
}

TEST_F(TrainingFiles, ARecordThatMeansNothingIsDamage) {
  {
    auto files = open();
    (void)records(*files);
    EXPECT_TRUE(files->append("one"));
    EXPECT_TRUE(files->append("unknown"));
  }
  auto files = open();
  EXPECT_EQ(records(*files), (std::vector<std::string>{"one"}));
  EXPECT_EQ(warnings_.size(), 1U);
}

TEST_F(TrainingFiles, NeverMakesANewSecretBesideOldKnowledge) {
  open().reset();
  write(folder() / "secret", "short");
  std::vector<std::string> ignored;
  const auto files = Files::open(folder(), ignored);
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code, Code::corrupt);
}

TEST_F(TrainingFiles, KeepsAFewJournals) {
  auto files = open();
  (void)records(*files);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(files->append(std::to_string(i)));
    EXPECT_TRUE(files->replace_snapshot([](const Files::Sink& sink) { sink("x"); }));
  }
  std::vector<std::string> kept;
  files->for_each_kept([&kept](std::string_view record) {
    kept.emplace_back(record);
    return true;
  });
  EXPECT_EQ(kept, (std::vector<std::string>{"6", "7", "8", "9"}));
  EXPECT_FALSE(files->append(std::string(Files::kRecordOctetsMax + 1, 'x')));
}

}  // namespace
}  // namespace postern::storage::training
