#include "storage/quarantine/record.h"

#include <utility>

#include "storage/record.h"

namespace postern::storage {
namespace {

using namespace record;

constexpr std::string_view kTextTooLong = "a text beyond its bound";
constexpr std::string_view kNowhere = "an entry that leads to no mailbox and to no destination";
constexpr std::string_view kTwoPlaces = "an entry that leads to a mailbox and to a destination";
constexpr std::string_view kNoRecipient = "an entry for nobody";
constexpr std::string_view kBadDestination = "no destination";
constexpr std::string_view kBadMailbox = "a mailbox address beyond its bound";
constexpr std::string_view kSkipsMore = "more octets left out than there are";

std::string bounded_text(Reader& reader) {
  std::string text = reader.text();
  reader.require(text.size() <= kQuarantineTextOctetsMax, kTextTooLong);
  return text;
}

/// Numbers near zero are short, whatever their sign.
std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1U) ^ (0 - (value & 1U)));
}

}  // namespace

void encode(const QuarantineEntry& entry, std::string& out) {
  begin(out);
  for (const std::string* text : {&entry.recipient, &entry.mailbox, &entry.destination, &entry.sender,
                                  &entry.from, &entry.subject, &entry.reason, &entry.envid, &entry.orcpt})
    put_text(*text, out);
  for (const std::uint64_t number :
       {zigzag(entry.score_millionths), entry.octets, entry.received_ms, entry.skip_octets,
        std::uint64_t{entry.flags}, std::uint64_t{entry.notify}, std::uint64_t{entry.priority}})
    put_varint(number, out);
}

Decoded<QuarantineEntry> decode_quarantine_entry(std::string_view in) {
  Reader reader(in);
  QuarantineEntry entry;
  for (std::string* text : {&entry.recipient, &entry.mailbox, &entry.destination, &entry.sender, &entry.from,
                            &entry.subject, &entry.reason, &entry.envid, &entry.orcpt})
    *text = bounded_text(reader);
  reader.require(!entry.recipient.empty(), kNoRecipient);
  reader.require(!entry.mailbox.empty() || !entry.destination.empty(), kNowhere);
  reader.require(entry.mailbox.empty() || entry.destination.empty(), kTwoPlaces);
  reader.require(entry.mailbox.size() <= Store::kMailboxOctetsMax, kBadMailbox);
  reader.require(entry.destination.size() <= kQueueDestinationOctetsMax &&
                     entry.destination.find('\0') == std::string::npos,
                 kBadDestination);
  entry.score_millionths = unzigzag(reader.varint());
  entry.octets = reader.varint();
  entry.received_ms = reader.varint(kTimeMax);
  entry.skip_octets = reader.varint();
  reader.require(entry.skip_octets <= entry.octets, kSkipsMore);
  entry.flags = static_cast<std::uint32_t>(reader.varint(kQueueFlagsAll));
  entry.notify = static_cast<std::uint8_t>(reader.varint(0xff));
  entry.priority = static_cast<std::uint8_t>(reader.varint(kQueuePriorities - 1));
  return reader.finish(std::move(entry));
}

void encode(const QuarantineTotals& totals, std::string& out) {
  begin(out);
  for (const std::uint64_t count :
       {totals.entries, totals.octets, totals.released, totals.deleted, totals.expired, totals.evicted})
    put_varint(count, out);
}

Decoded<QuarantineTotals> decode_quarantine_totals(std::string_view in) {
  Reader reader(in);
  QuarantineTotals totals;
  for (std::uint64_t* count :
       {&totals.entries, &totals.octets, &totals.released, &totals.deleted, &totals.expired, &totals.evicted})
    *count = reader.varint();
  return reader.finish(totals);
}

}  // namespace postern::storage
