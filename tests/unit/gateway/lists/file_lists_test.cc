#include "gateway/lists/file_lists.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace postern::lists {
namespace {

using filters::ListKind;
using filters::QuestionKind;

class FileListsTest : public ::testing::Test {
 protected:
  FileListsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-lists-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
  }
  ~FileListsTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string file(std::string_view name, std::string_view content) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::string found(QuestionKind kind, std::string name) const {
    const auto lists = FileLists::read(allow_, block_);
    EXPECT_TRUE(lists.has_value()) << lists.error();
    const auto match = (*lists)->find({.kind = kind, .name = std::move(name)});
    return match ? (match->kind == ListKind::allow ? "allow " : "block ") + match->entry : "";
  }

  std::filesystem::path folder_;
  config::LocalList allow_, block_;
};

TEST_F(FileListsTest, TheMostSpecificEntryHoldsAndTheAllowingOfEquals) {
  block_.client_files = {file("b1", "192.0.2.0/24  # a network\n\n# nothing\r\n198.51.100.7\r\n"),
                         file("b2", "2001:db8::/32\n203.0.113.5")};
  allow_.client_files = {file("a1", "192.0.2.9\n198.51.100.7\n")};
  EXPECT_EQ(found(QuestionKind::client_list, "192.0.2.1"), "block 192.0.2.0/24");
  EXPECT_EQ(found(QuestionKind::client_list, "192.0.2.9"), "allow 192.0.2.9/32");
  EXPECT_EQ(found(QuestionKind::client_list, "198.51.100.7"), "allow 198.51.100.7/32");
  EXPECT_EQ(found(QuestionKind::client_list, "2001:db8:1::1"), "block 2001:db8::/32");
  EXPECT_EQ(found(QuestionKind::client_list, "203.0.113.5"), "block 203.0.113.5/32") << "without a line end";
  EXPECT_EQ(found(QuestionKind::client_list, "203.0.113.6"), "");
}

TEST_F(FileListsTest, Names) {
  block_.sender_files = {
      file("s", "bad.example\n@only.example\n@.below.example\nSome.One@Mixed.Example\n<>\n")};
  block_.recipient_files = {file("r", "closed@test.example\n")};
  allow_.sender_files = {file("sa", "friend@bad.example\n")};
  struct Row {
    const char *address, *expected;
  };
  const Row rows[] = {
      {"a@bad.example", "block @bad.example"},
      {"a@mail.bad.example", "block @.bad.example"},
      {"a@notbad.example", ""},
      {"a@only.example", "block @only.example"},
      {"a@mail.only.example", ""},
      {"a@below.example", ""},
      {"a@x.y.below.example", "block @.below.example"},
      {"some.one@mixed.example", "block some.one@mixed.example"},
      {"other@mixed.example", ""},
      {"friend@bad.example", "allow friend@bad.example"},
      {"", "block <>"},
      {"postmaster", ""},
  };
  for (const Row& row : rows)
    EXPECT_EQ(found(QuestionKind::sender_list, row.address), row.expected) << row.address;
  EXPECT_EQ(found(QuestionKind::recipient_list, "closed@test.example"), "block closed@test.example");
  EXPECT_EQ(found(QuestionKind::recipient_list, "a@bad.example"), "");
  EXPECT_EQ(found(QuestionKind::dns_a, "bad.example"), "");
}

TEST_F(FileListsTest, LinesThatAreNoEntriesAreCountedAndTheFirstIsNamed) {
  const std::string limit(kLineOctetsMax - 10, 'x');
  block_.client_files = {file("clients", "192.0.2.1\nnot an address\n192.0.2.1/33\n192.0.2.2\n")};
  block_.sender_files = {
      file("senders", limit + ".example\n" + limit + "x.example.example\n\0\n@\n@@x\na b\nok.example\n")};
  const auto lists = FileLists::read(allow_, block_);
  ASSERT_TRUE(lists.has_value());
  EXPECT_EQ((*lists)->first_bad_line(), block_.client_files[0] + ":2: no entry");
  EXPECT_EQ(found(QuestionKind::client_list, "192.0.2.2"), "block 192.0.2.2/32");
}

TEST_F(FileListsTest, TheLongestLineAndOneOctetMore) {
  const std::string longest(kLineOctetsMax, 'x');
  block_.sender_files = {file("longest", longest + "\nok.example\n")};
  EXPECT_EQ((*FileLists::read(allow_, block_))->bad_lines(), 0U);
  block_.sender_files = {file("longer", longest + "x\nok.example\n")};
  const auto lists = FileLists::read(allow_, block_);
  EXPECT_EQ((*lists)->bad_lines(), 1U);
  EXPECT_EQ((*lists)->first_bad_line(), block_.sender_files[0] + ":1: too long a line");
  EXPECT_EQ(found(QuestionKind::sender_list, "a@ok.example"), "block @ok.example");
}

TEST_F(FileListsTest, AFileThatCannotBeReadIsAnError) {
  block_.sender_files = {(folder_ / "absent").string()};
  const auto absent = FileLists::read(allow_, block_);
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error(), (folder_ / "absent").string() + ": No such file or directory");
  block_.sender_files = {folder_.string()};
  EXPECT_EQ(FileLists::read(allow_, block_).error(), folder_.string() + ": is no file");
}

TEST_F(FileListsTest, AChangeIsSeenInTheStamps) {
  block_.sender_files = {file("s", "a.example\n"), (folder_ / "absent").string()};
  const auto before = stamps(allow_, block_);
  ASSERT_EQ(before.size(), 2U);
  EXPECT_EQ(before[1], FileStamp());
  EXPECT_EQ(stamps(allow_, block_), before);
  file("s", "a.example\nb.example\n");
  EXPECT_NE(stamps(allow_, block_), before);
}

}  // namespace
}  // namespace postern::lists
