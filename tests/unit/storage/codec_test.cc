#include "storage/codec.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

using namespace std::string_view_literals;

constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kTimeMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

/// One record in its encoding, and what reading it and writing it again gives.
struct Sample {
  std::string name, octets;
  std::function<Decoded<std::string>(std::string_view)> again;
};

template <class T>
Decoded<std::string> encoded(const Decoded<T>& decoded) {
  if (!decoded) return std::unexpected(decoded.error());
  std::string out;
  encode(*decoded, out);
  return out;
}

Decoded<std::string> format_again(std::string_view in) {
  const auto format = decode_format(in);
  if (!format) return std::unexpected(format.error());
  std::string out;
  encode_format(*format, out);
  return out;
}

Decoded<std::string> decision_again(std::string_view in) {
  const auto decision = decode_decision(in);
  if (!decision) return std::unexpected(decision.error());
  std::string out;
  encode_decision_prefix(decision->envelope.size(), out);
  out.append(decision->envelope).append(decision->record);
  return out;
}

template <class T>
Sample sample(std::string name, const T& record, Decoded<T> (*decode)(std::string_view)) {
  std::string octets;
  encode(record, octets);
  // A round trip gives an equal record, not only equal octets.
  const auto back = decode(octets);
  EXPECT_TRUE(back) << name << ": " << (back ? "" : back.error().text());
  if (back) {
    EXPECT_TRUE(*back == record) << name;
  }
  return Sample{.name = std::move(name), .octets = std::move(octets), .again = [decode](std::string_view in) {
                  return encoded(decode(in));
                }};
}

bool same(const Ledger& a, const Ledger& b) {
  return a.opened == b.opened && a.delivered == b.delivered && a.relayed == b.relayed &&
         a.bounced == b.bounced && a.quarantined == b.quarantined && a.expired == b.expired &&
         a.dropped == b.dropped;
}

Sample ledger_sample(std::string name, const Ledger& ledger) {
  std::string octets;
  encode(ledger, octets);
  const auto back = decode_ledger(octets);
  EXPECT_TRUE(back && same(*back, ledger)) << name;
  return Sample{.name = std::move(name), .octets = std::move(octets), .again = [](std::string_view in) {
                  return encoded(decode_ledger(in));
                }};
}

