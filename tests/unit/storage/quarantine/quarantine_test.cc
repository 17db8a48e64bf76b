#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "storage/batch.h"
#include "storage/queue/record.h"
#include "tests/unit/storage/support.h"

namespace postern::storage::test {
namespace {

using Time = std::chrono::sys_time<std::chrono::milliseconds>;
constexpr Time kLater{std::chrono::milliseconds(kNow + 5000)};

QuarantineEntry for_mailbox(std::string mailbox) {
  QuarantineEntry entry;
  entry.recipient = entry.mailbox = std::move(mailbox);
  entry.sender = "sender@client.example";
  entry.score_millionths = 12'000'000;
  return entry;
}

QuarantineEntry for_relay(std::string address) {
  QuarantineEntry entry;
  entry.recipient = std::move(address);
  entry.destination = "relay.example";
  entry.skip_octets = 5;
  entry.envid = "e";
  entry.notify = 3;
  return entry;
}

Transaction quarantined(std::uint32_t n, std::vector<QuarantineEntry> entries,
                        std::vector<Delivery> deliveries = {}) {
  Transaction result = transaction(n, std::move(deliveries));
  result.quarantined = std::move(entries);
  return result;
}

QuarantineKey key(std::uint32_t n, std::uint16_t part = 0) {
  return {.id = id_of(n), .part = part};
}

/// The ids of these tests are of years ago: the commit thread itself must not find them too old.
Options options(const std::filesystem::path& path) {
  Options result = options_for(path);
  result.quarantine_age_max = result.refusals_age_max = std::chrono::days(36'500);
  return result;
}

class QuarantineTest : public ::testing::Test {
 protected:
  void open() {
    store.reset();
    store = open_store(options(scratch.path()));
  }
  std::uint64_t leave(std::vector<QuarantineKey> keys, QuarantineEnd how) {
    const auto left = store->leave_quarantine(keys, how, kLater);
    EXPECT_EQ(why(left), "");
    return left.value_or(0);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    const auto rows = store->quarantine_rows({}, 100);
    EXPECT_EQ(why(rows), "");
    if (rows)
      for (const QuarantineRow& row : *rows) result.push_back(row.key.text());
    return result;
  }
  ScratchDirectory scratch{in_memory()};
  std::unique_ptr<Store> store = open_store(options(scratch.path()));
};

TEST_F(QuarantineTest, IsStoredWithTheMessageAndSurvives) {
  ASSERT_EQ(why(deliver(*store, quarantined(1, {for_mailbox("a@x.example"), for_relay("b@relay.example")},
                                            to("c@x.example")))),
            "");
  open();
  const auto rows = store->quarantine_rows({}, 10);
  ASSERT_EQ(why(rows), "");
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[0].entry->octets, message_of(1).size());
  EXPECT_EQ((*rows)[0].entry->received_ms, static_cast<std::uint64_t>(kNow + 1));
  EXPECT_EQ((*rows)[1].key.text(), id_of(1).text() + ".2");
  EXPECT_EQ((*rows)[1].entry->destination, "relay.example");
  const Ledger ledger = store->ledger();
  EXPECT_EQ(ledger.opened, 3U);
  EXPECT_EQ(ledger.quarantined, 2U);
  EXPECT_EQ(ledger.open(), 0U);
  EXPECT_EQ(store->quarantine_totals(), (QuarantineTotals{.entries = 2, .octets = 2 * message_of(1).size()}));
  EXPECT_EQ(store->message(id_of(1)).value_or(""), message_of(1));
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QuarantineTest, AReleaseDeliversTheSameOctets) {
  ASSERT_EQ(why(deliver(*store, quarantined(1, {for_mailbox("a@x.example")}))), "");
  EXPECT_EQ(leave({key(1)}, QuarantineEnd::released), 1U);
  EXPECT_EQ(leave({key(1)}, QuarantineEnd::released), 0U) << "twice";
  open();
  EXPECT_TRUE(names().empty());
  const auto entries = store->entries("a@x.example", "INBOX");
  ASSERT_EQ(why(entries), "");
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_EQ((*entries)[0].id, id_of(1));
  EXPECT_EQ(store->message(id_of(1)).value_or(""), message_of(1));
  EXPECT_EQ(store->record(id_of(1)).value_or(""), R"({"action":"accept"})");
  EXPECT_EQ(store->ledger().opened, 2U);
  EXPECT_EQ(store->ledger().delivered, 1U);
  EXPECT_EQ(store->ledger().quarantined, 1U);
  EXPECT_EQ(store->quarantine_totals(), (QuarantineTotals{.released = 1}));
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QuarantineTest, AReleaseToANextHopIsANewEntryOfTheQueue) {
  Transaction message = quarantined(1, {for_relay("b@relay.example"), for_relay("c@relay.example")});
  QueueEntry relay{.destination = "relay.example", .sender = "sender@client.example"};
  relay.recipients.push_back({.address = "d@relay.example"});
  message.relays.push_back(relay);
  ASSERT_EQ(why(deliver(*store, std::move(message))), "");
  EXPECT_EQ(leave({key(1), key(1, 1)}, QuarantineEnd::released), 2U);
  const auto entry = store->queue_entry(key(1, 1));
  ASSERT_EQ(why(entry), "");
  EXPECT_EQ(entry->recipients.at(0).address, "b@relay.example");
  EXPECT_EQ(entry->recipients.at(0).notify, 3);
  EXPECT_EQ(entry->skip_octets, 5U);
  EXPECT_EQ(entry->received_ms, to_ms(kLater)) << "its time begins now";
  EXPECT_EQ(why(store->queue_entry(key(1, 2))), "");
  EXPECT_EQ(store->queue_totals().recipients, 3U);
  EXPECT_EQ(store->ledger().open(), 3U);
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QuarantineTest, TheLastReferenceTakesTheMessageWithIt) {
  ASSERT_EQ(why(deliver(*store, quarantined(1, {for_mailbox("a@x.example"), for_mailbox("b@x.example")}))),
            "");
  ASSERT_EQ(why(deliver(*store, quarantined(2, {for_mailbox("a@x.example")}, to("c@x.example")))), "");
  EXPECT_EQ(leave({key(1), key(1)}, QuarantineEnd::deleted), 1U) << "named twice";
  EXPECT_EQ(why(store->message(id_of(1))), "");
  EXPECT_EQ(leave({key(1, 1), key(2), key(3)}, QuarantineEnd::deleted), 2U);
  EXPECT_EQ(store->message(id_of(1)).error().code, Code::not_found);
  EXPECT_EQ(store->record(id_of(1)).error().code, Code::not_found);
  EXPECT_EQ(why(store->message(id_of(2))), "") << "it is in a mailbox";
  EXPECT_EQ(store->quarantine_totals(), (QuarantineTotals{.deleted = 3}));
  EXPECT_EQ(store->ledger().open(), 0U);
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QuarantineTest, VariantsAreOneWrite) {
  Transaction message = transaction(1, to("a@x.example"));
  message.discarded = 2;
  message.variants.push_back(
      std::make_shared<const Transaction>(quarantined(2, {for_mailbox("b@x.example")})));
  ASSERT_EQ(why(deliver(*store, std::move(message))), "");
  EXPECT_EQ(store->message(id_of(2)).value_or(""), message_of(2));
  EXPECT_EQ(store->ledger().opened, 4U);
  EXPECT_EQ(store->ledger().discarded, 2U);
  EXPECT_EQ(store->ledger().open(), 0U);

  Transaction bad = transaction(3, to("a@x.example"));
  bad.variants.push_back(std::make_shared<const Transaction>(transaction(4, to(""))));
  EXPECT_NE(why(deliver(*store, std::move(bad))), "");
  EXPECT_EQ(store->message(id_of(3)).error().code, Code::not_found) << "a part of what was refused is there";
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QuarantineTest, WhatNobodyGetsLeavesWhy) {
  Transaction message = transaction(1, {});
  message.discarded = 1;
  ASSERT_EQ(why(deliver(*store, std::move(message))), "");
  open();
  EXPECT_EQ(store->message(id_of(1)).error().code, Code::not_found);
  EXPECT_EQ(store->record(id_of(1)).value_or(""), R"({"action":"accept"})");
  EXPECT_EQ(store->ledger().opened, 1U);
  EXPECT_EQ(store->ledger().discarded, 1U);
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QuarantineTest, RefusesWhatItCouldNotReadAgain) {
  QuarantineEntry nowhere = for_mailbox("");
  nowhere.recipient = "a@x.example";
  EXPECT_NE(why(deliver(*store, quarantined(1, {nowhere}))), "");
  EXPECT_NE(why(deliver(*store, transaction(2, {}))), "") << "for nobody at all";
}

TEST_F(QuarantineTest, VerifyNamesDamage) {
  ASSERT_EQ(why(deliver(*store, quarantined(1, {for_mailbox("a@x.example")}))), "");
  ASSERT_EQ(why(deliver(*store, quarantined(2, {for_mailbox("a@x.example")}))), "");
  store.reset();
  {
    const auto database = open_database(scratch.path());
    remove(*database, Table::messages, message_key(id_of(1)));
    put(*database, Table::quarantine, queue_key(key(2)), "\x07");
  }
  open();
  const std::string found = problems(*store);
  EXPECT_NE(found.find("quarantine entry " + id_of(1).text() + ": its message is missing"), std::string::npos)
      << found;
  EXPECT_NE(found.find("quarantine entry " + id_of(2).text() + ": octet 0"), std::string::npos) << found;
  EXPECT_EQ(store->leave_quarantine({key(2)}, QuarantineEnd::released, kLater).error().code, Code::corrupt);
  EXPECT_EQ(leave({key(2)}, QuarantineEnd::deleted), 1U) << "what cannot be read can be taken out";
}

struct TrimRow {
  std::string_view name;
  std::uint64_t octets_max;
  std::chrono::milliseconds age_max;
  std::uint64_t expired, evicted;
};

/// Three messages, 1 ms apart, looked at 10 ms after the first.
TEST(QuarantineRetention, TheOldestGoFirst) {
  const std::uint64_t size = message_of(1U << 8U).size();
  const TrimRow rows[] = {
      {"all fit", 3 * size, std::chrono::hours(1), 0, 0},
      {"one octet too much", 3 * size - 1, std::chrono::hours(1), 0, 1},
      {"room for one", size, std::chrono::hours(1), 0, 2},
      {"room for none", 0, std::chrono::hours(1), 0, 3},
      {"one too old", 3 * size, std::chrono::milliseconds(9), 2, 0},
      {"too old and too much", size - 1, std::chrono::milliseconds(10), 1, 2},
  };
  for (const TrimRow& row : rows) {
    SCOPED_TRACE(row.name);
    ScratchDirectory scratch(in_memory());
    {
      const auto store = open_store(options(scratch.path()));
      for (const std::uint32_t n : {1U, 2U, 3U})
        ASSERT_EQ(why(deliver(*store, quarantined(n << 8U, {for_mailbox("a@x.example")}))), "");
    }
    const auto database = open_database(scratch.path());
    Directory directory;
    ASSERT_EQ(why(directory.load(*database, false)), "");
    Options options = options_for(scratch.path());
    options.quarantine_octets_max = row.octets_max;
    options.quarantine_age_max = row.age_max;
    Batch batch(*database, directory, id_of(3U << 8U), options);
    EXPECT_FALSE(batch.trim_quarantine(id_of(1U << 8U).made_at() + std::chrono::milliseconds(10)));
    EXPECT_FALSE(batch.needs_sync()) << "what a power cut brings back goes again";
    ASSERT_TRUE(database->db().Write(rocksdb::WriteOptions(), &batch.sealed()).ok());
    batch.publish();
    const QuarantineTotals totals = directory.quarantine();
    EXPECT_EQ(totals.expired, row.expired);
    EXPECT_EQ(totals.evicted, row.evicted);
    EXPECT_EQ(totals.entries, 3 - row.expired - row.evicted);
  }
}

}  // namespace
}  // namespace postern::storage::test
