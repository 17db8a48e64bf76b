#include "storage/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "storage/codec.h"
#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

using test::deliver;
using test::id_of;
using test::open_store;
using test::options_for;
using test::to;
using test::transaction;
using test::why;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <class Record>
std::string octets_of(const Record& record) {
  std::string out;
  encode(record, out);
  return out;
}

std::string key_of_folder(std::uint32_t mailbox, std::string_view name) {
  std::string out;
  folder_key(mailbox, name, out);
  return out;
}

std::string key_of_entry(std::uint32_t mailbox, std::uint32_t folder, std::uint32_t uid) {
  return std::string(view(entry_key(mailbox, folder, uid)));
}

constexpr std::uint64_t kReceived = static_cast<std::uint64_t>(test::kNow);

// The sound store: mailbox 1 a@x.example with folder 1 INBOX (uid 1 message 1, uid 2 message 2) and folder
// 2 Junk (uid 1 message 2); mailbox 2 b@x.example with INBOX (uid 1 message 1).
std::uint64_t size_of(std::uint32_t n) {
  return test::message_of(n).size();
}
MessageRecord message_record(std::uint32_t n, std::uint64_t references) {
  return {.references = references,
          .octets = size_of(n),
          .header_octets = test::header_of(n).size(),
          .received_ms = kReceived + n,
          .mail_from = "sender@client.example"};
}
EntryRecord entry_record(std::uint32_t n) {
  return {.id = id_of(n), .octets = size_of(n), .received_ms = kReceived + n};
}

void make_sound(const std::filesystem::path& path) {
  const auto store = open_store(options_for(path));
  Transaction first = transaction(1, to("a@x.example"));
  first.deliveries.push_back(Delivery{.mailbox = "b@x.example"});
  ASSERT_EQ(why(deliver(*store, std::move(first))), "");
  Transaction second = transaction(2, to("a@x.example"));
  second.deliveries.push_back(Delivery{.mailbox = "a@x.example", .folder = "Junk"});
  ASSERT_EQ(why(deliver(*store, std::move(second))), "");
}

struct Damage {
  std::string name;
  std::function<void(const Database&)> make;
  std::vector<std::string> found;
};

