#include "storage/mailbox/maildir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

using test::why;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A mailbox in memory.
class FakeSource final : public MailboxSource {
 public:
  void add(const std::string& folder, std::uint32_t flags, std::string octets) {
    std::vector<Entry>& entries = folders_[folder];
    const auto n = static_cast<std::uint32_t>(messages_.size());
    entries.push_back(Entry{.uid = static_cast<std::uint32_t>(entries.size() + 1),
                            .id = test::id_of(n),
                            .flags = flags,
                            .octets = octets.size(),
                            .received_at = std::chrono::sys_time<std::chrono::milliseconds>(
                                std::chrono::milliseconds(test::kNow + 1000 * n))});
    messages_[test::id_of(n)] = std::move(octets);
  }
  std::expected<std::vector<FolderInfo>, Error> folders(std::string_view mailbox) override {
    if (mailbox != "a@x.example")
      return std::unexpected(Error{.code = Code::not_found, .context = "there is no such mailbox"});
    std::vector<FolderInfo> result;
    for (const auto& [name, entries] : folders_)
      result.push_back(FolderInfo{.name = name, .messages = entries.size()});
    return result;
  }
  std::expected<std::vector<Entry>, Error> entries(std::string_view, std::string_view folder,
                                                   std::uint32_t after, std::size_t count) override {
    std::vector<Entry> result;
    for (const Entry& entry : folders_[std::string(folder)])
      if (entry.uid > after && result.size() < std::min<std::size_t>(count, 7)) result.push_back(entry);
    return result;
  }
  std::expected<std::string, Error> message(const MessageId& id) override {
    if (failing) return std::unexpected(Error{.code = Code::corrupt, .context = "message"});
    const auto found = messages_.find(id);
    if (found == messages_.end())
      return std::unexpected(Error{.code = Code::not_found, .context = "message"});
    return found->second;
  }
  void expunge_content(std::uint32_t n) { messages_.erase(test::id_of(n)); }

  bool failing = false;

 private:
  std::map<std::string, std::vector<Entry>> folders_;
  std::map<MessageId, std::string> messages_;
};

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> names(const std::filesystem::path& directory) {
  std::vector<std::string> result;
  for (const auto& file : std::filesystem::directory_iterator(directory))
    result.push_back(file.path().filename());
  std::ranges::sort(result);
  return result;
}

