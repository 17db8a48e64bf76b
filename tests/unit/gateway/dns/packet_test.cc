#include "gateway/dns/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/dns_packet.h"

namespace postern::dns {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::QuestionKind;
using test::DnsPacket;
using testing::ElementsAre;

constexpr std::size_t kHeaderOctets = 12;
constexpr std::string_view kName = "www.zone.example";
const std::string kOwner = DnsPacket::pointer(kHeaderOctets);  // the name of the question

std::string operator""_s(const char* octets, std::size_t size) {
  return {octets, size};
}

Answer read(std::string_view octets, QuestionKind kind) {
  return read_packet({reinterpret_cast<const unsigned char*>(octets.data()), octets.size()}, kind);
}

DnsPacket asked(QuestionKind kind, std::uint8_t rcode = DnsPacket::kNoError) {
  DnsPacket packet(0, rcode);
  packet.question(kName, type_of(kind));
  return packet;
}

std::string soa(std::uint32_t minimum) {
  std::string data = DnsPacket::wire_name("ns.zone.example") + DnsPacket::wire_name("root.zone.example");
  data.append(16, '\0');  // serial, refresh, retry, expire
  data += DnsPacket::number16(minimum >> 16) + DnsPacket::number16(minimum & 0xffff);
  return data;
}

struct RecordCase {
  std::string name;
  QuestionKind kind;
  std::vector<std::string> data;  ///< of the records, in the answer section
  std::vector<std::string> records;
};

const RecordCase kRecordCases[] = {
    {"one address", QuestionKind::dns_a, {"\xc0\0\2\1"_s}, {"192.0.2.1"}},
    {"addresses in the answer's order",
     QuestionKind::dns_a,
     {"\xc0\0\2\2"_s, "\xc0\0\2\1"_s},
     {"192.0.2.2", "192.0.2.1"}},
    {"an address of three octets is left out",
     QuestionKind::dns_a,
     {"\xc0\0\2"_s, "\xc0\0\2\1"_s},
     {"192.0.2.1"}},
    {"an address of five octets is left out", QuestionKind::dns_a, {"\xc0\0\2\1\1"_s}, {}},
    {"an address of IPv6",
     QuestionKind::dns_aaaa,
     {"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"_s},
     {"2001:db8::1"}},
    {"fifteen octets are no address of IPv6", QuestionKind::dns_aaaa, {std::string(15, '\1')}, {}},
    {"one string", QuestionKind::dns_txt, {DnsPacket::text("v=spf1 -all")}, {"v=spf1 -all"}},
    {"strings are joined without a separator",
     QuestionKind::dns_txt,
     {DnsPacket::text("v=spf1 ip4:192.0.2.1") + DnsPacket::text("") + DnsPacket::text(" -all")},
     {"v=spf1 ip4:192.0.2.1 -all"}},
    {"records are not joined",
     QuestionKind::dns_txt,
     {DnsPacket::text("a"), DnsPacket::text("b")},
     {"a", "b"}},
    {"a string of octets as they are",
     QuestionKind::dns_txt,
     {DnsPacket::text("\0\xff\"\\\n"_s)},
     {"\0\xff\"\\\n"_s}},
    {"a string longer than its record is left out", QuestionKind::dns_txt, {"\5abcd"_s}, {}},
    {"an empty string", QuestionKind::dns_txt, {"\0"_s}, {""}},
    {"an exchange",
     QuestionKind::dns_mx,
     {DnsPacket::number16(10) + DnsPacket::wire_name("MX.Zone.Example")},
     {"10 mx.zone.example"}},
    {"an exchange by pointer",
     QuestionKind::dns_mx,
     {DnsPacket::number16(65535) + "\2mx"_s + DnsPacket::pointer(kHeaderOctets + 4)},
     {"65535 mx.zone.example"}},
    {"the null MX", QuestionKind::dns_mx, {DnsPacket::number16(0) + "\0"_s}, {"0 ."}},
    {"octets after the null MX", QuestionKind::dns_mx, {DnsPacket::number16(0) + "\0\1a\0"_s}, {}},
    {"octets after an exchange",
     QuestionKind::dns_mx,
     {DnsPacket::number16(1) + DnsPacket::wire_name("a") + "b"},
     {}},
    {"an exchange without a host", QuestionKind::dns_mx, {DnsPacket::number16(1)}, {}},
    {"a host name",
     QuestionKind::dns_ptr,
     {DnsPacket::wire_name("host.zone.example")},
     {"host.zone.example"}},
    {"printable octets in a host name",
     QuestionKind::dns_ptr,
     {DnsPacket::wire_name("a_b/c\\d e.example")},
     {"a_b/c\\d e.example"}},
    {"a dot inside a label would be another name", QuestionKind::dns_ptr, {"\3a.b\7example\0"_s}, {}},
    {"eight-bit octets are no name to ask for", QuestionKind::dns_ptr, {"\2\xc3\xa9\7example\0"_s}, {}},
    {"a zero octet in a host name", QuestionKind::dns_ptr, {"\3a\0b\7example\0"_s}, {}},
    {"the root is no host", QuestionKind::dns_ptr, {"\0"_s}, {}},
    {"a label of an unknown kind", QuestionKind::dns_ptr, {"\x41\1\0"_s}, {}},
    {"a pointer to itself", QuestionKind::dns_ptr, {DnsPacket::pointer(46)}, {}},
    {"a pointer forward", QuestionKind::dns_ptr, {DnsPacket::pointer(0x3fff)}, {}},
    {"a name without an end", QuestionKind::dns_ptr, {"\7example"_s}, {}},
    {"a name of 253 octets",
     QuestionKind::dns_ptr,
     {DnsPacket::wire_name(std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') +
                           "." + std::string(61, 'd'))},
     {std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." +
      std::string(61, 'd')}},
    {"a name of 254 octets",
     QuestionKind::dns_ptr,
     {DnsPacket::wire_name(std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') +
                           "." + std::string(62, 'd'))},
     {}},
};

TEST(DnsPacketReader, SaysEveryKindOfRecordInItsForm) {
  for (const RecordCase& c : kRecordCases) {
    SCOPED_TRACE(c.name);
    DnsPacket packet = asked(c.kind);
    for (const std::string& data : c.data) packet.answer(kOwner, type_of(c.kind), 300, data);
    const Answer answer = read(packet.octets(), c.kind);
    EXPECT_EQ(answer.status, c.records.empty() ? AnswerStatus::no_data : AnswerStatus::data);
    EXPECT_EQ(answer.records, c.records);
    EXPECT_EQ(answer.ttl, std::chrono::seconds(300));
    EXPECT_FALSE(answer.secure);
  }
}

struct StatusCase {
  std::string_view name;
  std::uint8_t rcode;
  AnswerStatus status;
};

constexpr StatusCase kStatusCases[] = {
    {"no error", DnsPacket::kNoError, AnswerStatus::no_data},
    {"format error", DnsPacket::kFormErr, AnswerStatus::servfail},
    {"server failure", DnsPacket::kServFail, AnswerStatus::servfail},
    {"no such name", DnsPacket::kNxDomain, AnswerStatus::no_such_name},
    {"not implemented", 4, AnswerStatus::servfail},
    {"refused", DnsPacket::kRefused, AnswerStatus::refused},
    {"not authoritative", 9, AnswerStatus::servfail},
    {"unassigned", 15, AnswerStatus::servfail},
};

TEST(DnsPacketReader, TellsTheResponseCodesApart) {
  for (const StatusCase& c : kStatusCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(read(asked(QuestionKind::dns_a, c.rcode).octets(), QuestionKind::dns_a).status, c.status);
  }
}

TEST(DnsPacketReader, HasNoRecordsUnlessThereIsData) {
  for (const StatusCase& c : kStatusCases) {
    if (c.rcode == DnsPacket::kNoError) continue;
    SCOPED_TRACE(c.name);
    DnsPacket packet = asked(QuestionKind::dns_a, c.rcode);
    packet.answer(kOwner, DnsPacket::kA, 60, "\xc0\0\2\1"_s);
    const Answer answer = read(packet.octets(), QuestionKind::dns_a);
    EXPECT_EQ(answer.status, c.status);
    EXPECT_TRUE(answer.records.empty());
  }
}

TEST(DnsPacketReader, FollowsAliasesToTheData) {
  DnsPacket packet = asked(QuestionKind::dns_a);
  packet.answer(kOwner, DnsPacket::kCname, 20, DnsPacket::wire_name("a.example"))
      .answer(DnsPacket::wire_name("a.example"), DnsPacket::kCname, 10, DnsPacket::wire_name("b.example"))
      .answer(DnsPacket::wire_name("b.example"), DnsPacket::kA, 30, "\xc0\0\2\1"_s);
  const Answer answer = read(packet.octets(), QuestionKind::dns_a);
  EXPECT_EQ(answer.status, AnswerStatus::data);
  EXPECT_THAT(answer.records, ElementsAre("192.0.2.1"));
  EXPECT_EQ(answer.ttl, std::chrono::seconds(10));  // the least of the chain
}

TEST(DnsPacketReader, SaysHowAChainWithoutDataEnds) {
  DnsPacket dangling = asked(QuestionKind::dns_a);
  dangling.answer(kOwner, DnsPacket::kCname, 20, DnsPacket::wire_name("a.example"));
  EXPECT_EQ(read(dangling.octets(), QuestionKind::dns_a).status, AnswerStatus::no_data);
  DnsPacket broken = asked(QuestionKind::dns_a, DnsPacket::kNxDomain);
  broken.answer(kOwner, DnsPacket::kCname, 20, DnsPacket::wire_name("a.example"));
  EXPECT_EQ(read(broken.octets(), QuestionKind::dns_a).status, AnswerStatus::no_such_name);
}

TEST(DnsPacketReader, TakesWhatWasAskedForOnly) {
  DnsPacket packet = asked(QuestionKind::dns_a);
  packet.answer(kOwner, DnsPacket::kTxt, 300, DnsPacket::text("text"))
      .answer(kOwner, DnsPacket::kA, 300, "\xc0\0\2\1"_s)
      .record(DnsPacket::Section::authority, kOwner, DnsPacket::kA, 1, "\xc0\0\2\2"_s)
      .record(DnsPacket::Section::additional, kOwner, DnsPacket::kA, 1, "\xc0\0\2\3"_s);
  const Answer answer = read(packet.octets(), QuestionKind::dns_a);
  EXPECT_THAT(answer.records, ElementsAre("192.0.2.1"));
  EXPECT_EQ(answer.ttl, std::chrono::seconds(300));
}

TEST(DnsPacketReader, KnowsHowLongNothingHolds) {  // RFC 2308 §5
  struct {
    std::string_view name;
    std::uint8_t rcode;
    std::uint32_t ttl, minimum, expected;
  } const cases[] = {
      {"the record's time to live", DnsPacket::kNxDomain, 60, 900, 60},
      {"the minimum", DnsPacket::kNxDomain, 3600, 120, 120},
      {"without data", DnsPacket::kNoError, 3600, 120, 120},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    DnsPacket packet = asked(QuestionKind::dns_mx, c.rcode);
    packet.record(DnsPacket::Section::authority, DnsPacket::wire_name("zone.example"), DnsPacket::kSoa, c.ttl,
                  soa(c.minimum));
    EXPECT_EQ(read(packet.octets(), QuestionKind::dns_mx).ttl, std::chrono::seconds(c.expected));
  }
  EXPECT_EQ(read(asked(QuestionKind::dns_mx).octets(), QuestionKind::dns_mx).ttl, std::chrono::seconds(0));
}

TEST(DnsPacketReader, LeavesOutWhatIsBeyondTheLimit) {
  for (const std::size_t count : {kRecordsMax - 1, kRecordsMax, kRecordsMax + 1, 4 * kRecordsMax}) {
    SCOPED_TRACE(count);
    DnsPacket packet = asked(QuestionKind::dns_a);
    for (std::size_t i = 0; i < count; ++i)
      packet.answer(kOwner, DnsPacket::kA, 300, "\x0a\0"_s + DnsPacket::number16(static_cast<unsigned>(i)));
    const Answer answer = read(packet.octets(), QuestionKind::dns_a);
    EXPECT_EQ(answer.status, AnswerStatus::data);
    ASSERT_EQ(answer.records.size(), std::min(count, kRecordsMax));
    const std::size_t last = answer.records.size() - 1;
    EXPECT_EQ(answer.records.back(), "10.0.0." + std::to_string(last));
  }
}

TEST(DnsPacketReader, IsServfailAtEveryLengthButItsOwn) {
  DnsPacket packet = asked(QuestionKind::dns_mx);
  packet.answer(kOwner, DnsPacket::kCname, 20, DnsPacket::wire_name("a.example"))
      .answer(DnsPacket::wire_name("a.example"), DnsPacket::kMx, 30,
              DnsPacket::number16(10) + DnsPacket::wire_name("mx.example"))
      .record(DnsPacket::Section::authority, DnsPacket::wire_name("example"), DnsPacket::kNs, 30,
              DnsPacket::wire_name("ns.example"))
      .record(DnsPacket::Section::additional, DnsPacket::wire_name("mx.example"), DnsPacket::kA, 30,
              "\xc0\0\2\1"_s);
  EXPECT_EQ(read(packet.octets(), QuestionKind::dns_mx).status, AnswerStatus::data);
  for (std::size_t octets = 0; octets < packet.size(); ++octets) {
    SCOPED_TRACE(octets);
    // An exact copy, so that a read beyond the end is seen.
    const std::vector<unsigned char> part(packet.octets().begin(),
                                          packet.octets().begin() + static_cast<std::ptrdiff_t>(octets));
    const Answer answer = read_packet(part, QuestionKind::dns_mx);
    EXPECT_EQ(answer.status, AnswerStatus::servfail);
    EXPECT_TRUE(answer.records.empty());
  }
  EXPECT_EQ(read(packet.octets() + "x", QuestionKind::dns_mx).status, AnswerStatus::servfail);
}

TEST(DnsPacketReader, SurvivesEveryChangedOctet) {
  DnsPacket packet = asked(QuestionKind::dns_mx);
  packet.answer(kOwner, DnsPacket::kMx, 30, DnsPacket::number16(10) + "\2mx"_s + DnsPacket::pointer(16))
      .record(DnsPacket::Section::authority, DnsPacket::wire_name("example"), DnsPacket::kSoa, 30, soa(60));
  for (std::size_t at = 0; at < packet.size(); ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      std::vector<unsigned char> changed(packet.octets().begin(), packet.octets().end());
      changed[at] = static_cast<unsigned char>(value);
      const Answer answer = read_packet(changed, QuestionKind::dns_mx);
      EXPECT_EQ(answer.records.empty(), answer.status != AnswerStatus::data) << at << " " << value;
    }
  }
}