std::vector<Damage> damages() {
  const std::string one = id_of(1).text();
  const std::string two = id_of(2).text();
  const std::string nine = id_of(9).text();
  const std::string inbox = "mailbox \"a@x.example\" folder \"INBOX\"";
  const std::string header1 = std::to_string(size_of(1));
  const std::string sum = std::to_string(size_of(1) + size_of(2));
  const auto put = [](Table table, std::string key, std::string value) {
    return [=](const Database& database) { test::put(database, table, key, value); };
  };
  const auto drop = [](Table table, std::string key) {
    return [=](const Database& database) { test::remove(database, table, key); };
  };
  const auto message = [](std::uint32_t n) { return std::string(message_key(id_of(n))); };
  return {
      {"no format record", drop(Table::meta, std::string(kFormatKey)), {"the format record is missing"}},
      {"no identity", drop(Table::meta, std::string(kIdentityKey)), {"the identity record is missing"}},
      {"no ledger", drop(Table::meta, std::string(kLedgerKey)), {"the ledger is missing"}},
      {"bad format record",
       put(Table::meta, std::string(kFormatKey), "\x01"),
       {"format record: octet 1: the record ends early"}},
      {"bad identity",
       put(Table::meta, std::string(kIdentityKey), "\x01"),
       {"identity record: octet 1: the record ends early"}},
      {"bad ledger",
       put(Table::meta, std::string(kLedgerKey), "\x01"),
       {"ledger: octet 1: the record ends early"}},
      {"ledger behind",
       put(Table::meta, std::string(kLedgerKey), octets_of(Ledger{.opened = 4, .delivered = 3})),
       {"ledger: 3 delivered, but 4 entries exist",
        "ledger: 1 recipients are open, but 0 wait in the queue"}},
      {"nobody's key", put(Table::meta, "oh", "x"), {"column family default: a key that is nobody's: 6f68"}},
      {"bad mailbox record",
       put(Table::mailboxes, "b@x.example", "\x02"),
       {"mailbox \"b@x.example\": octet 0: a record version this program does not know",
        "mailbox number 2 folder \"INBOX\": there is no such mailbox"}},
      {"mailbox lost",
       drop(Table::mailboxes, "b@x.example"),
       {"mailbox number 2 folder \"INBOX\": there is no such mailbox"}},
      {"mailbox number twice",
       put(Table::mailboxes, "c@x.example", octets_of(MailboxRecord{.id = 1, .next_folder = 3})),
       {"mailbox \"c@x.example\": has the number 1 of mailbox \"a@x.example\""}},
      {"mailbox key too long",
       put(Table::mailboxes, std::string(321, 'm'), octets_of(MailboxRecord{.id = 3, .next_folder = 1})),
       {"a mailbox's key (6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d): 321 octets, "
        "where 1 to 320 are"}},
      {"bad folder key",
       put(Table::folders, "abc", octets_of(FolderRecord{.id = 1})),
       {"a folder's key (616263): octet 3: the record ends early"}},
      {"bad folder record",
       put(Table::folders, key_of_folder(1, "Junk"), "\x01\x02"),
       {"mailbox \"a@x.example\" folder \"Junk\": octet 2: the record ends early",
        "mailbox \"a@x.example\" folder number 2 uid 1: there is no such folder"}},
      {"folder lost",
       drop(Table::folders, key_of_folder(1, "Junk")),
       {"mailbox \"a@x.example\" folder number 2 uid 1: there is no such folder"}},
      {"folder number twice",
       put(Table::folders, key_of_folder(1, "Junk2"), octets_of(FolderRecord{.id = 2, .uid_next = 2})),
       {"mailbox \"a@x.example\" folder \"Junk2\": has the number 2 of folder \"Junk\""}},
      {"folder number not given out",
       put(Table::folders, key_of_folder(1, "New"), octets_of(FolderRecord{.id = 7})),
       {"mailbox \"a@x.example\" folder \"New\": has the number 7, which the mailbox has yet to give out"}},
      {"folder sums",
       put(Table::folders, key_of_folder(1, "INBOX"),
           octets_of(FolderRecord{.id = 1, .uid_validity = 5, .uid_next = 3, .messages = 3, .octets = 10})),
       {inbox + ": says 3 messages of 10 octets, has 2 of " + sum}},
      {"uid not given out",
       put(Table::folders, key_of_folder(1, "INBOX"),
           octets_of(FolderRecord{
               .id = 1, .uid_validity = 5, .uid_next = 2, .messages = 2, .octets = size_of(1) + size_of(2)})),
       {inbox + " uid 2: the folder's next uid is 2"}},
      {"bad entry key",
       put(Table::entries, "k", octets_of(entry_record(1))),
       {"an entry's key (6b): octet 1: the record ends early"}},
      {"bad entry record",
       put(Table::entries, key_of_entry(1, 1, 1), "\x01"),
       {inbox + " uid 1: octet 1: the record ends early",
        inbox + ": says 2 messages of " + sum + " octets, has 2 of " + std::to_string(size_of(2)),
        "message " + one + ": says 2 entries name it, 1 do"}},
      {"entry lost",
       drop(Table::entries, key_of_entry(1, 1, 1)),
       {inbox + ": says 2 messages of " + sum + " octets, has 1 of " + std::to_string(size_of(2)),
        "message " + one + ": says 2 entries name it, 1 do"}},
      {"entry of a mailbox that is none",
       put(Table::entries, key_of_entry(9, 1, 1), octets_of(entry_record(1))),
       {"mailbox number 9 folder number 1 uid 1: there is no such folder",
        "message " + one + ": says 2 entries name it, 3 do", "ledger: 4 delivered, but 5 entries exist"}},
      {"entry of another size",
       [](const Database& database) {
         EntryRecord entry = entry_record(1);
         ++entry.octets;
         test::put(database, Table::entries, key_of_entry(1, 1, 1), octets_of(entry));
         test::put(database, Table::folders, key_of_folder(1, "INBOX"),
                   octets_of(FolderRecord{.id = 1,
                                          .uid_validity = 5,
                                          .uid_next = 3,
                                          .messages = 2,
                                          .octets = size_of(1) + size_of(2) + 1}));
       },
       {"mailbox \"a@x.example\" folder number 1 uid 1: says " + std::to_string(size_of(1) + 1) +
        " octets, message " + one + " says " + header1}},
      {"entry of another time",
       [](const Database& database) {
         EntryRecord entry = entry_record(1);
         ++entry.received_ms;
         test::put(database, Table::entries, key_of_entry(1, 1, 1), octets_of(entry));
       },
       {"mailbox \"a@x.example\" folder number 1 uid 1: received at another time than its message " + one}},
      {"bad message key",
       put(Table::messages, "short", octets_of(message_record(1, 1))),
       {"a message's key (73686f7274): octet 5: the record ends early"}},
      {"bad message record",
       put(Table::messages, message(1), "\x01"),
       {"message " + one + ": octet 1: the record ends early"}},
      {"message lost",
       drop(Table::messages, message(2)),
       {inbox.substr(0, 21) + " folder number 1 uid 2: message " + two + " is missing",
        inbox.substr(0, 21) + " folder number 2 uid 1: message " + two + " is missing",
        "a body without a message: " + two, "a decision without a message: " + two}},
      {"too few references",
       put(Table::messages, message(1), octets_of(message_record(1, 1))),
       {"message " + one + ": says 1 entries name it, 2 do"}},
      {"too many references",
       put(Table::messages, message(1), octets_of(message_record(1, 3))),
       {"message " + one + ": says 3 entries name it, 2 do"}},
      {"body lost", drop(Table::bodies, message(2)), {"message " + two + ": its body is missing"}},
      {"body of another size",
       put(Table::bodies, message(1), "x"),
       {"message " + one + ": says " + header1 + " octets, its body has 1"}},
      {"body of nobody", put(Table::bodies, message(9), "x"), {"a body without a message: " + nine}},
      {"body under a bad key", put(Table::bodies, "zz", "x"), {"a body without a message: 7a7a"}},
      {"decision lost", drop(Table::decisions, message(2)), {"message " + two + ": its decision is missing"}},
      {"bad decision",
       put(Table::decisions, message(1), "\x01\x05x"),
       {"message " + one + ": decision: octet 3: the record ends early"}},
      {"decision of nobody",
       put(Table::decisions, message(9), "\x01\x00"),
       {"a decision without a message: " + nine}},
  };
}

