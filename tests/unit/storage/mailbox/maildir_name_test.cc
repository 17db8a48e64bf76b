#include "storage/mailbox/maildir_name.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "storage/store.h"

namespace postern::storage {
namespace {

using namespace std::string_view_literals;

struct NameCase {
  std::string_view name, folder, directory;
};

const NameCase kNameCases[] = {
    {"plain", "Junk", ".Junk"},
    {"hierarchy", "Lists.cxx", ".Lists.cxx"},
    {"ampersand", "You & I", ".You &- I"},
    {"umlaut", "Entwürfe", ".Entw&APw-rfe"},
    {"beyond the first plane", "\xf0\x9f\x93\xac", ".&2D3c7A-"},
    {"slash", "a/b", ".a&AC8-b"},
    {"up", "..", ".&AC4ALg-"},
    {"here", ".", ".&AC4-"},
    {"up and away", "../../etc/cron.d/x", ".&AC4ALgAvAC4ALgAv-etc&AC8-cron&AC4-d&AC8-x"},
    {"empty level", "a..b", ".a&AC4ALg-b"},
    {"dot first", ".hidden", ".&AC4-hidden"},
    {"dot last", "a.", ".a&AC4-"},
    {"maildir's own names", "cur", ".cur"},
    {"NUL", "a\0b"sv, ".a&AAA-b"},
    {"line end", "a\r\nb", ".a&AA0ACg-b"},
    {"delete", "a\x7f", ".a&AH8-"},
    {"looks encoded already", "&AC8-", ".&-AC8-"},
    {"backslash", "a\\b", ".a\\b"},
    {"colon", "a:2,S", ".a:2,S"},
    {"not UTF-8", "a\xff", ".a&,,0-"},  // U+FFFD
};

TEST(MaildirName, Directories) {
  for (const NameCase& c : kNameCases) EXPECT_EQ(maildir_folder_name(c.folder), c.directory) << c.name;
}

TEST(MaildirName, TheExampleOfTheStandard) {
  EXPECT_EQ(modified_utf7("~peter/mail/台北/日本語", [](char32_t) { return false; }),
            "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
}

TEST(MaildirName, NoNameLeadsAnywhereElse) {
  std::set<std::string> seen;
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string folder = {static_cast<char>(first), static_cast<char>(second)};
      const std::string name = maildir_folder_name(folder);
      ASSERT_GT(name.size(), 1U);
      ASSERT_EQ(name.front(), '.');
      ASSERT_NE(name, "..");
      for (const char c : name) {
        ASSERT_NE(c, '/') << first << " " << second;
        ASSERT_GE(c, ' ') << first << " " << second;
        ASSERT_LT(c, 0x7f) << first << " " << second;
      }
      if (first < 0x80 && second < 0x80) {
        EXPECT_TRUE(seen.insert(name).second) << name << " is two folders";
      }
    }
  }
}

TEST(MaildirName, LongNamesFitAndStayApart) {
  const std::string a(Store::kFolderOctetsMax, 'a');
  const std::string b = a.substr(0, a.size() - 1) + "b";
  EXPECT_EQ(maildir_folder_name(a).size(), 255U);
  EXPECT_NE(maildir_folder_name(a), maildir_folder_name(b));
  EXPECT_EQ(maildir_folder_name(std::string(254, 'a')), "." + std::string(254, 'a'))
      << "the longest that fits";
  EXPECT_NE(maildir_folder_name(std::string(255, 'a')), "." + std::string(254, 'a'));
}

TEST(MaildirName, Flags) {
  EXPECT_EQ(maildir_flags(0), "");
  EXPECT_EQ(maildir_flags(kRecent), "");
  EXPECT_EQ(maildir_flags(kSeen), "S");
  EXPECT_EQ(maildir_flags(kSeen | kAnswered | kFlagged | kDeleted | kDraft | kRecent), "DFRST");
}

}  // namespace
}  // namespace postern::storage
