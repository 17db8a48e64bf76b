#include "bench/load/corpus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace postern::load {
namespace {

namespace fs = std::filesystem;

struct DataCase {
  const char* name;
  std::string_view message, wire;
};

TEST(DataForm, DoublesDotsAndEndsLines) {
  constexpr DataCase cases[] = {
      {"empty", "", ".\r\n"},
      {"one line", "a\r\n", "a\r\n.\r\n"},
      {"last line without its end", "a", "a\r\n.\r\n"},
      {"lone LF", "a\nb\n", "a\r\nb\r\n.\r\n"},
      {"lone CR", "a\rb\r", "a\r\nb\r\n.\r\n"},
      {"CR before CRLF", "a\r\r\n", "a\r\n\r\n.\r\n"},
      {"first dot", ".a\r\n", "..a\r\n.\r\n"},
      {"a dot alone", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
      {"dot behind a lone LF", "a\n.\n", "a\r\n..\r\n.\r\n"},
      {"dot inside a line", "a.b\r\n", "a.b\r\n.\r\n"},
      {"empty lines", "\r\n\n", "\r\n\r\n.\r\n"},
  };
  for (const DataCase& c : cases) EXPECT_EQ(data_form(c.message), c.wire) << c.name;
}

TEST(Generated, HasExactlyTheOctetsWantedInProperLines) {
  for (std::size_t size = Corpus::kGeneratedOctetsMin; size < 3000; ++size) {
    const std::string message = generated_message(size);
    ASSERT_EQ(message.size(), size);
    ASSERT_TRUE(message.ends_with("\r\n"));
    ASSERT_EQ(data_form(message).size(), size + 3) << "a lone line end or a dot in front";
    for (std::size_t at = 0; at < message.size();) {
      const std::size_t end = message.find("\r\n", at);
      ASSERT_LE(end - at, 78U) << size;
      at = end + 2;
    }
  }
  EXPECT_EQ(generated_message(100).size(), Corpus::kGeneratedOctetsMin);
  EXPECT_EQ(generated_message(9000), generated_message(9000));
}

class CorpusFiles : public testing::Test {
 protected:
  CorpusFiles() {
    std::string pattern = (fs::temp_directory_path() / "postern-corpus-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~CorpusFiles() override { fs::remove_all(folder_); }

  std::string write(const fs::path& name, std::string_view octets) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << octets;
    return (folder_ / name).string();
  }
  fs::path folder_;
};

TEST_F(CorpusFiles, OneMessage) {
  const auto corpus = Corpus::load(write("a.eml", "A: 1\n\n.x\n"));
  ASSERT_TRUE(corpus) << corpus.error();
  EXPECT_EQ(corpus->size(), 1U);
  EXPECT_EQ(corpus->wire(0), "A: 1\r\n\r\n..x\r\n.\r\n");
  EXPECT_EQ(corpus->wire(17), corpus->wire(0));
  EXPECT_EQ(corpus->octets(), corpus->wire(0).size());
}

TEST_F(CorpusFiles, FolderInOrderOfNamesWithMboxInside) {
  write("b.eml", "B: 2\r\n");
  write("a.mbox", "From a\nA: 1\n\nFrom b\nA: 2\n");
  write("deep/er/c.eml", "C: 3\r\n");
  write("empty", "");
  fs::create_symlink("/dev/zero", folder_ / "endless");
  const auto corpus = Corpus::load(folder_.string());
  ASSERT_TRUE(corpus) << corpus.error();
  ASSERT_EQ(corpus->size(), 4U);
  EXPECT_EQ(corpus->wire(0), "A: 1\r\n.\r\n");
  EXPECT_EQ(corpus->wire(1), "A: 2\r\n.\r\n");
  EXPECT_EQ(corpus->wire(2), "B: 2\r\n.\r\n");
  EXPECT_EQ(corpus->wire(3), "C: 3\r\n.\r\n");
}

TEST_F(CorpusFiles, MaildirIsItsNewAndCur) {
  write("new/1", "N: 1\n");
  write("cur/2:2,S", "C: 1\n");
  write("tmp/3", "T: 1\n");
  write("dovecot-uidlist", "3 V1\n");
  const auto corpus = Corpus::load(folder_.string());
  ASSERT_TRUE(corpus) << corpus.error();
  ASSERT_EQ(corpus->size(), 2U);
  EXPECT_EQ(corpus->wire(0), "C: 1\r\n.\r\n");
  EXPECT_EQ(corpus->wire(1), "N: 1\r\n.\r\n");
}

TEST_F(CorpusFiles, SaysWhatIsWrong) {
  const auto missing = Corpus::load((folder_ / "nowhere").string());
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().find("nowhere: no such file or folder"), std::string::npos);
  const auto empty = Corpus::load(folder_.string());
  ASSERT_FALSE(empty);
  EXPECT_NE(empty.error().find("no message in it"), std::string::npos);
}

}  // namespace
}  // namespace postern::load