TEST(Verify, FindsAndNamesEachKindOfDamage) {
  const test::ScratchDirectory scratch(test::in_memory());
  make_sound(scratch / "sound");
  for (const Damage& damage : damages()) {
    SCOPED_TRACE(damage.name);
    const std::filesystem::path path = scratch / "damaged";
    std::filesystem::remove_all(path);
    std::filesystem::copy(scratch / "sound", path);
    const auto database = test::open_database(path);
    ASSERT_NE(database, nullptr);
    damage.make(*database);
    const auto report = verify(*database);
    ASSERT_EQ(why(report), "");
    EXPECT_EQ(report->problems, damage.found);
  }
}

TEST(Verify, CountsWhatIsThere) {
  const test::ScratchDirectory scratch(test::in_memory());
  make_sound(scratch / "sound");
  const auto store = open_store(options_for(scratch / "sound"));
  const auto report = store->verify();
  ASSERT_EQ(why(report), "");
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_EQ(report->mailboxes, 2U);
  EXPECT_EQ(report->folders, 3U);
  EXPECT_EQ(report->entries, 4U);
  EXPECT_EQ(report->messages, 2U);
  EXPECT_EQ(report->octets, size_of(1) + size_of(2));
}

TEST(Verify, AFloodOfProblemsIsCountedNotListed) {
  const test::ScratchDirectory scratch(test::in_memory());
  make_sound(scratch / "store");
  const auto database = test::open_database(scratch / "store");
  rocksdb::WriteBatch writes;
  for (std::uint32_t n = 100; n < 100 + Store::kProblemsMax + 5; ++n)
    ASSERT_TRUE(writes.Put(database->table(Table::bodies), slice(message_key(id_of(n))), "x").ok());
  ASSERT_TRUE(database->db().Write(rocksdb::WriteOptions(), &writes).ok());
  const auto report = verify(*database);
  ASSERT_EQ(why(report), "");
  EXPECT_EQ(report->problems.size(), Store::kProblemsMax + 1);
  EXPECT_EQ(report->problems.back(), "and 5 problems more");
}

}  // namespace
}  // namespace postern::storage
