#include "storage/refusals.h"

#include <gtest/gtest.h>

#include "storage/codec.h"
#include "storage/counts.h"
#include "tests/unit/storage/support.h"

namespace postern::storage::test {
namespace {

Refusal refusal(std::uint32_t n, std::size_t octets = 100, Counted counted = {}) {
  return {
      .id = id_of(n),
      .received_at = std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(kNow + n)),
      .envelope = fmt::format(R"({{"number":{}}})", n),
      .record = std::string(octets, 'r'),
      .counted = std::move(counted)};
}

/// Nothing is too old, whatever the clock of the machine says.
Options ageless(const std::filesystem::path& path) {
  Options options = options_for(path);
  options.refusals_age_max = std::chrono::days(100 * 365);
  options.count_days_max = 100 * 365;
  return options;
}

constexpr std::uint32_t kDay = static_cast<std::uint32_t>(kNow / 86'400'000);

/// Whatever was submitted before is written when this returns.
void settle(Store& store, std::uint32_t n) {
  EXPECT_EQ(why(deliver(store, transaction(n, to("a@b.example")))), "");
}

std::string rows_of(const Store& store) {
  const auto counts = store.counts(0, ~std::uint32_t{0});
  if (!counts) return counts.error().text();
  std::string text;
  for (const Count& count : *counts)
    text += fmt::format("{}:{}/{}={};", count.day - kDay, count.domain, count.row, count.count);
  return text;
}

TEST(Refusals, AreFoundByTheirIdAfterAKill) {
  const ScratchDirectory scratch(in_memory());
  for (const bool first : {true, false}) {
    const auto store = open_store(ageless(scratch / "store"));
    ASSERT_TRUE(store);
    if (first) {
      store->submit(refusal(1));
      settle(*store, 2);
    }
    EXPECT_EQ(store->envelope(id_of(1)).value_or("?"), R"({"number":1})");
    EXPECT_EQ(store->record(id_of(1)).value_or("?"), std::string(100, 'r'));
    EXPECT_FALSE(store->message(id_of(1)));
    EXPECT_EQ(problems(*store), "");
    EXPECT_EQ(store->statistics().refusals_dropped, 0U);
  }
}

TEST(Refusals, TheOldestGoWhenThereAreTooMany) {
  const ScratchDirectory scratch(in_memory());
  Options options = ageless(scratch / "store");
  options.refusals_octets_max = 1000;
  const auto database = open_database(scratch / "store");
  Refusals refusals(*database, options);
  rocksdb::WriteBatch writes;
  for (std::uint32_t n = 0; n < 20; ++n) ASSERT_TRUE(refusals.add(refusal(n), writes));
  refusals.publish();
  ASSERT_TRUE(database->db().Write({}, &writes).ok());
  writes.Clear();
  const auto now = std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(kNow));
  EXPECT_GT(refusals.trim(now, writes), 0U);
  refusals.roll_back();  // a write that failed
  EXPECT_EQ(refusals.count(), 20U);
  writes.Clear();
  const std::size_t gone = refusals.trim(now, writes);
  refusals.publish();
  ASSERT_TRUE(database->db().Write({}, &writes).ok());
  EXPECT_EQ(refusals.count(), 20 - gone);
  EXPECT_LE(refusals.octets(), 1000U);
  EXPECT_GT(refusals.octets(), 800U);
  EXPECT_FALSE(database->get(Table::refusals, message_key(id_of(0)), ""));
  EXPECT_TRUE(database->get(Table::refusals, message_key(id_of(19)), ""));
  const std::uint64_t octets = refusals.octets();
  refusals.load();
  EXPECT_EQ(refusals.octets(), octets);  // what is on the disk is what was counted
}

TEST(Refusals, OldOnesGo) {
  const ScratchDirectory scratch(in_memory());
  Options options = options_for(scratch / "store");
  options.refusals_age_max = std::chrono::hours(1);
  const auto database = open_database(scratch / "store");
  Refusals refusals(*database, options);
  rocksdb::WriteBatch writes;
  ASSERT_TRUE(refusals.add(refusal(1), writes));
  refusals.publish();
  const auto made = id_of(1).made_at();
  EXPECT_EQ(refusals.trim(made + std::chrono::hours(1) - std::chrono::milliseconds(1), writes), 0U);
  EXPECT_EQ(refusals.trim(made + std::chrono::hours(1), writes), 1U);
}

TEST(Refusals, ALargeOneIsDroppedAndCountedAsSuch) {
  const ScratchDirectory scratch(in_memory());
  const auto store = open_store(ageless(scratch / "store"));
  ASSERT_TRUE(store);
  const std::size_t envelope = refusal(1).envelope.size();
  store->submit(refusal(1, Refusals::kOctetsMax - envelope));
  store->submit(refusal(2, Refusals::kOctetsMax - envelope + 1, {.domain = "a.test", .row = "x"}));
  settle(*store, 3);
  EXPECT_TRUE(store->record(id_of(1)));
  EXPECT_FALSE(store->record(id_of(2)));
  EXPECT_EQ(store->statistics().refusals_dropped, 1U);
  EXPECT_EQ(rows_of(*store), "0:a.test/x=1;");  // it is counted all the same
}