std::vector<Sample> samples() {
  std::vector<Sample> result;
  for (const std::uint64_t format : {std::uint64_t{1}, std::uint64_t{127}, std::uint64_t{128}, kMax64}) {
    std::string octets;
    encode_format(format, octets);
    EXPECT_EQ(decode_format(octets).value_or(0), format);
    result.push_back({.name = fmt::format("format {}", format), .octets = octets, .again = format_again});
  }
  Identity identity{.created_ms = kTimeMax};
  for (std::size_t i = 0; i < identity.uuid.size(); ++i)
    identity.uuid[i] = static_cast<std::uint8_t>(0xf0 + i);
  result.push_back(sample("identity", identity, decode_identity));
  result.push_back(sample("identity of zeros", Identity{}, decode_identity));
  result.push_back(ledger_sample("ledger of zeros", Ledger{}));
  result.push_back(ledger_sample("ledger", Ledger{.opened = 1000,
                                                  .delivered = 700,
                                                  .relayed = 200,
                                                  .bounced = 40,
                                                  .quarantined = 30,
                                                  .expired = 20,
                                                  .dropped = 10}));
  result.push_back(
      ledger_sample("ledger with the largest counts", Ledger{.opened = kMax64, .delivered = kMax64}));
  result.push_back(sample("mailbox", MailboxRecord{.id = 1, .next_folder = 2}, decode_mailbox));
  result.push_back(
      sample("last mailbox", MailboxRecord{.id = kMax32, .next_folder = kMax32}, decode_mailbox));
  result.push_back(sample(
      "folder",
      FolderRecord{
          .id = 3, .uid_validity = 1'700'000'000, .uid_next = 129, .messages = 128, .octets = 1ULL << 40U},
      decode_folder));
  result.push_back(sample(
      "largest folder",
      FolderRecord{
          .id = kMax32, .uid_validity = kMax32, .uid_next = kMax32, .messages = kMax64, .octets = kMax64},
      decode_folder));
  result.push_back(sample(
      "entry",
      EntryRecord{
          .id = test::id_of(9), .flags = kSeen | kFlagged, .octets = 4096, .received_ms = 1'700'000'000'123},
      decode_entry));
  result.push_back(
      sample("largest entry",
             EntryRecord{.id = test::id_of(9), .flags = kMax32, .octets = kMax64, .received_ms = kTimeMax},
             decode_entry));
  result.push_back(sample("message",
                          MessageRecord{.references = 2,
                                        .octets = 4096,
                                        .header_octets = 200,
                                        .received_ms = 1'700'000'000'123,
                                        .mail_from = "a@b.example"},
                          decode_message));
  result.push_back(sample("message of a bounce", MessageRecord{.references = 1}, decode_message));
  result.push_back(sample("message with a long sender",
                          MessageRecord{.references = kMax64,
                                        .octets = kMax64,
                                        .header_octets = kMax64,
                                        .received_ms = kTimeMax,
                                        .mail_from = std::string(300, '\xff')},
                          decode_message));
  for (const auto& [envelope, record] :
       {std::pair{""sv, ""sv}, {"{}"sv, ""sv}, {""sv, "{}"sv}, {"{\"a\":1}"sv, "{\"b\":2}"sv}}) {
    std::string octets;
    encode_decision_prefix(envelope.size(), octets);
    octets.append(envelope).append(record);
    const auto back = decode_decision(octets);
    EXPECT_TRUE(back && back->envelope == envelope && back->record == record);
    result.push_back(
        {.name = fmt::format("decision {}{}", envelope, record), .octets = octets, .again = decision_again});
  }
  return result;
}

/// An error, with a position inside the record; or what was read is what is written for it.
void expect_strict(const Sample& sample, std::string_view octets, const std::string& what) {
  const auto again = sample.again(octets);
  if (again) {
    EXPECT_EQ(*again, octets) << sample.name << ", " << what;
  } else {
    EXPECT_LE(again.error().position, octets.size()) << sample.name << ", " << what;
    EXPECT_FALSE(again.error().rule.empty()) << sample.name << ", " << what;
  }
}

TEST(Codec, EveryTruncationIsAnErrorOrAnotherRecord) {
  for (const Sample& s : samples()) {
    EXPECT_EQ(s.again(s.octets).value_or("an error"), s.octets) << s.name;
    for (std::size_t length = 0; length < s.octets.size(); ++length) {
      const std::string_view octets = std::string_view(s.octets).substr(0, length);
      expect_strict(s, octets, fmt::format("cut to {}", length));
      // Only a decision ends where its value ends: its last part has no length.
      if (!s.name.starts_with("decision")) {
        EXPECT_FALSE(s.again(octets)) << s.name << " cut to " << length;
      }
    }
  }
}

TEST(Codec, EveryChangedOctetIsAnErrorOrAnotherRecord) {
  for (const Sample& s : samples()) {
    for (std::size_t at = 0; at < s.octets.size(); ++at) {
      for (unsigned octet = 0; octet < 256; ++octet) {
        std::string changed = s.octets;
        changed[at] = static_cast<char>(octet);
        expect_strict(s, changed, fmt::format("octet {} is {}", at, octet));
      }
    }
    std::string longer = s.octets + '\0';
    expect_strict(s, longer, "an octet more");
  }
}

struct BadCase {
  std::string_view name, octets, text;
  std::function<std::string(std::string_view)> error;
};

template <class T>
std::function<std::string(std::string_view)> error_of_decoder(Decoded<T> (*decode)(std::string_view)) {
  return [decode](std::string_view in) {
    const auto decoded = decode(in);
    return decoded ? std::string("no error") : decoded.error().text();
  };
}

TEST(Codec, ErrorsNameTheOctetAndTheRule) {
  const BadCase cases[] = {
      {"empty", ""sv, "octet 0: the record ends early", error_of_decoder(decode_format)},
      {"version", "\x02\x01"sv, "octet 0: a record version this program does not know",
       error_of_decoder(decode_format)},
      {"format zero", "\x01\x00"sv, "octet 2: a number that may not be zero",
       error_of_decoder(decode_format)},
      {"left over", "\x01\x01\x01"sv, "octet 2: octets after the end of the record",
       error_of_decoder(decode_format)},
      {"padded number", "\x01\x81\x00"sv, "octet 1: a number that is not in its shortest form",
       error_of_decoder(decode_format)},
      {"eleven octets of a number", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"sv,
       "octet 1: a number beyond its bound", error_of_decoder(decode_format)},
      {"largest number", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv, "no error",
       error_of_decoder(decode_format)},
      {"mailbox zero", "\x01\x00\x01"sv, "octet 1: a number that may not be zero",
       error_of_decoder(decode_mailbox)},
      {"mailbox of 33 bits", "\x01\x80\x80\x80\x80\x10\x01"sv, "octet 1: a number beyond its bound",
       error_of_decoder(decode_mailbox)},
      {"overdrawn", "\x01\x02\x01\x02\x00\x00\x00\x00"sv, "octet 8: a ledger with more closed than opened",
       error_of_decoder(decode_ledger)},
      {"message without references", "\x01\x00\x00\x00\x00\x00"sv, "octet 2: a number that may not be zero",
       error_of_decoder(decode_message)},
      {"header larger", "\x01\x01\x02\x03\x00\x00"sv, "octet 4: a header larger than its message",
       error_of_decoder(decode_message)},
      {"sender beyond the end",
       "\x01\x01\x02\x01\x00\x05"
       "abc"sv,
       "octet 9: the record ends early", error_of_decoder(decode_message)},
      {"length of 2^64-1", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,
       "octet 11: the record ends early", error_of_decoder(decode_decision)},
      {"short entry key", "\x00\x00\x00\x01"sv, "octet 4: the record ends early",
       error_of_decoder(decode_entry_key)},
      {"long entry key", "\0\0\0\1\0\0\0\1\0\0\0\1\0"sv, "octet 12: octets after the end of the record",
       error_of_decoder(decode_entry_key)},
      {"entry in mailbox zero", "\0\0\0\0\0\0\0\1\0\0\0\1"sv, "octet 0: a number that may not be zero",
       error_of_decoder(decode_entry_key)},
      {"entry in folder zero", "\0\0\0\1\0\0\0\0\0\0\0\1"sv, "octet 4: a number that may not be zero",
       error_of_decoder(decode_entry_key)},
      {"uid zero", "\0\0\0\1\0\0\0\1\0\0\0\0"sv, "octet 8: a number that may not be zero",
       error_of_decoder(decode_entry_key)},
      {"folder without a name", "\0\0\0\1"sv, "octet 4: the record ends early",
       error_of_decoder(decode_folder_key)},
      {"folder of mailbox zero", "\0\0\0\0a"sv, "octet 0: a number that may not be zero",
       error_of_decoder(decode_folder_key)},
      {"folder not UTF-8", "\0\0\0\1\xc3"sv, "octet 4: a name that is not UTF-8",
       error_of_decoder(decode_folder_key)},
      {"short message key", "0123456789a"sv, "octet 11: the record ends early",
       error_of_decoder(decode_message_key)},
      {"long message key", "0123456789abc"sv, "octet 12: octets after the end of the record",
       error_of_decoder(decode_message_key)},
  };
  for (const BadCase& c : cases) EXPECT_EQ(c.error(c.octets), c.text) << c.name;
}

/// What is on people's disks. A row may be added here, never changed.
TEST(Codec, TheLayoutsOfFormatOne) {
  const auto hex = [](std::string_view octets) {
    std::string text;
    for (const char octet : octets) text += fmt::format("{:02x}", static_cast<unsigned char>(octet));
    return text;
  };
  std::string out;
  encode_format(1, out);
  EXPECT_EQ(hex(out), "0101");
  Identity identity{.created_ms = 300};
  identity.uuid[0] = 0xab;
  encode(identity, out);
  EXPECT_EQ(hex(out), "01ab000000000000000000000000000000ac02");
  encode(Ledger{.opened = 21,
                .delivered = 1,
                .relayed = 2,
                .bounced = 3,
                .quarantined = 4,
                .expired = 5,
                .dropped = 6},
         out);
  EXPECT_EQ(hex(out), "0115010203040506");
  encode(MailboxRecord{.id = 7, .next_folder = 200}, out);
  EXPECT_EQ(hex(out), "0107c801");
  encode(
      FolderRecord{
          .id = 2, .uid_validity = 1'700'000'000, .uid_next = 129, .messages = 128, .octets = 38'400},
      out);
  EXPECT_EQ(hex(out), "010280e2cfaa068101800180ac02");
  encode(EntryRecord{.id = test::id_of(9), .flags = kSeen | kDraft, .octets = 4096, .received_ms = 1}, out);
  EXPECT_EQ(hex(out), "01018bcfe50000010009aabbcc11802001");
  encode(
      MessageRecord{
          .references = 2, .octets = 4096, .header_octets = 200, .received_ms = 1, .mail_from = "a@b"},
      out);
  EXPECT_EQ(hex(out), "01028020c8010103614062");
  encode_decision_prefix(300, out);
  EXPECT_EQ(hex(out), "01ac02");
  EXPECT_EQ(hex(view(entry_key(1, 2, 0x01020304))), "000000010000000201020304");
  folder_key(1, "Junk", out);
  EXPECT_EQ(hex(out), "000000014a756e6b");
}

TEST(Codec, FolderKeysEndAtTheLimit) {
  std::string key;
  folder_key(5, std::string(Store::kFolderOctetsMax, 'f'), key);
  const auto name = decode_folder_key(key);
  ASSERT_TRUE(name);
  EXPECT_EQ(name->mailbox, 5U);
  EXPECT_EQ(name->name.size(), Store::kFolderOctetsMax);
  folder_key(5, std::string(Store::kFolderOctetsMax + 1, 'f'), key);
  EXPECT_FALSE(decode_folder_key(key));
}

TEST(Codec, EntryKeysAreInTheOrderOfTheirNumbers) {
  const std::uint32_t numbers[] = {1, 2, 127, 128, 255, 256, 65535, 65536, 0x7fffffff, 0x80000000, kMax32};
  std::string last;
  for (const std::uint32_t mailbox : numbers)
    for (const std::uint32_t folder : numbers)
      for (const std::uint32_t uid : numbers) {
        const EntryKey key = entry_key(mailbox, folder, uid);
        const std::string octets(view(key));
        ASSERT_LT(last, octets);
        const auto name = decode_entry_key(octets);
        ASSERT_TRUE(name && name->mailbox == mailbox && name->folder == folder && name->uid == uid);
        last = octets;
      }
}

struct Utf8Case {
  std::string_view name, text;
  bool good;
};

constexpr Utf8Case kUtf8Cases[] = {
    {"empty", "", true},
    {"ASCII", "INBOX", true},
    {"NUL", "\0"sv, true},
    {"two octets", "\xc3\xa4", true},
    {"first of two", "\xc2\x80", true},
    {"overlong of two", "\xc1\xbf", false},
    {"first of three", "\xe0\xa0\x80", true},
    {"overlong of three", "\xe0\x9f\xbf", false},
    {"last before the surrogates", "\xed\x9f\xbf", true},
    {"first surrogate", "\xed\xa0\x80", false},
    {"last surrogate", "\xed\xbf\xbf", false},
    {"first after the surrogates", "\xee\x80\x80", true},
    {"first of four", "\xf0\x90\x80\x80", true},
    {"overlong of four", "\xf0\x8f\xbf\xbf", false},
    {"the last character", "\xf4\x8f\xbf\xbf", true},
    {"beyond the last", "\xf4\x90\x80\x80", false},
    {"five octets", "\xf8\x88\x80\x80\x80", false},
    {"lone continuation", "\x80", false},
    {"cut short", "a\xe2\x82", false},
    {"continuation missing",
     "\xe2\x82"
     "a",
     false},
};

TEST(Codec, Utf8) {
  for (const Utf8Case& c : kUtf8Cases) EXPECT_EQ(is_utf8(c.text), c.good) << c.name;
}

TEST(Codec, TimesBefore1970AreItsBeginning) {
  EXPECT_EQ(to_ms(from_ms(1'700'000'000'123)), 1'700'000'000'123U);
  EXPECT_EQ(to_ms(std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(-1))), 0U);
}

}  // namespace
}  // namespace postern::storage
