#include "gateway/control/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace postern::control {
namespace {

using namespace std::chrono_literals;
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

TEST(Timestamp, IsReadBack) {
  for (const auto ms : {0LL, 1LL, 999LL, 1'795'521'600'123LL, 4'102'444'799'999LL}) {
    const Time time{std::chrono::milliseconds(ms)};
    const auto back = parse_timestamp(timestamp(time));
    ASSERT_TRUE(back.has_value()) << timestamp(time);
    EXPECT_EQ(*back, time);
  }
  EXPECT_EQ(timestamp(Time(1'795'521'600'123ms)), "2026-11-24T12:00:00.123Z");
}

constexpr std::string_view kNoTimestamps[] = {
    "",
    "2026-11-24",
    "2026-11-24T12:00:00Z",
    "2026-13-24T12:00:00.123Z",
    "2026-02-30T12:00:00.123Z",
    "2026-11-24T24:00:00.123Z",
    "2026-11-24T12:60:00.123Z",
    "2026-11-24 12:00:00.123Z",
    "2026-11-24T12:00:00.123+",
    "2026-11-24T12:00:-1.123Z",
    "2026-11-24T12:00:00.123Z ",
    "x026-11-24T12:00:00.123Z",
};

TEST(Timestamp, RefusesOtherForms) {
  for (const std::string_view text : kNoTimestamps) EXPECT_FALSE(parse_timestamp(text).has_value()) << text;
}

TEST(Flags, AreNamedAndReadBack) {
  for (std::uint32_t flags = 0; flags < 64; ++flags) {
    const auto back = flags_from_json(flags_to_json(flags));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, flags);
  }
  EXPECT_EQ(flags_to_json(storage::kSeen | storage::kFlagged), (Json{"seen", "flagged"}));
  EXPECT_FALSE(flags_from_json(Json{"seen", "unknown"}).has_value());
  EXPECT_FALSE(flags_from_json("seen").has_value());
  EXPECT_FALSE(flags_from_json(Json{1}).has_value());
}

TEST(LedgerJson, HasTheShapeThatScriptsRead) {
  const storage::Ledger ledger{.opened = 12, .delivered = 7, .bounced = 5};
  EXPECT_EQ(
      dump(to_json(ledger)),
      R"({"opened":12,"open":0,"closed":{"delivered":7,"relayed":0,"bounced":5,"quarantined":0,"expired":0,"dropped":0,"discarded":0},)"
      R"("balanced":true})");
}

TEST(LedgerJson, SaysWhenTheBooksAreWrong) {
  EXPECT_EQ(imbalance({.opened = 5, .delivered = 3}), 2);
  EXPECT_EQ(imbalance({.opened = 5, .delivered = 3}, 2), 0);
  EXPECT_EQ(imbalance({.opened = 5, .delivered = 6}), -1);  // more ends than beginnings
  EXPECT_FALSE(to_json(storage::Ledger{.opened = 5, .delivered = 6}).at("balanced").get<bool>());
}

TEST(StoreJson, IsReadBack) {
  const storage::MailboxInfo mailbox{.address = "\xC3\xBC@b.example", .messages = 3, .octets = 1ULL << 40};
  const auto mailbox_back = mailbox_from_json(*parse(dump(to_json(mailbox))));
  ASSERT_TRUE(mailbox_back.has_value());
  EXPECT_EQ(mailbox_back->address, mailbox.address);
  EXPECT_EQ(mailbox_back->octets, mailbox.octets);

  const storage::FolderInfo folder{
      .name = "Junk \"x\"", .uid_validity = 0xffffffff, .uid_next = 9, .messages = 8, .octets = 7};
  const auto folder_back = folder_from_json(*parse(dump(to_json(folder))));
  ASSERT_TRUE(folder_back.has_value());
  EXPECT_EQ(folder_back->name, folder.name);
  EXPECT_EQ(folder_back->uid_validity, folder.uid_validity);
  EXPECT_EQ(folder_back->uid_next, folder.uid_next);

  storage::MessageIdSource ids(1);
  const storage::Entry entry{.uid = 5,
                             .id = ids.next(Time(1'795'521'600'123ms)),
                             .flags = storage::kSeen,
                             .octets = 77,
                             .received_at = Time(5ms)};
  const auto entry_back = entry_from_json(*parse(dump(to_json(entry))));
  ASSERT_TRUE(entry_back.has_value());
  EXPECT_EQ(entry_back->uid, entry.uid);
  EXPECT_EQ(entry_back->id, entry.id);
  EXPECT_EQ(entry_back->flags, entry.flags);
  EXPECT_EQ(entry_back->received_at, entry.received_at);

  const storage::VerifyReport report{
      .mailboxes = 1, .folders = 2, .entries = 3, .messages = 4, .octets = 5, .problems = {"a", "b"}};
  const auto report_back = report_from_json(*parse(dump(to_json(report))));
  ASSERT_TRUE(report_back.has_value());
  EXPECT_EQ(report_back->problems, report.problems);
  EXPECT_EQ(report_back->entries, report.entries);
}

TEST(StoreJson, MissingAndForeignMembersAreRefused) {
  EXPECT_FALSE(mailbox_from_json(*parse(R"({"address":"a","messages":1})")).has_value());
  EXPECT_FALSE(mailbox_from_json(*parse(R"({"address":"a","messages":"1","octets":1})")).has_value());
  EXPECT_FALSE(mailbox_from_json(*parse(R"({"address":"a","messages":-1,"octets":1})")).has_value());
  EXPECT_FALSE(mailbox_from_json(*parse("[]")).has_value());
  EXPECT_FALSE(folder_from_json(*parse("{}")).has_value());
  EXPECT_FALSE(entry_from_json(*parse(R"({"uid":1,"id":"short","flags":[],"octets":1,"received_at":"x"})"))
                   .has_value());
  EXPECT_FALSE(
      report_from_json(
          *parse(R"({"mailboxes":1,"folders":1,"entries":1,"messages":1,"octets":1,"problems":[1]})"))
          .has_value());
}

TEST(Dump, IsOneLineWhateverTheOctets) {
  const std::string text = dump(Json{{"folder", "a\n\xff\x01"}});
  EXPECT_EQ(text, "{\"folder\":\"a\\n\xEF\xBF\xBD\\u0001\"}");
}

TEST(Explanation, PutsRecordAndEnvelopeTogether) {
  EXPECT_EQ(dump(explanation("ID", R"({"action":"accept","score":1.5})", R"({"mail_from":"a@b.example"})")),
            R"({"id":"ID","action":"accept","score":1.5,"envelope":{"mail_from":"a@b.example"}})");
  EXPECT_EQ(dump(explanation("ID", R"({"envelope":1})", "{}")), R"({"id":"ID","envelope":1})");
  EXPECT_EQ(dump(explanation("ID", "no json", "nor this")),
            R"({"id":"ID","record":"no json","envelope":"nor this"})");
}

}  // namespace
}  // namespace postern::control