TEST(Counts, AreExactOverTransactionsRefusalsAndRestarts) {
  const ScratchDirectory scratch(in_memory());
  std::uint32_t n = 0;
  for (int run = 0; run < 3; ++run) {
    const auto store = open_store(ageless(scratch / "store"));
    ASSERT_TRUE(store);
    for (int i = 0; i < 10; ++i) {
      store->submit(refusal(n++, 0, {.domain = "b.test", .row = "refused"}));
      Transaction accepted = transaction(n++, to("a@b.example"));
      accepted.counted = {.domain = "a.test", .row = i % 2 == 0 ? "even" : "odd"};
      EXPECT_EQ(why(deliver(*store, std::move(accepted))), "");
    }
    EXPECT_EQ(problems(*store), "");
  }
  const auto store = open_store(ageless(scratch / "store"));
  EXPECT_EQ(rows_of(*store), "0:a.test/even=15;0:a.test/odd=15;0:b.test/refused=30;");
}

TEST(Counts, BeyondTheBoundTheOverflowRowCounts) {
  const ScratchDirectory scratch(in_memory());
  Options options = ageless(scratch / "store");
  options.count_rows_per_day_max = 3;
  std::uint32_t n = 0;
  for (int run = 0; run < 2; ++run) {
    const auto store = open_store(options);
    for (int i = 0; i < 5; ++i)
      store->submit(refusal(n++, 0, {.domain = "a.test", .row = fmt::format("{}", i)}));
    settle(*store, n++);
    EXPECT_EQ(store->statistics().counts_overflowed, 2U);
    if (run == 1) {
      EXPECT_EQ(rows_of(*store), "0:/=4;0:a.test/0=2;0:a.test/1=2;0:a.test/2=2;");
    }
  }
}

TEST(Counts, ARowBeyondItsBoundOverflowsAndDelaysNoMail) {
  const ScratchDirectory scratch(in_memory());
  const auto store = open_store(ageless(scratch / "store"));
  std::uint32_t n = 0;
  for (const std::size_t octets : {kCountRowOctetsMax, kCountRowOctetsMax + 1}) {
    Transaction accepted = transaction(n++, to("a@b.example"));
    accepted.counted = {.domain = "a.test", .row = std::string(octets, 'x')};
    EXPECT_EQ(why(deliver(*store, std::move(accepted))), "");
  }
  EXPECT_EQ(rows_of(*store), fmt::format("0:/=1;0:a.test/{}=1;", std::string(kCountRowOctetsMax, 'x')));
  EXPECT_EQ(problems(*store), "");
}

TEST(Counts, DaysThatAreOverGo) {
  const ScratchDirectory scratch(in_memory());
  Options options = options_for(scratch / "store");
  options.count_days_max = 2;
  const auto database = open_database(scratch / "store");
  Counts counts(*database, options);
  rocksdb::WriteBatch writes;
  const std::chrono::sys_time<std::chrono::milliseconds> day10 = std::chrono::sys_days(std::chrono::days(10));
  for (int day = 7; day <= 10; ++day)
    EXPECT_TRUE(
        counts.add({.domain = "a.test", .row = "x"}, std::chrono::sys_days(std::chrono::days(day)), writes));
  ASSERT_TRUE(database->db().Write({}, &writes).ok());
  writes.Clear();
  EXPECT_EQ(counts.trim(day10, writes), 1U);
  EXPECT_EQ(counts.trim(day10, writes), 0U);  // once a day
  ASSERT_TRUE(database->db().Write({}, &writes).ok());
  std::string days;
  const auto rows = database->iterate(Table::counts, {});
  for (rows->SeekToFirst(); rows->Valid(); rows->Next())
    days += fmt::format("{} ", decode_count_key(view(rows->key()))->day);
  EXPECT_EQ(days, "8 9 10 ");
}

TEST(Counts, WhatIsDamagedIsNamed) {
  const ScratchDirectory scratch(in_memory());
  {
    (void)open_store(ageless(scratch / "store"));
  }
  {
    const auto database = open_database(scratch / "store");
    put(*database, Table::counts, "xx", "\x01\x01");
    std::string key;
    count_key({.day = 1, .domain = "a.test", .row = "x"}, key);
    put(*database, Table::counts, key, "y");
    put(*database, Table::refusals, "short", "z");
    put(*database, Table::refusals, message_key(id_of(1)), "z");
  }
  const auto store = open_store(ageless(scratch / "store"));
  const std::string found = problems(*store);
  for (const char* part :
       {"a counter's key", "counter of day 1, domain a.test", "a refusal's key", "refusal "})
    EXPECT_NE(found.find(part), std::string::npos) << part << found;
}

TEST(CountKey, HasOneSpelling) {
  struct Case {
    std::string_view name, octets;
    bool good;
  };
  const std::string longest = std::string("\0\0\0\1", 4) + '\xfd' + std::string(253, 'd');
  const Case cases[] = {
      {"overflow", {"\0\0\0\1\0", 5}, true},
      {"a row", {"\0\0\0\1\1arow", 9}, true},
      {"a row of nobody", {"\0\0\0\1\0row", 8}, false},
      {"no length", {"\0\0\0\1", 4}, false},
      {"a domain that ends early", {"\0\0\0\1\3ab", 7}, false},
      {"the longest domain", longest, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto name = decode_count_key(c.octets);
    EXPECT_EQ(name.has_value(), c.good);
    if (!name) continue;
    std::string out;
    count_key(*name, out);
    EXPECT_EQ(out, c.octets);
  }
}

}  // namespace
}  // namespace postern::storage::test
