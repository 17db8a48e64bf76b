#include "storage/queue/record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::storage {
namespace {

MessageId some_id() {
  MessageId id;
  for (std::uint8_t i = 0; i < 12; ++i) id.octets[i] = static_cast<std::uint8_t>(i + 1);
  return id;
}

QueueEntry sample() {
  return {.destination = "far.example",
          .sender = "anna@near.example",
          .envid = "QQ314159",
          .flags = kEightBit | kReturnHeaders,
          .priority = 1,
          .state = QueueState::held,
          .skip_octets = 40,
          .octets = 4096,
          .received_ms = 1'700'000'000'000,
          .due_ms = 1'700'000'300'000,
          .attempts = 3,
          .reason = "the host does not answer",
          .recipients = {{.address = "bob@far.example",
                          .notify = 6,
                          .orcpt = "rfc822;bob@far.example",
                          .state = RecipientState::waiting,
                          .tried_ms = 1'700'000'000'500,
                          .host = "mx.far.example",
                          .reply = "451 4.3.0 later"},
                         {.address = "eve@far.example", .state = RecipientState::relayed}}};
}

std::string octets(const QueueEntry& entry) {
  std::string out;
  encode(entry, out);
  return out;
}

TEST(QueueRecord, ComesBackAsItWas) {
  const auto decoded = decode_queue_entry(octets(sample()));
  ASSERT_TRUE(decoded) << decoded.error().text();
  EXPECT_EQ(*decoded, sample());
}

TEST(QueueRecord, EveryPrefixEndsEarly) {
  const std::string whole = octets(sample());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto decoded = decode_queue_entry(std::string_view(whole).substr(0, length));
    ASSERT_FALSE(decoded) << length;
    EXPECT_LE(decoded.error().position, length);
  }
  EXPECT_EQ(decode_queue_entry(whole + "x").error().rule, "octets after the end of the record");
}

struct Mistake {
  std::string name;
  void (*make)(QueueEntry&);
  std::string rule;
};

TEST(QueueRecord, KeepsItsBounds) {
  const Mistake kMistakes[] = {
      {"no destination", [](QueueEntry& e) { e.destination.clear(); },
       "a destination that is empty, too long or holds a NUL"},
      {"NUL", [](QueueEntry& e) { e.destination = std::string("a\0b", 3); },
       "a destination that is empty, too long or holds a NUL"},
      {"long destination", [](QueueEntry& e) { e.destination.assign(kQueueDestinationOctetsMax + 1, 'a'); },
       "a destination that is empty, too long or holds a NUL"},
      {"longest destination", [](QueueEntry& e) { e.destination.assign(kQueueDestinationOctetsMax, 'a'); },
       ""},
      {"no recipients", [](QueueEntry& e) { e.recipients.clear(); }, "a number that may not be zero"},
      {"most recipients", [](QueueEntry& e) { e.recipients.assign(kQueueRecipientsMax, {.address = "a@b"}); },
       ""},
      {"one more", [](QueueEntry& e) { e.recipients.assign(kQueueRecipientsMax + 1, {.address = "a@b"}); },
       "more recipients than an entry holds"},
      {"longest reply", [](QueueEntry& e) { e.recipients[0].reply.assign(kQueueTextOctetsMax, 'x'); }, ""},
      {"longer reply", [](QueueEntry& e) { e.recipients[0].reply.assign(kQueueTextOctetsMax + 1, 'x'); },
       "a text longer than the queue keeps"},
      {"priority", [](QueueEntry& e) { e.priority = kQueuePriorities; }, "a number beyond its bound"},
      {"flags", [](QueueEntry& e) { e.flags = kQueueFlagsAll + 1; }, "a number beyond its bound"},
      {"skips more", [](QueueEntry& e) { e.skip_octets = e.octets + 1; },
       "more octets left out than there are"},
  };
  for (const Mistake& c : kMistakes) {
    SCOPED_TRACE(c.name);
    QueueEntry entry = sample();
    c.make(entry);
    const auto decoded = decode_queue_entry(octets(entry));
    EXPECT_EQ(decoded ? "" : decoded.error().rule, c.rule);
  }
}

TEST(QueueRecord, DueKeysSortByDestinationPriorityAndTime) {
  const QueueKey key{.id = some_id(), .part = 7};
  const std::vector<DueName> kOrder = {
      {.destination = "a.example", .priority = 0, .due_ms = 5, .key = key},
      {.destination = "a.example", .priority = 0, .due_ms = 256, .key = key},
      {.destination = "a.example", .priority = 1, .due_ms = 1, .key = key},
      {.destination = "a.example.net", .priority = 0, .due_ms = 0, .key = key},
      {.destination = "b", .priority = 0, .due_ms = 0, .key = {.id = some_id(), .part = 0}},
      {.destination = "b", .priority = 0, .due_ms = 0, .key = key},
  };
  for (std::size_t i = 0; i < kOrder.size(); ++i) {
    const std::string text = due_key(kOrder[i]);
    const auto back = decode_due_key(text);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(back->destination, kOrder[i].destination);
    EXPECT_EQ(back->priority, kOrder[i].priority);
    EXPECT_EQ(back->due_ms, kOrder[i].due_ms);
    EXPECT_EQ(back->key, kOrder[i].key);
    if (i > 0) {
      EXPECT_LT(due_key(kOrder[i - 1]), text) << i;
    }
    for (std::size_t length = 0; length < text.size(); ++length)
      EXPECT_FALSE(decode_due_key(std::string_view(text).substr(0, length)));
    EXPECT_FALSE(decode_due_key(text + "x"));
  }
}

TEST(QueueKey, HasOneText) {
  const MessageId id = some_id();
  EXPECT_EQ((QueueKey{.id = id}).text(), id.text());
  EXPECT_EQ((QueueKey{.id = id, .part = 1}).text(), id.text() + ".2");
  for (const std::uint16_t part : std::initializer_list<std::uint16_t>{0, 1, 9, 10, 9999}) {
    const QueueKey key{.id = id, .part = part};
    EXPECT_EQ(QueueKey::parse(key.text()), key);
  }
  for (const std::string_view tail : {".", ".0", ".1", ".02", ".10001", ".99999999", ".x", "x", ".2 "})
    EXPECT_FALSE(QueueKey::parse(id.text() + std::string(tail))) << tail;
}

}  // namespace
}  // namespace postern::storage
