#include "storage/quarantine/record.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

namespace postern::storage {
namespace {

QuarantineEntry sample() {
  return {.recipient = "a@x.example",
          .mailbox = "a@x.example",
          .destination = "",
          .sender = "s@client.example",
          .from = "S <s@client.example>",
          .subject = "buy",
          .reason = "score 12 reaches quarantine_score 10",
          .score_millionths = -12'500'000,
          .octets = 300,
          .received_ms = 1'700'000'000'123,
          .flags = 2};
}

TEST(QuarantineRecord, ReadsWhatItWrote) {
  QuarantineEntry entry = sample();
  for (const std::int64_t score :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1}, std::int64_t{15'000'000},
        std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    entry.score_millionths = score;
    std::string value;
    encode(entry, value);
    const auto decoded = decode_quarantine_entry(value);
    ASSERT_TRUE(decoded) << decoded.error().text();
    EXPECT_EQ(*decoded, entry);
  }
}

struct BadRow {
  std::string_view name;
  std::function<void(QuarantineEntry&)> spoil;
  std::string_view rule;
};

TEST(QuarantineRecord, RefusesWhatNobodyWrites) {
  const BadRow rows[] = {
      {"nobody", [](QuarantineEntry& e) { e.recipient.clear(); }, "nobody"},
      {"nowhere", [](QuarantineEntry& e) { e.mailbox.clear(); }, "no mailbox"},
      {"two places", [](QuarantineEntry& e) { e.destination = "x.example"; }, "and to a destination"},
      {"long mailbox", [](QuarantineEntry& e) { e.mailbox.assign(321, 'a'); }, "mailbox address"},
      {"long text", [](QuarantineEntry& e) { e.subject.assign(kQuarantineTextOctetsMax + 1, 'a'); }, "bound"},
      {"NUL",
       [](QuarantineEntry& e) {
         e.mailbox.clear();
         e.destination = std::string("a\0b", 3);
       },
       "destination"},
      {"skips more", [](QuarantineEntry& e) { e.skip_octets = 301; }, "left out"},
      {"flags", [](QuarantineEntry& e) { e.flags = 256; }, "bound"},
      {"priority", [](QuarantineEntry& e) { e.priority = 2; }, "bound"},
  };
  for (const BadRow& row : rows) {
    SCOPED_TRACE(row.name);
    QuarantineEntry entry = sample();
    row.spoil(entry);
    std::string value;
    encode(entry, value);
    const auto decoded = decode_quarantine_entry(value);
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().rule.find(row.rule), std::string_view::npos) << decoded.error().text();
  }
}

TEST(QuarantineRecord, EveryPrefixIsAnError) {
  std::string value;
  encode(sample(), value);
  for (std::size_t size = 0; size < value.size(); ++size)
    EXPECT_FALSE(decode_quarantine_entry(std::string_view(value).substr(0, size))) << size;
  EXPECT_FALSE(decode_quarantine_entry(value + "x"));
}

TEST(QuarantineRecord, AtTheBounds) {
  QuarantineEntry entry = sample();
  entry.mailbox.assign(Store::kMailboxOctetsMax, 'a');
  entry.subject.assign(kQuarantineTextOctetsMax, 'a');
  entry.skip_octets = entry.octets;
  entry.flags = kQueueFlagsAll;
  entry.notify = 0xff;
  entry.priority = 1;
  std::string value;
  encode(entry, value);
  EXPECT_EQ(decode_quarantine_entry(value), entry);
}

TEST(LedgerRecord, ADiscardMakesItsSecondVersion) {
  Ledger ledger{.opened = 5, .delivered = 2, .quarantined = 1};
  std::string value;
  encode(ledger, value);
  EXPECT_EQ(value[0], '\x01');
  ledger.discarded = 2;
  encode(ledger, value);
  EXPECT_EQ(value[0], '\x02');
  const auto decoded = decode_ledger(value);
  ASSERT_TRUE(decoded) << decoded.error().text();
  EXPECT_EQ(decoded->discarded, 2U);
  EXPECT_EQ(decoded->open(), 0U);
  value.back() = '\x03';
  EXPECT_FALSE(decode_ledger(value)) << "more closed than opened";
  value.back() = '\0';
  EXPECT_FALSE(decode_ledger(value)) << "version 1 would have done";
}

}  // namespace
}  // namespace postern::storage
