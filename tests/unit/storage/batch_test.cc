#include "storage/batch.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

using test::id_of;
using test::to;
using test::transaction;
using test::why;

constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();

/// A database with a ledger and nothing else, and what works on it.
class BatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    database_ = test::open_database(scratch_.path());
    ASSERT_NE(database_, nullptr);
    std::string ledger;
    encode(Ledger{}, ledger);
    test::put(*database_, Table::meta, kLedgerKey, ledger);
    load();
  }

  void load(MessageId newest = {}) {
    batch_.reset();
    directory_ = std::make_unique<Directory>();
    ASSERT_EQ(why(directory_->load(*database_, false)), "");
    batch_ = std::make_unique<Batch>(*database_, *directory_, newest, options_);
  }

  void commit() {
    ASSERT_TRUE(database_->db().Write(rocksdb::WriteOptions(), &batch_->sealed()).ok());
    batch_->publish();
  }

  template <class Record>
  void put(Table table, std::string_view key, const Record& record) {
    std::string value;
    encode(record, value);
    test::put(*database_, table, key, value);
  }

  std::size_t rows(Table table) const {
    const auto all = database_->iterate(table, rocksdb::ReadOptions());
    std::size_t count = 0;
    for (all->SeekToFirst(); all->Valid(); all->Next()) ++count;
    return count;
  }

  test::ScratchDirectory scratch_{test::in_memory()};
  std::unique_ptr<Database> database_;
  std::unique_ptr<Directory> directory_;
  const Options options_;
  std::unique_ptr<Batch> batch_;
};

TEST_F(BatchTest, OneBodyForAllRecipients) {
  Transaction all = transaction(1, to("a@x.example"));
  all.deliveries.push_back(Delivery{.mailbox = "b@x.example", .folder = "Junk"});
  all.deliveries.push_back(Delivery{.mailbox = "b@x.example", .folder = "inbox"});
  ASSERT_EQ(why(batch_->add(all)), "");
  EXPECT_EQ(directory_->usage("a@x.example").messages, 0U) << "seen before it is durable";
  commit();
  EXPECT_EQ(rows(Table::bodies), 1U);
  EXPECT_EQ(rows(Table::messages), 1U);
  EXPECT_EQ(rows(Table::decisions), 1U);
  EXPECT_EQ(rows(Table::entries), 3U);
  EXPECT_EQ(rows(Table::folders), 3U);
  EXPECT_EQ(rows(Table::mailboxes), 2U);
  EXPECT_EQ(directory_->usage("b@x.example").messages, 2U);
  EXPECT_EQ(directory_->usage("b@x.example").octets, 2 * test::message_of(1).size());
  EXPECT_EQ(directory_->ledger().opened, 3U);
  EXPECT_EQ(directory_->ledger().delivered, 3U);
}

struct Refusal {
  std::string_view name;
  Delivery delivery;
  std::string_view context;
};

TEST_F(BatchTest, RefusesNamesBeyondTheirLimitsAndNamesThem) {
  const std::string longest(Store::kMailboxOctetsMax, 'm');
  const std::string longest_folder(Store::kFolderOctetsMax, 'f');
  const Refusal cases[] = {
      {"no address", {.mailbox = ""}, "without an address"},
      {"address too long",
       {.mailbox = longest + "m"},
       "a mailbox address of 321 octets, where 320 are the most"},
      {"no folder", {.mailbox = "a@x.example", .folder = ""}, "a folder without a name"},
      {"folder too long",
       {.mailbox = "a@x.example", .folder = longest_folder + "f"},
       "a folder name of 1001 octets"},
      {"folder not UTF-8", {.mailbox = "a@x.example", .folder = "\xff"}, "not UTF-8"},
  };
  std::uint32_t n = 0;
  for (const Refusal& c : cases) {
    // The bad one comes second: the good first one must leave no trace either.
    Transaction both = transaction(++n, to("fresh@x.example", "Fresh"));
    both.deliveries.push_back(c.delivery);
    const auto added = batch_->add(both);
    ASSERT_FALSE(added) << c.name;
    EXPECT_EQ(added.error().code, Code::invalid) << c.name;
    EXPECT_NE(added.error().text().find(c.context), std::string::npos) << added.error().text();
  }
  const auto nobody = batch_->add(transaction(++n, {}));
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Code::invalid);
  EXPECT_TRUE(batch_->empty());
  ASSERT_EQ(why(batch_->add(transaction(++n, to(longest, longest_folder)))), "") << "the limits themselves";
  commit();
  EXPECT_EQ(rows(Table::mailboxes), 1U);
  EXPECT_EQ(rows(Table::folders), 1U);
  EXPECT_EQ(directory_->ledger().opened, 1U);
}

TEST_F(BatchTest, TheSameIdIsTakenOnce) {
  ASSERT_EQ(why(batch_->add(transaction(5, to("a@x.example")))), "");
  EXPECT_FALSE(batch_->add(transaction(5, to("a@x.example")))) << "within the batch";
  ASSERT_EQ(why(batch_->add(transaction(3, to("a@x.example")))), "") << "an older id, not yet used";
  EXPECT_FALSE(batch_->add(transaction(3, to("b@x.example")))) << "an older id, used in this batch";
  commit();
  EXPECT_FALSE(batch_->add(transaction(5, to("a@x.example")))) << "in the store";
  EXPECT_FALSE(batch_->add(transaction(3, to("a@x.example")))) << "in the store, older";
  ASSERT_EQ(why(batch_->add(transaction(4, to("a@x.example")))), "") << "between two used ones";
  commit();
  load(id_of(5));
  for (const std::uint32_t used : {3U, 4U, 5U})
    EXPECT_FALSE(batch_->add(transaction(used, to("a@x.example")))) << used << " after opening again";
  EXPECT_EQ(why(batch_->add(transaction(2, to("a@x.example")))), "");
  EXPECT_EQ(why(batch_->add(transaction(6, to("a@x.example")))), "");
  commit();
  EXPECT_EQ(directory_->usage("a@x.example").messages, 5U);
}