TEST(Maildir, NewMailAndSeenMailGoWhereReadersLook) {
  const test::ScratchDirectory scratch;
  FakeSource source;
  source.add("INBOX", 0, "Subject: new\r\n\r\nbody\r\n");
  source.add("INBOX", kSeen | kAnswered, "Subject: seen\r\n\r\nbody\r\n");
  source.add("Lists.cxx", kFlagged, "Subject: list\r\n\r\nbody\r\n");
  const auto report = export_maildir(source, "a@x.example", scratch / "deep/down/Maildir");
  ASSERT_EQ(why(report), "");
  EXPECT_EQ(report->folders, 2U);
  EXPECT_EQ(report->messages, 3U);
  const std::filesystem::path top = scratch / "deep/down/Maildir";
  EXPECT_THAT(names(top), ElementsAre(".Lists.cxx", "cur", "new", "tmp"));
  EXPECT_THAT(names(top / ".Lists.cxx"), ElementsAre("cur", "maildirfolder", "new", "tmp"));
  const std::string first = fmt::format("1700000000.{}U1.postern", test::id_of(0).text());
  const std::string second = fmt::format("1700000001.{}U2.postern:2,RS", test::id_of(1).text());
  const std::string third = fmt::format("1700000002.{}U1.postern:2,F", test::id_of(2).text());
  EXPECT_THAT(names(top / "new"), ElementsAre(first));
  EXPECT_THAT(names(top / "cur"), ElementsAre(second));
  EXPECT_THAT(names(top / ".Lists.cxx/cur"), ElementsAre(third));
  EXPECT_THAT(names(top / "tmp"), ElementsAre());
  EXPECT_EQ(read(top / "new" / first), "Subject: new\n\nbody\n");
  struct stat status{};
  ASSERT_EQ(::stat((top / "new" / first).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(status.st_mtime, test::kNow / 1000);
  ASSERT_EQ(::stat(top.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

struct LineCase {
  std::string_view name, stored, exported;
};

constexpr LineCase kLineCases[] = {
    {"empty", "", ""},
    {"CRLF", "a\r\nb\r\n", "a\nb\n"},
    {"CR of its own", "a\rb\r\n", "a\rb\n"},
    {"LF of its own", "a\nb\r\n", "a\nb\n"},
    {"two CR", "a\r\r\nb", "a\r\nb"},
    {"CR at the end", "a\r", "a\r"},
    {"only line ends", "\r\n\r\n", "\n\n"},
};

TEST(Maildir, LineEnds) {
  for (const LineCase& c : kLineCases) {
    for (const bool keep : {false, true}) {
      const test::ScratchDirectory scratch;
      FakeSource source;
      source.add("INBOX", 0, std::string(c.stored));
      ASSERT_EQ(why(export_maildir(source, "a@x.example", scratch / "m", keep)), "");
      const auto files = names(scratch / "m/new");
      ASSERT_EQ(files.size(), 1U);
      EXPECT_EQ(read(scratch / "m/new" / files.front()), keep ? c.stored : c.exported) << c.name;
    }
  }
}

TEST(Maildir, ASecondExportAddsWhatHasCome) {
  const test::ScratchDirectory scratch;
  FakeSource source;
  for (int i = 0; i < 10; ++i) source.add("INBOX", i % 2 == 0 ? 0 : kSeen, fmt::format("message {}\r\n", i));
  ASSERT_EQ(why(export_maildir(source, "a@x.example", scratch / "m")), "");
  // The reader opens one, as Maildir readers do, and marks it.
  const std::string opened = names(scratch / "m/new").front();
  std::filesystem::rename(scratch / "m/new" / opened, scratch / "m/cur" / (opened + ":2,RS"));
  source.add("INBOX", 0, "the eleventh\r\n");
  const auto again = export_maildir(source, "a@x.example", scratch / "m");
  ASSERT_EQ(why(again), "");
  EXPECT_EQ(again->messages, 1U);
  EXPECT_EQ(again->already_there, 10U);
  EXPECT_EQ(names(scratch / "m/new").size(), 5U);
  EXPECT_EQ(names(scratch / "m/cur").size(), 6U);
  EXPECT_TRUE(std::filesystem::exists(scratch / "m/cur" / (opened + ":2,RS")));
}

TEST(Maildir, HostileFolderNamesStayInside) {
  const test::ScratchDirectory scratch;
  FakeSource source;
  for (const std::string_view folder : {"..", ".", "../..", "../../escaped", "/etc", "a/../../escaped", "cur",
                                        "new", "tmp", "maildirfolder", "a\nb", "\xff"})
    source.add(std::string(folder), 0, "x");
  source.add(std::string("nul\0nul", 7), 0, "x");
  source.add(std::string(1000, 'x'), 0, "x");
  std::filesystem::create_directory(scratch / "outer");
  const auto report = export_maildir(source, "a@x.example", scratch / "outer/m");
  ASSERT_EQ(why(report), "");
  EXPECT_EQ(report->messages, 14U);
  EXPECT_THAT(names(scratch.path()), ElementsAre("outer"));
  EXPECT_THAT(names(scratch / "outer"), ElementsAre("m"));
  std::size_t files = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(scratch / "outer/m"))
    if (file.is_regular_file() && file.path().filename() != "maildirfolder") ++files;
  EXPECT_EQ(files, 14U);
  EXPECT_EQ(names(scratch / "outer/m/new").size(), 0U) << "\"..\" and \".\" are folders of their own";
}

TEST(Maildir, WhatIsExpungedMeanwhileIsLeftOut) {
  const test::ScratchDirectory scratch;
  FakeSource source;
  for (int i = 0; i < 3; ++i) source.add("INBOX", 0, "x");
  source.expunge_content(1);
  const auto report = export_maildir(source, "a@x.example", scratch / "m");
  ASSERT_EQ(why(report), "");
  EXPECT_EQ(report->messages, 2U);
}

TEST(Maildir, ErrorsNameMailboxFolderAndUid) {
  const test::ScratchDirectory scratch;
  FakeSource source;
  source.add("Junk", 0, "x");
  source.failing = true;
  EXPECT_EQ(why(export_maildir(source, "a@x.example", scratch / "m")),
            "mailbox \"a@x.example\": folder \"Junk\" uid 1: message (corrupt)");
  EXPECT_EQ(why(export_maildir(source, "z@x.example", scratch / "n")),
            "mailbox \"z@x.example\": there is no such mailbox (not found)");
  EXPECT_FALSE(std::filesystem::exists(scratch / "n"));
}

TEST(Maildir, WhatIsNoMaildirIsLeftAlone) {
  const test::ScratchDirectory scratch;
  FakeSource source;
  source.add("INBOX", 0, "x");
  std::filesystem::create_directory(scratch / "home");
  std::ofstream(scratch / "home/letter") << "dear";
  EXPECT_THAT(why(export_maildir(source, "a@x.example", scratch / "home")),
              HasSubstr("neither empty nor a Maildir"));
  EXPECT_THAT(names(scratch / "home"), ElementsAre("letter"));
  EXPECT_THAT(why(export_maildir(source, "a@x.example", scratch / "home/letter")),
              HasSubstr("is not a directory"));
  EXPECT_EQ(read(scratch / "home/letter"), "dear");
  std::filesystem::create_directory(scratch / "empty");
  EXPECT_EQ(why(export_maildir(source, "a@x.example", scratch / "empty")), "");
}

TEST(Maildir, AnUnwritableTargetIsNamed) {
  if (::geteuid() == 0) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  FakeSource source;
  source.add("INBOX", 0, "x");
  const std::string error = why(export_maildir(source, "a@x.example", "/proc/postern/m"));
  if (::getuid() == 0) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_THAT(error, HasSubstr("/proc/postern"));
}

}  // namespace
}  // namespace postern::storage