TEST(DnsPacketReader, ReadsAsManyPointersAsFitInLinearTime) {
  // Each name points to the one before it: libresolv must follow, but not for ever.
  DnsPacket packet = asked(QuestionKind::dns_ptr);
  std::size_t before = kHeaderOctets;
  while (packet.size() < 16'000) {
    const std::size_t at = packet.size() + kOwner.size() + 10;  // of the data
    packet.answer(kOwner, DnsPacket::kPtr, 30, "\1a"_s + DnsPacket::pointer(before));
    before = at;
  }
  const Answer answer = read(packet.octets(), QuestionKind::dns_ptr);
  EXPECT_EQ(answer.status, AnswerStatus::data);
  ASSERT_FALSE(answer.records.empty());
  EXPECT_EQ(answer.records[0], "a.www.zone.example");
  EXPECT_EQ(answer.records[1], "a.a.www.zone.example");
  EXPECT_LT(answer.records.size(), 130U);  // beyond, the names are too long
}

TEST(DnsPacketReader, KnowsTheTypesOfQuestions) {
  EXPECT_EQ(type_of(QuestionKind::dns_a), 1);
  EXPECT_EQ(type_of(QuestionKind::dns_aaaa), 28);
  EXPECT_EQ(type_of(QuestionKind::dns_txt), 16);
  EXPECT_EQ(type_of(QuestionKind::dns_mx), 15);
  EXPECT_EQ(type_of(QuestionKind::dns_ptr), 12);
  EXPECT_EQ(type_of(QuestionKind::client_list), 0);
  EXPECT_EQ(type_of(QuestionKind::sender_list), 0);
  EXPECT_EQ(type_of(QuestionKind::recipient_list), 0);
}

TEST(DnsPacketReader, WritesNamesForTheResolver) {
  struct {
    std::string_view name, text;
  } const cases[] = {
      {"www.zone.example", "www.zone.example"},
      {"_dmarc.zone.example", "_dmarc.zone.example"},
      {"xn--4ca.example", "xn--4ca.example"},
      {"a b.example", "a\\032b.example"},
      {"a\\b.example", "a\\092b.example"},
      {"a\"(;@$*/.example", "a\\034\\040\\059\\064\\036\\042\\047.example"},
      {"~.example", "\\126.example"},
  };
  for (const auto& c : cases) EXPECT_EQ(presentation(c.name), c.text);
}

}  // namespace
}  // namespace postern::dns
