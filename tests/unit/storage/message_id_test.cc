#include "storage/message_id.h"

#include <gtest/gtest.h>

#include <set>

namespace postern::storage {
namespace {

using Time = std::chrono::sys_time<std::chrono::milliseconds>;

MessageId filled(std::uint8_t octet) {
  MessageId id;
  id.octets.fill(octet);
  return id;
}

TEST(MessageId, HasOneTextOfTwentyDigits) {
  EXPECT_EQ(filled(0x00).text(), "00000000000000000000");
  EXPECT_EQ(filled(0xff).text(), "ZZZZZZZZZZZZZZZZZZZG");  // 96 bits: the last digit carries one
  MessageId one;
  one.octets[11] = 1;
  EXPECT_EQ(one.text(), "0000000000000000000G");
}

TEST(MessageId, EveryBitSurvivesTheText) {
  for (unsigned bit = 0; bit < 96; ++bit) {
    MessageId id;
    id.octets[bit / 8] = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    const auto back = MessageId::parse(id.text());
    ASSERT_TRUE(back) << bit;
    EXPECT_EQ(*back, id) << bit;
  }
}

TEST(MessageId, TextIsInTheOrderOfTheOctets) {
  std::string last;
  for (unsigned value = 0; value < 0x10000; value += 37) {
    MessageId id;
    id.octets[0] = static_cast<std::uint8_t>(value >> 8U);
    id.octets[11] = static_cast<std::uint8_t>(value);
    const std::string text = id.text();
    EXPECT_LT(last, text);
    last = text;
  }
}

struct ParseCase {
  std::string_view name, text;
  bool good = false;
};

constexpr ParseCase kParseCases[] = {
    {.name = "zeros", .text = "00000000000000000000", .good = true},
    {.name = "lower case", .text = "zzzzzzzzzzzzzzzzzzzg", .good = true},
    {.name = "padding not zero", .text = "00000000000000000001"},
    {.name = "all padding bits", .text = "ZZZZZZZZZZZZZZZZZZZZ"},
    {.name = "empty", .text = ""},
    {.name = "nineteen digits", .text = "0000000000000000000"},
    {.name = "twenty-one digits", .text = "000000000000000000000"},
    {.name = "letter I", .text = "I0000000000000000000"},
    {.name = "letter L", .text = "L0000000000000000000"},
    {.name = "letter O", .text = "O0000000000000000000"},
    {.name = "letter U", .text = "U0000000000000000000"},
    {.name = "sign", .text = "-0000000000000000000"},
    {.name = "space at the end", .text = "0000000000000000000 "},
    {.name = "octet above ASCII",
     .text = "\xff"
             "0000000000000000000"},
};

TEST(MessageId, ParsesItsOwnTextOnly) {
  for (const ParseCase& c : kParseCases) EXPECT_EQ(MessageId::parse(c.text).has_value(), c.good) << c.name;
}

TEST(MessageIdSource, CarriesTimeAndCore) {
  MessageIdSource source(7);
  const MessageId id = source.next(Time(std::chrono::milliseconds(0x010203040506)));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(id.octets[i], i + 1);
  EXPECT_EQ(id.octets[6], 7);
  EXPECT_EQ(id.octets[7], 0);
  EXPECT_EQ(id.octets[8], 0);
}

TEST(MessageIdSource, RisesThoughTheClockStandsOrStepsBack) {
  MessageIdSource source(0);
  MessageId last = source.next(Time(std::chrono::milliseconds(1'000'000)));
  for (int i = 0; i < 200'000; ++i) {  // beyond three times the sequence
    const MessageId next = source.next(Time(std::chrono::milliseconds(1'000'000 - i % 1000)));
    ASSERT_GT(next, last) << i;
    last = next;
  }
}

TEST(MessageIdSource, TakesATimeBefore1970AsTheBeginning) {
  MessageIdSource source(0);
  const MessageId first = source.next(Time(std::chrono::milliseconds(-5)));
  EXPECT_EQ(first.octets[0], 0);
  EXPECT_GT(source.next(Time(std::chrono::milliseconds(-6))), first);
}

TEST(MessageIdSource, CoresAndProcessesDoNotMeet) {
  std::set<MessageId> seen;
  for (unsigned core = 0; core < 256; ++core) {
    MessageIdSource source(static_cast<std::uint8_t>(core));
    EXPECT_TRUE(seen.insert(source.next(Time(std::chrono::milliseconds(5)))).second);
  }
  // Of the same core after a restart within the same millisecond: 24 random bits keep them apart. Some of
  // 16 differ.
  std::set<MessageId> restarts;
  for (int i = 0; i < 16; ++i) restarts.insert(MessageIdSource(1).next(Time(std::chrono::milliseconds(5))));
  EXPECT_GT(restarts.size(), 14U);
}

}  // namespace
}  // namespace postern::storage