TEST_F(BatchTest, RollBackLeavesNothing) {
  ASSERT_EQ(why(batch_->add(transaction(1, to("a@x.example")))), "");
  commit();
  const MailboxInfo before = directory_->usage("a@x.example");
  ASSERT_EQ(why(batch_->add(transaction(2, to("a@x.example")))), "");
  ASSERT_EQ(why(batch_->add(transaction(3, to("a@x.example", "New folder")))), "");
  ASSERT_EQ(why(batch_->add(transaction(4, to("new@x.example")))), "");
  (void)batch_->sealed();
  batch_->roll_back();
  EXPECT_TRUE(batch_->empty());
  EXPECT_EQ(directory_->usage("a@x.example").octets, before.octets);
  EXPECT_EQ(directory_->mailbox_id("new@x.example"), 0U);
  EXPECT_EQ(directory_->ledger().opened, 1U);

  // The same again goes where it would have gone.
  ASSERT_EQ(why(batch_->add(transaction(2, to("a@x.example")))), "");
  ASSERT_EQ(why(batch_->add(transaction(3, to("a@x.example", "New folder")))), "");
  commit();
  EXPECT_EQ(why(database_->get(Table::entries, view(entry_key(1, 1, 2)), "uid 2")), "");
  EXPECT_EQ(why(database_->get(Table::entries, view(entry_key(1, 2, 1)), "uid 1 of the new folder")), "");
  EXPECT_EQ(rows(Table::entries), 3U);
}

TEST_F(BatchTest, UidsEndAndAreNotUsedTwice) {
  put(Table::mailboxes, "a@x.example", MailboxRecord{.id = 1, .next_folder = 2});
  std::string key;
  folder_key(1, "INBOX", key);
  put(Table::folders, key, FolderRecord{.id = 1, .uid_validity = 1, .uid_next = kMax32 - 1});
  load();
  ASSERT_EQ(why(batch_->add(transaction(1, to("a@x.example")))), "");
  const auto last = batch_->add(transaction(2, to("a@x.example")));
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, Code::no_space);
  EXPECT_TRUE(last.error().is_temporary());
  EXPECT_EQ(why(batch_->add(transaction(3, to("a@x.example", "Other")))), "")
      << "the folder beside it goes on";
  commit();
  EXPECT_EQ(rows(Table::entries), 2U);
}

TEST_F(BatchTest, NumbersOfMailboxesAndFoldersEnd) {
  put(Table::mailboxes, "last@x.example", MailboxRecord{.id = kMax32, .next_folder = kMax32});
  load();
  const auto folder = batch_->add(transaction(1, to("last@x.example")));
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, Code::no_space);
  const auto mailbox = batch_->add(transaction(2, to("another@x.example")));
  ASSERT_FALSE(mailbox);
  EXPECT_EQ(mailbox.error().code, Code::no_space);
  EXPECT_NE(mailbox.error().text().find("another@x.example"), std::string::npos);
  EXPECT_TRUE(batch_->empty());
}

TEST_F(BatchTest, ADamagedFolderRefusesItsOwnMailOnly) {
  put(Table::mailboxes, "a@x.example", MailboxRecord{.id = 1, .next_folder = 2});
  std::string key;
  folder_key(1, "INBOX", key);
  test::put(*database_, Table::folders, key, "\x01\x01");
  load();
  Transaction both = transaction(1, to("b@x.example", "Fresh"));
  both.deliveries.push_back(Delivery{.mailbox = "a@x.example"});
  const auto refused = batch_->add(both);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::corrupt);
  EXPECT_NE(refused.error().text().find("mailbox \"a@x.example\" folder \"INBOX\""), std::string::npos);
  ASSERT_EQ(why(batch_->add(transaction(2, to("b@x.example")))), "");
  commit();
  EXPECT_EQ(rows(Table::entries), 1U);
  EXPECT_EQ(rows(Table::folders), 2U)
      << "the damaged one, and INBOX of the other; nothing of the refused one";
}

TEST_F(BatchTest, InboxIsOneFolderInAnyCase) {
  std::uint32_t n = 0;
  for (const std::string_view name : {"INBOX", "inbox", "Inbox", "iNbOx"})
    ASSERT_EQ(why(batch_->add(transaction(++n, to("a@x.example", std::string(name))))), "");
  for (const std::string_view name : {"INBOXES", "INBO", "\xc9NBOX"}) EXPECT_EQ(folder_name(name), name);
  commit();
  EXPECT_EQ(rows(Table::folders), 1U);
}

TEST_F(BatchTest, ExpungeCountsReferencesWithinOneCall) {
  // Both copies in one folder: the record of the message is changed twice in one batch.
  Transaction twice = transaction(1, to("a@x.example"));
  twice.deliveries.push_back(Delivery{.mailbox = "a@x.example"});
  ASSERT_EQ(why(batch_->add(twice)), "");
  commit();
  const auto removed = batch_->expunge("a@x.example", "INBOX", {2, 1, 2, 7});
  ASSERT_EQ(why(removed), "");
  EXPECT_EQ(*removed, 2U);
  commit();
  for (const Table table : {Table::entries, Table::messages, Table::bodies, Table::decisions})
    EXPECT_EQ(rows(table), 0U);
  EXPECT_EQ(directory_->usage("a@x.example").octets, 0U);
}

}  // namespace
}  // namespace postern::storage
