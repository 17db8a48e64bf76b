#include "storage/info_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(InfoLog, KeepsWarningsAndLeavesTheRest) {
  const test::ScratchDirectory scratch;
  InfoLog log(scratch.path());
  rocksdb::Warn(&log, "a warning of %d", 7);
  rocksdb::Info(&log, "an information");
  rocksdb::Header(&log, "an option");
  const std::string text = read(scratch / "rocksdb.txt");
  EXPECT_TRUE(text.ends_with("Z [WARN] a warning of 7\n")) << text;
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
}

TEST(InfoLog, ALineEndsAtItsLimit) {
  const test::ScratchDirectory scratch;
  InfoLog log(scratch.path());
  for (const std::size_t size :
       {InfoLog::kLineOctetsMax - 40, InfoLog::kLineOctetsMax, 10 * InfoLog::kLineOctetsMax})
    rocksdb::Error(&log, "%s", std::string(size, 'x').c_str());
  std::ifstream in(scratch / "rocksdb.txt");
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) EXPECT_LT(line.size(), InfoLog::kLineOctetsMax);
  EXPECT_EQ(lines, 3U);
}

TEST(InfoLog, TwoFilesAreAllItTakes) {
  const test::ScratchDirectory scratch;
  {
    InfoLog log(scratch.path());
    const std::string line(2000, 'x');
    for (std::uint64_t octets = 0; octets < 3 * InfoLog::kFileOctetsMax; octets += line.size())
      rocksdb::Error(&log, "%s", line.c_str());
  }
  for (const std::string_view name : {"rocksdb.txt", "rocksdb.old.txt"})
    EXPECT_LE(std::filesystem::file_size(scratch / name), InfoLog::kFileOctetsMax + InfoLog::kLineOctetsMax)
        << name;
  InfoLog again(scratch.path());
  const auto before = std::filesystem::file_size(scratch / "rocksdb.txt");
  rocksdb::Error(&again, "after opening again");
  EXPECT_GT(std::filesystem::file_size(scratch / "rocksdb.txt"), before) << "appends to what is there";
}

TEST(InfoLog, WhatCannotBeWrittenIsLost) {
  InfoLog nowhere("/proc/no-such-directory");
  rocksdb::Error(&nowhere, "lost");
  rocksdb::Error(&nowhere, "lost again");
}

}  // namespace
}  // namespace postern::storage
