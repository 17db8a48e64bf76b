#include "storage/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

using test::deliver;
using test::id_of;
using test::message_of;
using test::open_store;
using test::options_for;
using test::to;
using test::transaction;
using test::why;
using ::testing::ElementsAre;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store_.reset();
    store_ = open_store(options_for(scratch_ / "store"));
    ASSERT_NE(store_, nullptr);
  }
  void TearDown() override {
    if (store_) {
      EXPECT_EQ(test::problems(*store_), "");
    }
  }
  std::vector<std::uint32_t> uids(std::string_view mailbox, std::string_view folder = "INBOX",
                                  std::uint32_t after = 0, std::size_t count = 1000) {
    const auto entries = store_->entries(mailbox, folder, after, count);
    EXPECT_EQ(why(entries), "");
    std::vector<std::uint32_t> result;
    if (entries)
      for (const Entry& entry : *entries) result.push_back(entry.uid);
    return result;
  }

  test::ScratchDirectory scratch_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, KeepsTheGreylist) {
  const Pairs first = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  ASSERT_EQ(why(store_->put_greylist(first)), "");
  ASSERT_EQ(why(store_->put_greylist({{"b", ""}, {"c", "4"}, {"d", ""}})), "");
  open();
  const auto pairs = store_->greylist();
  ASSERT_EQ(why(pairs), "");
  EXPECT_EQ(*pairs, (Pairs{{"a", "1"}, {"c", "4"}}));
}

TEST_F(StoreTest, ABodyIsReadByAllWhoGotItAndGoesWithTheLast) {
  Transaction all = transaction(1, to("a@x.example", "INBOX", kFlagged));
  all.deliveries.push_back(Delivery{.mailbox = "b@x.example"});
  all.deliveries.push_back(Delivery{.mailbox = "b@x.example", .folder = "Copies"});
  ASSERT_EQ(why(deliver(*store_, std::move(all))), "");

  const auto entries = store_->entries("a@x.example", "INBOX");
  ASSERT_EQ(why(entries), "");
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_EQ(entries->front().id, id_of(1));
  EXPECT_EQ(entries->front().flags, kFlagged);
  EXPECT_EQ(entries->front().octets, message_of(1).size());
  EXPECT_EQ(entries->front().received_at.time_since_epoch().count(), test::kNow + 1);
  EXPECT_EQ(store_->message(id_of(1)).value_or(""), message_of(1));
  EXPECT_EQ(store_->envelope(id_of(1)).value_or(""), R"({"number":1})");
  EXPECT_EQ(store_->record(id_of(1)).value_or(""), R"({"action":"accept"})");

  EXPECT_EQ(store_->expunge("b@x.example", "INBOX", {1}).value_or(9), 1U);
  EXPECT_EQ(store_->message(id_of(1)).value_or(""), message_of(1)) << "two more have it";
  EXPECT_EQ(store_->expunge("a@x.example", "INBOX", {1}).value_or(9), 1U);
  EXPECT_EQ(store_->message(id_of(1)).value_or(""), message_of(1)) << "one more has it";
  EXPECT_EQ(store_->expunge("b@x.example", "Copies", {1}).value_or(9), 1U);
  for (const auto& part : {store_->message(id_of(1)), store_->envelope(id_of(1)), store_->record(id_of(1))}) {
    ASSERT_FALSE(part);
    EXPECT_EQ(part.error().code, Code::not_found);
  }
  EXPECT_EQ(store_->verify()->messages, 0U);
  EXPECT_EQ(store_->ledger().delivered, 3U) << "what was delivered stays delivered";
}

