#include "storage/queue/record.h"

#include <algorithm>

#include "storage/record.h"

namespace postern::storage {
namespace {

using namespace record;

constexpr std::string_view kBadDestination = "a destination that is empty, too long or holds a NUL";
constexpr std::string_view kTextTooLong = "a text longer than the queue keeps";
constexpr std::string_view kTooMany = "more recipients than an entry holds";
constexpr std::string_view kUnknownState = "a state this program does not know";
constexpr std::string_view kSkipsMore = "more octets left out than there are";

constexpr std::size_t kIdOctets = 12;
constexpr std::size_t kKeyOctets = kIdOctets + 2;
constexpr std::size_t kDueTailOctets = 1 + 1 + 8 + kKeyOctets;  // NUL, priority, time, entry

void put_be(std::uint64_t value, std::size_t octets, std::string& out) {
  for (std::size_t i = octets; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t load_be(std::string_view in) {
  std::uint64_t value = 0;
  for (const char c : in) value = (value << 8U) | static_cast<unsigned char>(c);
  return value;
}

bool is_destination(std::string_view text) {
  return !text.empty() && text.size() <= kQueueDestinationOctetsMax && text.find('\0') == text.npos;
}

std::string bounded_text(Reader& reader) {
  std::string text = reader.text();
  reader.require(text.size() <= kQueueTextOctetsMax, kTextTooLong);
  return text;
}

std::unexpected<DecodeError> bad_key(std::size_t position, std::string_view rule) {
  return std::unexpected(DecodeError{.position = position, .rule = rule});
}

}  // namespace

std::string QueueKey::text() const {
  return part == 0 ? id.text() : id.text() + "." + std::to_string(part + 1U);
}

std::optional<QueueKey> QueueKey::parse(std::string_view text) {
  const auto id = MessageId::parse(text.substr(0, MessageId::kTextLength));
  if (!id) return std::nullopt;
  text.remove_prefix(MessageId::kTextLength);
  if (text.empty()) return QueueKey{.id = *id};
  if (text.size() < 2 || text.size() > 6 || text[0] != '.' || text[1] == '0') return std::nullopt;
  std::uint32_t number = 0;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (number < 2 || number > kQueuePartsMax) return std::nullopt;
  return QueueKey{.id = *id, .part = static_cast<std::uint16_t>(number - 1)};
}

std::string_view to_string(RecipientState state) {
  switch (state) {
    case RecipientState::waiting:
      return "waiting";
    case RecipientState::relayed:
      return "relayed";
    case RecipientState::bounced:
      return "bounced";
    case RecipientState::expired:
      return "expired";
    case RecipientState::dropped:
      return "dropped";
  }
  return "";
}

std::string_view to_string(QueueState state) {
  switch (state) {
    case QueueState::waiting:
      return "waiting";
    case QueueState::held:
      return "held";
    case QueueState::damaged:
      return "damaged";
  }
  return "";
}

std::size_t QueueEntry::waiting() const {
  return static_cast<std::size_t>(
      std::ranges::count(recipients, RecipientState::waiting, &QueueRecipient::state));
}

void encode(const QueueEntry& entry, std::string& out) {
  begin(out);
  put_text(entry.destination, out);
  put_text(entry.sender, out);
  put_text(entry.envid, out);
  put_varint(entry.flags, out);
  put_varint(entry.priority, out);
  put_varint(static_cast<std::uint64_t>(entry.state), out);
  put_varint(entry.octets, out);
  put_varint(entry.skip_octets, out);
  put_varint(entry.received_ms, out);
  put_varint(entry.due_ms, out);
  put_varint(entry.attempts, out);
  put_text(entry.reason, out);
  put_varint(entry.recipients.size(), out);
  for (const QueueRecipient& recipient : entry.recipients) {
    put_text(recipient.address, out);
    put_varint(recipient.notify, out);
    put_text(recipient.orcpt, out);
    put_varint(static_cast<std::uint64_t>(recipient.state), out);
    put_varint(recipient.tried_ms, out);
    put_text(recipient.host, out);
    put_text(recipient.reply, out);
  }
}

Decoded<QueueEntry> decode_queue_entry(std::string_view in) {
  Reader reader(in);
  QueueEntry entry;
  entry.destination = reader.text();
  reader.require(is_destination(entry.destination), kBadDestination);
  entry.sender = bounded_text(reader);
  entry.envid = bounded_text(reader);
  entry.flags = static_cast<std::uint32_t>(reader.varint(kQueueFlagsAll));
  entry.priority = static_cast<std::uint8_t>(reader.varint(kQueuePriorities - 1));
  const std::uint64_t state = reader.varint();
  reader.require(state <= static_cast<std::uint64_t>(QueueState::damaged), kUnknownState);
  entry.state = static_cast<QueueState>(state & 0xffU);
  entry.octets = reader.varint();
  entry.skip_octets = reader.varint();
  reader.require(entry.skip_octets <= entry.octets, kSkipsMore);
  entry.received_ms = reader.varint(kTimeMax);
  entry.due_ms = reader.varint(kTimeMax);
  entry.attempts = reader.varint();
  entry.reason = bounded_text(reader);
  const std::uint64_t count = reader.varint();
  reader.require(count != 0, kZero);
  reader.require(count <= kQueueRecipientsMax, kTooMany);
  for (std::uint64_t i = 0; i < count && reader.well(); ++i) {
    QueueRecipient& recipient = entry.recipients.emplace_back();
    recipient.address = bounded_text(reader);
    recipient.notify = static_cast<std::uint8_t>(reader.varint(0xff));
    recipient.orcpt = bounded_text(reader);
    const std::uint64_t end = reader.varint();
    reader.require(end <= static_cast<std::uint64_t>(RecipientState::dropped), kUnknownState);
    recipient.state = static_cast<RecipientState>(end & 0xffU);
    recipient.tried_ms = reader.varint(kTimeMax);
    recipient.host = bounded_text(reader);
    recipient.reply = bounded_text(reader);
  }
  return reader.finish(std::move(entry));
}

void encode(const QueueTotals& totals, std::string& out) {
  begin(out);
  for (const std::uint64_t count : {totals.entries, totals.recipients, totals.octets}) put_varint(count, out);
}

Decoded<QueueTotals> decode_queue_totals(std::string_view in) {
  Reader reader(in);
  QueueTotals totals;
  totals.entries = reader.varint();
  totals.recipients = reader.varint();
  totals.octets = reader.varint();
  return reader.finish(totals);
}

std::string queue_key(const QueueKey& key) {
  std::string out(message_key(key.id));
  put_be(key.part, 2, out);
  return out;
}

Decoded<QueueKey> decode_queue_key(std::string_view in) {
  if (in.size() < kKeyOctets) return bad_key(in.size(), kEndsEarly);
  if (in.size() > kKeyOctets) return bad_key(kKeyOctets, kOctetsLeft);
  const auto id = decode_message_key(in.substr(0, kIdOctets));
  if (!id) return std::unexpected(id.error());
  const auto part = static_cast<std::uint16_t>(load_be(in.substr(kIdOctets)));
  if (part >= kQueuePartsMax) return bad_key(kIdOctets, kTooLarge);
  return QueueKey{.id = *id, .part = part};
}

std::string due_prefix(std::string_view destination, std::uint8_t priority) {
  std::string out(destination);
  out.push_back('\0');
  out.push_back(static_cast<char>(priority));
  return out;
}

std::string due_key(const DueName& name) {
  std::string out = due_prefix(name.destination, name.priority);
  put_be(name.due_ms, 8, out);
  return out.append(queue_key(name.key));
}

Decoded<DueName> decode_due_key(std::string_view in) {
  const std::size_t end = in.find('\0');
  if (end == in.npos) return bad_key(in.size(), kEndsEarly);
  DueName name{.destination = in.substr(0, end)};
  if (!is_destination(name.destination)) return bad_key(0, kBadDestination);
  if (in.size() < end + kDueTailOctets) return bad_key(in.size(), kEndsEarly);
  if (in.size() > end + kDueTailOctets) return bad_key(end + kDueTailOctets, kOctetsLeft);
  name.priority = static_cast<std::uint8_t>(in[end + 1]);
  if (name.priority >= kQueuePriorities) return bad_key(end + 1, kTooLarge);
  name.due_ms = load_be(in.substr(end + 2, 8));
  if (name.due_ms > kTimeMax) return bad_key(end + 2, kTooLarge);
  const auto key = decode_queue_key(in.substr(end + 10));
  if (!key) return bad_key(end + 10 + key.error().position, key.error().rule);
  name.key = *key;
  return name;
}

}  // namespace postern::storage