TEST_F(StoreTest, UsageSumsUpAndForgetsWhatIsExpunged) {
  EXPECT_EQ(store_->usage("a@x.example").messages, 0U);
  std::uint64_t octets = 0;
  for (std::uint32_t n = 0; n < 6; ++n) {
    ASSERT_EQ(why(deliver(*store_, transaction(n, to("a@x.example", n % 2 == 0 ? "INBOX" : "Odd")))), "");
    octets += message_of(n).size();
  }
  EXPECT_EQ(store_->usage("a@x.example").messages, 6U);
  EXPECT_EQ(store_->usage("a@x.example").octets, octets);
  ASSERT_EQ(store_->expunge("a@x.example", "Odd", {2, 99, 2}).value_or(9), 1U);  // number 3
  octets -= message_of(3).size();
  EXPECT_EQ(store_->usage("a@x.example").octets, octets);
  const auto folders = store_->folders("a@x.example");
  ASSERT_EQ(why(folders), "");
  ASSERT_EQ(folders->size(), 2U);
  EXPECT_EQ((*folders)[0].messages + (*folders)[1].messages, 5U);
  EXPECT_EQ((*folders)[0].octets + (*folders)[1].octets, octets);
  open();
  EXPECT_EQ(store_->usage("a@x.example").messages, 5U);
  EXPECT_EQ(store_->usage("a@x.example").octets, octets);
}

TEST_F(StoreTest, UidsAreNeverUsedAgain) {
  for (std::uint32_t n = 0; n < 3; ++n)
    ASSERT_EQ(why(deliver(*store_, transaction(n, to("a@x.example")))), "");
  EXPECT_THAT(uids("a@x.example"), ElementsAre(1, 2, 3));
  EXPECT_EQ(store_->expunge("a@x.example", "INBOX", {1, 2, 3}).value_or(9), 3U);
  open();
  const auto folders = store_->folders("a@x.example");
  ASSERT_EQ(why(folders), "");
  EXPECT_EQ(folders->front().uid_next, 4U);
  const std::uint32_t validity = folders->front().uid_validity;
  EXPECT_EQ(validity, test::kNow / 1000);
  ASSERT_EQ(why(deliver(*store_, transaction(9, to("a@x.example")))), "");
  EXPECT_THAT(uids("a@x.example"), ElementsAre(4));
  EXPECT_EQ(store_->folders("a@x.example")->front().uid_validity, validity);
}

TEST_F(StoreTest, EntriesComeInPages) {
  for (std::uint32_t n = 0; n < 10; ++n) {
    ASSERT_EQ(why(deliver(*store_, transaction(n, to("a@x.example")))), "");
    ASSERT_EQ(why(deliver(*store_, transaction(100 + n, to("b@x.example")))),
              "");  // the neighbour in the order of keys
  }
  ASSERT_EQ(store_->expunge("a@x.example", "INBOX", {4}).value_or(9), 1U);
  EXPECT_THAT(uids("a@x.example", "INBOX", 0, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(uids("a@x.example", "INBOX", 3, 3), ElementsAre(5, 6, 7));
  EXPECT_THAT(uids("a@x.example", "INBOX", 9, 3), ElementsAre(10));
  EXPECT_THAT(uids("a@x.example", "INBOX", 10, 3), ElementsAre());
  EXPECT_THAT(uids("a@x.example", "INBOX", std::numeric_limits<std::uint32_t>::max(), 3), ElementsAre());
  EXPECT_THAT(uids("a@x.example", "INBOX", 0, 0), ElementsAre());
  EXPECT_THAT(uids("a@x.example", "inbox", 8), ElementsAre(9, 10));
  EXPECT_EQ(why(store_->entries("a@x.example", "Other")).substr(0, 43),
            "mailbox \"a@x.example\" folder \"Other\": NotFo");
  EXPECT_EQ(why(store_->entries("z@x.example", "INBOX")), "there is no mailbox \"z@x.example\" (not found)");
}

TEST_F(StoreTest, FlagsAreSetAndCleared) {
  ASSERT_EQ(why(deliver(*store_, transaction(1, to("a@x.example", "INBOX", kRecent)))), "");
  EXPECT_EQ(why(store_->set_flags("a@x.example", "Inbox", 1, kSeen | kAnswered, kRecent)), "");
  EXPECT_EQ(store_->entries("a@x.example", "INBOX")->front().flags, kSeen | kAnswered);
  EXPECT_EQ(why(store_->set_flags("a@x.example", "INBOX", 1, 0, kAnswered)), "");
  open();
  EXPECT_EQ(store_->entries("a@x.example", "INBOX")->front().flags, kSeen);
  EXPECT_EQ(store_->set_flags("a@x.example", "INBOX", 2, kSeen, 0).error().code, Code::not_found);
  EXPECT_EQ(store_->set_flags("a@x.example", "None", 1, kSeen, 0).error().code, Code::not_found);
  EXPECT_EQ(store_->set_flags("z@x.example", "INBOX", 1, kSeen, 0).error().code, Code::not_found);
  EXPECT_EQ(store_->expunge("z@x.example", "INBOX", {1}).error().code, Code::not_found);
}

TEST_F(StoreTest, ReopeningGivesTheSame) {
  ASSERT_EQ(why(deliver(*store_, transaction(1, to("a@x.example", "Listen.Käse", kSeen)))), "");
  ASSERT_EQ(why(deliver(*store_, transaction(2, to("a@x.example"), std::string(300'000, 'x')))), "");
  const auto before = store_->folders("a@x.example");
  const auto entries_before = store_->entries("a@x.example", "Listen.Käse");
  for (const bool flushed : {false, true}) {
    if (flushed) {
      ASSERT_EQ(why(store_->flush()), "");
    }
    open();
    const auto mailboxes = store_->mailboxes();
    ASSERT_EQ(why(mailboxes), "");
    ASSERT_EQ(mailboxes->size(), 1U);
    EXPECT_EQ(mailboxes->front().address, "a@x.example");
    EXPECT_EQ(mailboxes->front().messages, 2U);
    const auto after = store_->folders("a@x.example");
    ASSERT_EQ(after->size(), before->size());
    for (std::size_t i = 0; i < after->size(); ++i) {
      EXPECT_EQ((*after)[i].name, (*before)[i].name);
      EXPECT_EQ((*after)[i].uid_validity, (*before)[i].uid_validity);
      EXPECT_EQ((*after)[i].uid_next, (*before)[i].uid_next);
      EXPECT_EQ((*after)[i].octets, (*before)[i].octets);
    }
    const auto entries = store_->entries("a@x.example", "Listen.Käse");
    EXPECT_EQ(entries->front().flags, kSeen);
    EXPECT_EQ(entries->front().id, entries_before->front().id);
    EXPECT_EQ(store_->message(id_of(1)).value_or(""), message_of(1));
    EXPECT_EQ(store_->message(id_of(2)).value_or(""), test::header_of(2) + std::string(300'000, 'x'));
    EXPECT_EQ(store_->ledger().opened, 2U);
    EXPECT_EQ(store_->ledger().open(), 0U);
  }
}

TEST_F(StoreTest, AnyOctetsAreGivenBack) {
  std::string octets;
  for (int i = 0; i < 4096; ++i) octets.push_back(static_cast<char>(i * 7 + i / 256));
  Transaction one = transaction(1, to("a@x.example"), octets);
  one.header.clear();
  one.mail_from.clear();
  one.envelope.clear();
  one.record.clear();
  ASSERT_EQ(why(deliver(*store_, std::move(one))), "");
  ASSERT_EQ(why(store_->flush()), "");
  EXPECT_EQ(store_->message(id_of(1)).value_or("none"), octets);
  EXPECT_EQ(store_->envelope(id_of(1)).value_or("none"), "");
  Transaction empty = transaction(2, to("a@x.example"));
  empty.header.clear();
  empty.body = {};
  ASSERT_EQ(why(deliver(*store_, std::move(empty))), "");
  EXPECT_EQ(store_->message(id_of(2)).value_or("none"), "");
}

TEST_F(StoreTest, ExpungesMoreThanOneBatchHolds) {
  Transaction many = transaction(1, {});
  for (int i = 0; i < 2500; ++i) many.deliveries.push_back(Delivery{.mailbox = "a@x.example"});
  ASSERT_EQ(why(deliver(*store_, std::move(many))), "");
  std::vector<std::uint32_t> all;
  for (std::uint32_t uid = 1; uid <= 2499; ++uid) all.push_back(uid);
  EXPECT_EQ(store_->expunge("a@x.example", "INBOX", all).value_or(0), 2499U);
  EXPECT_EQ(store_->message(id_of(1)).value_or(""), message_of(1));
  EXPECT_EQ(store_->usage("a@x.example").messages, 1U);
  EXPECT_EQ(store_->expunge("a@x.example", "INBOX", {2500}).value_or(0), 1U);
  EXPECT_FALSE(store_->message(id_of(1)));
}

}  // namespace
}  // namespace postern::storage
